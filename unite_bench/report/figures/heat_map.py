"""A heat map: one line a task, one column an embedder, the score as colour and as a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unite_bench.report.figures.style import GREY, SMALL, Doubles, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heat_map(tasks: Sequence[str], embedders: Sequence[str], values: Doubles, caption: str) -> Figure:
    """`values` (tasks, embedders) float64 within [0, 1]; NaN reads n/a. Cells darken with the score, also in grey print."""
    with drawing(0.9 + 0.185 * len(tasks), caption) as figure:
        from matplotlib import colormaps

        axes = figure.subplots()
        axes.pcolormesh(100 * values, cmap=colormaps["Blues"], vmin=0, vmax=110, edgecolors="white", linewidth=1)
        axes.invert_yaxis()
        axes.set_yticks(np.arange(len(tasks)) + 0.5, tasks)
        axes.set_xticks(np.arange(len(embedders)) + 0.5, embedders, rotation=30, ha="left", rotation_mode="anchor")
        axes.tick_params(axis="both", length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)
        for (line, column), value in np.ndenumerate(100 * values):
            dark = value > 70
            text, colour = ("n/a", GREY) if np.isnan(value) else (f"{value:.1f}", "white" if dark else "black")
            axes.text(column + 0.5, line + 0.5, text, ha="center", va="center", fontsize=SMALL, color=colour)
    return figure
