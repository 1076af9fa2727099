"""Scaling curves: score over frames, dimension or amount of training data, one line an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unite_bench.report.figures.style import Doubles, drawing, legend_above, log_axis, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curve:
    """One line: `x`, `values` and the ends of the intervals `low` and `high`, (points,) float64 each, NaN where unknown."""

    name: str
    x: Doubles
    values: Doubles
    low: Doubles
    high: Doubles


def scaling(curves: Sequence[Curve], label: str, caption: str) -> Figure:
    """`label` names the logarithmic x axis. Intervals are bands."""
    with drawing(3.2, caption) as figure:
        axes = figure.subplots()
        handles = []
        for look, curve in zip(looks([c.name for c in curves]), curves, strict=True):
            axes.fill_between(curve.x, 100 * curve.low, 100 * curve.high, color=look.colour, alpha=0.15, linewidth=0)
            handles += axes.plot(
                curve.x, 100 * curve.values, color=look.colour, linestyle=look.dash, marker=look.marker
            )
        log_axis(axes, np.concatenate([curve.x for curve in curves]))
        axes.grid()
        axes.tick_params(axis="both", length=2.5, width=0.7)
        axes.set(xlabel=label, ylabel="score in percent")
        legend_above(figure, handles, [c.name for c in curves])
    return figure
