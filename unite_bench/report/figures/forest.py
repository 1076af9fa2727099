"""A forest plot: one line a task or suite, the difference of two embedders with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unite_bench.report.figures.style import COLOURS, Doubles, drawing, errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def forest(
    lines: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    differences: Doubles,
    low: Doubles,
    high: Doubles,
    surely: Doubles,
    caption: str,
    suites: int = 0,
    margin: float | None = None,
) -> Figure:
    """`differences`, `low` and `high` (pairs, lines) float64, the first of a pair less the second; `surely` (pairs, lines)
    is 1 where the corrected test rejects, and the marker is filled. The last `suites` lines are whole suites and are drawn
    as diamonds below a rule; `margin` is shaded."""
    with drawing(0.9 + 0.19 * len(lines), caption) as figure:
        panels = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
        at = np.arange(len(lines), dtype=np.float64)
        reach = 100 * max(0.02, float(np.nanmax(np.abs([low, high])))) * 1.05
        for axes, pair, difference, a, b, sure in zip(panels, pairs, differences, low, high, surely, strict=True):
            if margin is not None:
                axes.axvspan(-100 * margin, 100 * margin, color="#e6e6e6", linewidth=0)
            axes.axvline(0, color="black", linewidth=0.8)
            for n in at.astype(int):
                whole = n >= len(lines) - suites
                axes.errorbar(
                    100 * difference[n],
                    n,
                    xerr=100 * errors(difference[n : n + 1], a[n : n + 1], b[n : n + 1]),
                    fmt="D" if whole else "o",
                    markersize=5.5 if whole else 4.5,
                    color=COLOURS[0],
                    markerfacecolor=COLOURS[0] if sure[n] else "white",
                    elinewidth=1.6 if whole else 1.0,
                    capsize=2,
                )
            if 0 < suites < len(lines):
                axes.axhline(len(lines) - suites - 0.5, color="#999999", linewidth=0.7)
            axes.set_xlim(-reach, reach)
            axes.set_ylim(len(lines) - 0.4, -0.6)
            axes.grid(axis="x")
            axes.tick_params(axis="both", length=2.5, width=0.7)
            axes.set_title(f"{pair[0]} - {pair[1]}")
            axes.set_xlabel(f"← {pair[1]} better     {pair[0]} better →" if len(pairs) == 1 else "")
        panels[0].set_yticks(at, lines)
        if len(pairs) > 1:
            figure.supylabel("")
            panels[len(pairs) // 2].set_xlabel("difference in percentage points")
    return figure
