"""Choosing rows that stand for all: facility location by lazy greedy, and k-centre.

Facility location maximises the mean similarity of every row to the nearest chosen one; greedy reaches at least 1 - 1/e
of the best (Nemhauser et al., Mathematical Programming 1978), and the lazy form chooses the same rows with fewer looks
(Minoux 1978). K-centre makes the largest distance to the nearest chosen row small; farthest-first is within twice the
best (Gonzalez, TCS 1985). Similarities are multiples of 2^-22, so sums are exact, gains of equal size are equal, and the
first row wins: the choice is the same on every machine.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_model.curation.steps.keys import Ints
from reference_model.curation.steps.vectors import grid

STEP = 2.0**-22
BLOCK = 1024
Similarities = npt.NDArray[np.float32]


def similarities(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> Similarities:
    """Cosines of (n, dim) with (m, dim), (n, m), rounded to multiples of 2^-22."""
    right = grid(second).T
    out = np.empty((len(first), len(second)), dtype=np.float32)
    for start in range(0, len(first), BLOCK):
        out[start : start + BLOCK] = np.rint(grid(first[start : start + BLOCK]) @ right / STEP) * STEP
    return out


def facility_location(similarity: Similarities, count: int) -> Ints:
    """`count` of the n columns, in the order chosen: each adds most to the sum over rows of the largest similarity.

    `similarity` (rows, n). The first of equal columns is chosen.
    """
    best = np.full(len(similarity), -1.0, dtype=np.float32)
    gains = (similarity.astype(np.float64) + 1.0).sum(axis=0)
    heap = [(-gain, column) for column, gain in enumerate(gains.tolist())]
    heapq.heapify(heap)
    columns = np.ascontiguousarray(similarity.T)
    chosen: list[int] = []
    looked_at = np.zeros(len(heap), dtype=np.int64)  # how many were chosen when a gain was last computed
    while len(chosen) < count:
        _, column = heapq.heappop(heap)
        if looked_at[column] == len(chosen):
            chosen.append(column)
            np.maximum(best, columns[column], out=best)
            continue
        gain = float(np.maximum(columns[column] - best, 0.0).sum(dtype=np.float64))
        looked_at[column] = len(chosen)
        heapq.heappush(heap, (-gain, column))
    return np.array(chosen, dtype=np.int64)


def k_centre(similarity: Similarities, count: int) -> Ints:
    """`count` of n rows, in the order chosen: first the one most similar to all, then always the farthest. `similarity`
    (n, n)."""
    chosen = [int(np.argmax(similarity.sum(axis=1, dtype=np.float64)))]
    nearest = similarity[chosen[0]].copy()
    nearest[chosen[0]] = 2.0
    while len(chosen) < count:
        farthest = int(np.argmin(nearest))
        chosen.append(farthest)
        np.maximum(nearest, similarity[farthest], out=nearest)
        nearest[farthest] = 2.0
    return np.array(chosen, dtype=np.int64)


def coverage(vectors: npt.NDArray[Any], chosen: Ints, witnesses: Ints) -> tuple[float, float]:
    """Mean cosine of the witnesses to the nearest chosen row, and the radius: 1 minus the smallest of these cosines."""
    nearest = np.full(witnesses.size, -1.0, dtype=np.float32)
    for start in range(0, chosen.size, BLOCK):
        block = similarities(vectors[witnesses], vectors[chosen[start : start + BLOCK]])
        np.maximum(nearest, block.max(axis=1), out=nearest)
    return float(nearest.mean(dtype=np.float64)), float(1.0 - nearest.min())
