"""Grouped bars with intervals: one group a task, one bar an embedder."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unite_bench.report.figures.style import GREY, SMALL, Doubles, drawing, errors, legend_above, looks, percent_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS_A_LINE = 40
LETTERS = 95  # of the labels in one line


def bars(
    tasks: Sequence[str],
    embedders: Sequence[str],
    values: Doubles,
    low: Doubles,
    high: Doubles,
    chance: Doubles,
    caption: str,
) -> Figure:
    """`values`, `low` and `high` (embedders, tasks) float64, the ends of the intervals; `chance` (tasks,) is drawn as a line
    across each group. Groups that do not fit beside each other go on in the next line."""
    each = min(len(tasks), max(1, BARS_A_LINE // (len(embedders) + 1)))
    lines = -(-len(tasks) // each)
    each = -(-len(tasks) // lines)
    with drawing(0.5 + 1.75 * lines, caption) as figure:
        panels = figure.subplots(lines, 1, squeeze=False)[:, 0]
        width = 0.8 / len(embedders)
        handles: list[Any] = []
        for line, axes in enumerate(panels):
            shown = range(line * each, min((line + 1) * each, len(tasks)))
            at = np.arange(len(shown), dtype=np.float64)
            handles = []
            for n, look in enumerate(looks(embedders, "embedders")):
                found = 100 * values[n, shown]
                places = at - 0.4 + (n + 0.5) * width
                spans = 100 * errors(values[n, shown], low[n, shown], high[n, shown])
                handles.append(
                    axes.bar(
                        places,
                        np.nan_to_num(found),
                        width,
                        yerr=spans,
                        color=look.colour,
                        hatch=look.hatch,
                        edgecolor="white",
                        linewidth=0.4,
                        error_kw={"elinewidth": 0.8, "ecolor": GREY, "capsize": 1.5, "capthick": 0.8},
                    )
                )
                for place in places[np.isnan(found)]:
                    axes.text(place, 1.5, "n/a", rotation=90, ha="center", va="bottom", fontsize=SMALL, color=GREY)
            axes.hlines(100 * chance[shown], at - 0.45, at + 0.45, color="black", linewidth=0.9, linestyle=(0, (2, 1)))
            axes.set_xticks(at, [_wrapped(tasks[n], LETTERS // each) for n in shown])
            axes.set_xlim(-0.6, each - 0.4)
            percent_axis(axes, 0, 102)
        figure.supylabel("score in percent", fontsize=8)
        legend_above(figure, handles, embedders)
    return figure


def _wrapped(label: str, letters: int) -> str:
    return "\n".join(piece for line in label.splitlines() for piece in textwrap.wrap(line, letters))
