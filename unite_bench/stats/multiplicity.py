"""Corrections for many tests at once. The family, which tests are counted together, is the caller's to choose and name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def holm(p: Doubles) -> Doubles:
    """Adjusted p-values (n,) that bound the chance of any false rejection, whatever the tests' dependence (Holm,
    Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(p.size, 0, -1)
    return _in_place(np.maximum.accumulate(scaled), order)


def benjamini_hochberg(p: Doubles) -> Doubles:
    """Adjusted p-values (n,) that bound the expected share of false rejections among all rejections, if the tests are
    independent or positively dependent (Benjamini and Hochberg, JRSS B 57, 1995)."""
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    return _in_place(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _in_place(adjusted: Doubles, order: npt.NDArray[np.int64]) -> Doubles:
    out = np.empty_like(adjusted)
    out[order] = np.minimum(adjusted, 1.0)
    return out
