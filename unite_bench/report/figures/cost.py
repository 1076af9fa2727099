"""Quality against cost: one point an embedder, and the front of those that no cheaper one reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unite_bench.report.figures.style import GREY, Doubles, drawing, legend_above, log_axis, looks, percent_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def cost(embedders: Sequence[str], costs: Doubles, values: Doubles, label: str, caption: str) -> Figure:
    """`costs` (embedders,) positive, on a logarithmic axis named by `label`; `values` (embedders,) float64."""
    with drawing(3.2, caption) as figure:
        axes = figure.subplots()
        handles = [
            axes.plot(x, 100 * y, look.marker, color=look.colour, markersize=7, linestyle="none")[0]
            for look, x, y in zip(looks(embedders, "embedders"), costs, values, strict=True)
        ]
        best = [
            n for n in np.argsort(costs, kind="stable") if values[n] > values[costs < costs[n]].max(initial=-np.inf)
        ]
        best = [n for n in best if values[n] == values[costs == costs[n]].max()]
        axes.step(costs[best], 100 * values[best], where="post", color=GREY, linewidth=0.9, linestyle=":", zorder=0)
        log_axis(axes, costs)
        axes.grid(axis="x")
        span = max(5.0, 100 * float(values.max() - values.min()))
        percent_axis(axes, 100 * values.min() - 0.08 * span, 100 * values.max() + 0.08 * span)
        axes.set(xlabel=label, ylabel="score in percent")
        legend_above(figure, handles, embedders)
    return figure
