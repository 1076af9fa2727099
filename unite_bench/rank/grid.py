"""Scores that are exact: the same bits in any order of summation, block size, thread count or BLAS.

Vectors are scaled into the unit ball in float64 and rounded to multiples of 2^-26. A product of two such numbers is a
multiple of 2^-52, and so is every partial sum of a dot product; none exceeds 1 by more than rounding, so all of them fit
the 53 bits of a float64 and nothing is ever rounded. Tied therefore means equal; there is no tolerance.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Similarity = Literal["cosine", "dot", "maxsim"]
Doubles = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
STEP = 2.0**-26


def scales(vectors: npt.NDArray[np.floating[Any]], similarity: Similarity, rows_per_block: int = 1024) -> Doubles:
    """What each row is multiplied by to lie in the unit ball, (n,) float64.

    Cosine: one over the row's length. Dot product: one over the smallest power of two above the longest row, the same for
    all rows, so that lengths still count; the grid is then that power of two times 2^-26.
    """
    lengths = np.empty(len(vectors))
    for start in range(0, len(vectors), rows_per_block):
        block = np.asarray(vectors[start : start + rows_per_block], dtype=np.float64)
        lengths[start : start + rows_per_block] = np.sqrt((block * block).sum(axis=1))
    if similarity == "cosine":
        return 1.0 / lengths
    longest = float(lengths.max(initial=0.0)) or 1.0
    return np.full(len(vectors), 2.0 ** -np.ceil(np.log2(longest)))


def on_grid(vectors: npt.NDArray[np.floating[Any]], scale: Doubles) -> Doubles:
    """Rows scaled and rounded to multiples of 2^-26, (n, dim) float64."""
    scaled = np.asarray(vectors, dtype=np.float64) * scale[:, None]
    return np.asarray(np.rint(scaled / STEP) * STEP)


def single(vectors: npt.NDArray[np.floating[Any]], scale: Doubles) -> Singles:
    """Rows scaled in single precision, for the quick pass; `band` bounds what that costs."""
    return np.asarray(vectors, dtype=np.float32) * scale.astype(np.float32)[:, None]


def band(dim: int, own_lengths: bool = False) -> float:
    """A bound on |single-precision score - exact score| for vectors in the unit ball.

    Scaling in single precision puts each coordinate off by at most 2^-23 of itself, and the grid by 2^-27; summing `dim`
    products in any order adds at most dim * 2^-24 relative to the sum of their absolute values, which is at most 1.
    With `own_lengths`, a raw product was divided by a length from single precision: its square is off by at most
    (dim + 2) * 2^-24 of itself, the root by half of that, and root and quotient are rounded once each.
    Doubled to be safe about second-order terms.
    """
    roundings = dim + 8 + (dim / 2 + 4 if own_lengths else 0)
    return float(2.0 * (roundings * 2.0**-24 + np.sqrt(dim) * 2.0**-26))
