"""Exact scores of chosen pairs. Candidates are put on the grid as they are needed, never all at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.ragged import Ints
from unite_bench.rank.grid import Doubles, Similarity, Singles, on_grid, scales, single
from unite_bench.rank.maxsim import MaxSim, Tokens

GATHER_CHUNK = 1024  # pairs of vectors gathered at a time: they should stay in the cache

Vectors = npt.NDArray[np.floating[Any]]


def scorer_of(queries: Vectors | Tokens, candidates: Vectors | Tokens, similarity: Similarity) -> Scorer | MaxSim:
    """What scores these: MaxSim takes tokens, the other similarities one vector an item."""
    if isinstance(queries, Tokens) and isinstance(candidates, Tokens) and similarity == "maxsim":
        return MaxSim(queries, candidates)
    if isinstance(queries, Tokens) or isinstance(candidates, Tokens) or similarity == "maxsim":
        raise ValueError("maxsim scores Tokens with Tokens; cosine and dot score arrays of one vector an item")
    return Scorer(queries, candidates, similarity)


class Scorer:
    """Scores of `queries` (n, dim) against `candidates` (m, dim).

    The length of a candidate is taken when it is first scored, so that a pass which settles most pairs without exact scores
    need not read every vector twice. A dot product needs the longest of all first.
    """

    def __init__(self, queries: Vectors, candidates: Vectors, similarity: Similarity):
        own = scales(queries, "cosine")
        self.queries = on_grid(queries, own)
        self.quick_queries: Singles = single(queries, own)
        self.candidates = candidates
        self._similarity = similarity
        self._scale = np.full(len(candidates), np.nan) if similarity == "cosine" else scales(candidates, similarity)

    @property
    def common_scale(self) -> float | None:
        """What every candidate is multiplied by, or None where each is divided by its own length."""
        return None if self._similarity == "cosine" else float(self._scale[0])

    def scale(self, chosen: Ints | slice) -> Doubles:
        """What these candidates are multiplied by to lie in the unit ball, (chosen,)."""
        if np.isnan(self._scale[chosen]).any():
            self._scale[chosen] = scales(self.candidates[chosen], "cosine")
        return np.asarray(self._scale[chosen])

    def grid(self, chosen: Ints | slice) -> Doubles:
        """Candidates on the grid, (chosen, dim) float64."""
        return on_grid(self.candidates[chosen], self.scale(chosen))

    def quick(self, chosen: slice) -> Singles:
        """Candidates scaled in single precision, (chosen, dim)."""
        return single(self.candidates[chosen], self.scale(chosen))

    def against(self, rows: Ints, block: slice) -> Doubles:
        """Exact scores of some queries with a block of candidates, (rows, block)."""
        return np.asarray(self.queries[rows] @ self.grid(block).T)

    def pairs(self, rows: Ints, columns: Ints) -> Doubles:
        """Exact scores of (queries[rows[i]], candidates[columns[i]])."""
        out = np.empty(rows.size)
        for start in range(0, rows.size, GATHER_CHUNK):
            part = slice(start, start + GATHER_CHUNK)
            out[part] = np.einsum("ij,ij->i", self.queries[rows[part]], self.grid(columns[part]))
        return out
