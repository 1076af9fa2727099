"""A radar: one spoke a group of tasks, one line an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unite_bench.report.figures.style import SMALL, Doubles, drawing, legend_above, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def radar(spokes: Sequence[str], embedders: Sequence[str], values: Doubles, caption: str) -> Figure:
    """`values` (embedders, spokes) float64, best far out. Lines break where an embedder has no value. 0 has a dark ring of
    its own, since scores above chance may lie below it."""
    with drawing(4.6, caption) as figure:
        axes: Any = figure.add_subplot(projection="polar")  # whose own methods the stubs of Axes lack
        axes.set_theta_zero_location("N")
        axes.set_theta_direction(-1)
        angles = np.linspace(0, 2 * np.pi, len(spokes), endpoint=False)
        lines = []
        for look, row in zip(looks(embedders, "embedders"), 100 * values, strict=True):
            line = axes.plot(
                np.append(angles, 2 * np.pi),
                np.append(row, row[0]),
                color=look.colour,
                linestyle=look.dash,
                marker=look.marker,
                markersize=4,
            )
            lines += line
        lowest = float(np.nanmin(values, initial=0.0)) * 100
        axes.set_ylim(10 * np.floor(lowest / 10), 100)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.set_yticklabels(["0", "25", "50", "75", "100"], fontsize=SMALL, color="#444444")
        axes.set_rlabel_position(180 / len(spokes))
        axes.plot(np.linspace(0, 2 * np.pi, 200), np.zeros(200), color="#444444", linewidth=0.9)
        axes.set_xticks(angles, spokes)
        axes.tick_params(axis="x", pad=2)
        for label, angle in zip(axes.get_xticklabels(), angles, strict=True):
            side = np.sin(angle)
            label.set_horizontalalignment("center" if abs(side) < 0.1 else "left" if side > 0 else "right")
        legend_above(figure, lines, embedders)
    return figure
