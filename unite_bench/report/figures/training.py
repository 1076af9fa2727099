"""Training curves: losses and validation over the course of a run, one panel a quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unite_bench.report.figures.style import GREY, SMALL, drawing, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]
COLUMNS = 2
MARKS = 12  # on a line, about


@dataclass(frozen=True)
class Panel:
    """One panel: points (x, y) by name of the series, and how far up its y axis reaches from 0 (None: to the values)."""

    title: str
    series: Mapping[str, Points]
    top: float | None = None


def training_curves(panels: Sequence[Panel], label: str, starts: Mapping[str, float], caption: str) -> Figure:
    """`label` names the x axis; `starts` says where each stage of the run begins, drawn as dotted lines."""
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    with drawing(2.9 * lines, caption) as figure:
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
        for spare in grid[len(panels) :]:
            spare.set_visible(False)
        for axes, panel in zip(grid, panels, strict=False):
            for look, (name, points) in zip(looks(list(panel.series)), panel.series.items(), strict=True):
                axes.plot(
                    *zip(*points, strict=True),
                    label=name,
                    color=look.colour,
                    linestyle=look.dash,
                    linewidth=1.2,
                    marker=look.marker,
                    markersize=3.5,
                    markevery=max(1, len(points) // MARKS),
                )
            for start in starts.values():
                axes.axvline(start, color=GREY, linewidth=0.8, linestyle=":")
            axes.set_title(panel.title)
            axes.set_xlabel(label)
            axes.set_ylim(0, panel.top)
            axes.grid(axis="y")
            axes.tick_params(axis="both", length=2.5, width=0.7, labelbottom=True)
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=SMALL, frameon=False)
    return figure
