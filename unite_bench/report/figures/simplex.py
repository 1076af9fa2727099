"""A mixture simplex: scores of models trained on mixtures of three kinds of data, as points in a triangle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unite_bench.errors import DataError
from unite_bench.report.figures.style import SMALL, Doubles, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CORNERS = np.array([[0.5, np.sqrt(3) / 2], [0.0, 0.0], [1.0, 0.0]])  # top, left, right


def simplex(kinds: Sequence[str], shares: Doubles, values: Doubles, caption: str) -> Figure:
    """`kinds`: three names, those of the corners; `shares` (points, 3), each at least 0, and scaled to sum to 1; `values`
    (points,) float64. The best point has a ring.

    Raises DataError for other shapes, or shares that are no mixture.
    """
    if len(kinds) != 3 or shares.shape[1:] != (3,):
        raise DataError(f"a simplex has three kinds of data, not {len(kinds)}")
    if not (np.isfinite(shares).all() and (shares >= 0).all() and (shares.sum(axis=1) > 0).all()):
        raise DataError("shares of a mixture are at least 0, and one of them is more")
    at = shares / shares.sum(axis=1, keepdims=True) @ CORNERS
    with drawing(3.9, caption) as figure:
        from matplotlib import colormaps

        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_aspect("equal")
        for step in (0.25, 0.5, 0.75):
            for corner in range(3):
                ends = np.full((2, 3), 0.0)
                ends[:, corner] = step
                ends[0, (corner + 1) % 3] = ends[1, (corner + 2) % 3] = 1 - step
                axes.plot(*(ends @ CORNERS).T, color="#d9d9d9", linewidth=0.7, zorder=0)
        axes.plot(*CORNERS[[0, 1, 2, 0]].T, color="black", linewidth=0.9, zorder=1)
        found = axes.scatter(
            at[:, 0],
            at[:, 1],
            c=100 * values,
            cmap=colormaps["Blues"],
            s=110,
            edgecolors="black",
            linewidths=0.7,
            zorder=2,
        )
        span = max(1.0, 100 * float(np.ptp(values)))
        found.set_clim(100 * values.min() - 0.25 * span, 100 * values.max())
        best = int(values.argmax())
        axes.scatter(at[best, 0], at[best, 1], s=230, facecolors="none", edgecolors="#D55E00", linewidths=1.6, zorder=3)
        for place, value in zip(at, values, strict=True):
            axes.annotate(
                f"{100 * value:.1f}",
                place,
                (0, 8.5),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=SMALL,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.4},
            )
        for (x, y), name, side in zip(CORNERS, kinds, ("center", "right", "left"), strict=True):
            offset = {"center": (0, 20), "right": (-12, 0), "left": (12, 0)}[side]
            axes.annotate(f"{name} alone", (x, y), offset, textcoords="offset points", ha=side, va="center", fontsize=8)
        axes.margins(0.08)
    return figure
