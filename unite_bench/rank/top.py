"""The first candidates of each query, for reading; and how many of them have a wanted form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unite_bench.ragged import Ragged
from unite_bench.rank.counts import Vectors
from unite_bench.rank.grid import Doubles, Similarity, on_grid, scales

QUERY_BLOCK = 256
CANDIDATE_BLOCK = 8192


def first(
    queries: Vectors, candidates: Vectors, k: int, pools: Ragged | None = None, similarity: Similarity = "cosine"
) -> tuple[npt.NDArray[np.int64], Doubles]:
    """Positions (n, k) and exact scores (n, k) of the k best candidates, best first; equal scores in corpus order.

    Where a query's pool holds fewer than k, the rest is -1 with score NaN. Memory is one block of scores, not all.
    """
    k = min(k, len(candidates))
    places = np.full((len(queries), k), -1, dtype=np.int64)
    best = np.full((len(queries), k), -np.inf)
    wanted = on_grid(queries, scales(queries, "cosine"))
    scale = scales(candidates, similarity)
    for start in range(0, len(candidates), CANDIDATE_BLOCK):
        block = slice(start, min(start + CANDIDATE_BLOCK, len(candidates)))
        grid = on_grid(candidates[block], scale[block])
        for top in range(0, len(queries), QUERY_BLOCK):
            rows = slice(top, min(top + QUERY_BLOCK, len(queries)))
            scores = wanted[rows] @ grid.T
            if pools is not None:
                scores[~_members(pools, rows, block)] = -np.inf
            columns = np.broadcast_to(np.arange(block.start, block.stop), scores.shape)
            all_scores = np.concatenate([best[rows], scores], axis=1)
            all_places = np.concatenate([places[rows], columns], axis=1)
            order = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
            best[rows] = np.take_along_axis(all_scores, order, axis=1)
            places[rows] = np.take_along_axis(all_places, order, axis=1)
    places[np.isneginf(best)] = -1
    best[np.isneginf(best)] = np.nan
    return places, best


def share_within(
    queries: Vectors,
    candidates: Vectors,
    wanted: npt.NDArray[np.bool_],
    k: int,
    pools: Ragged | None = None,
    similarity: Similarity = "cosine",
) -> Doubles:
    """Expected share, under random order of ties, of the first k candidates that are `wanted` (n, m); (n,) float64."""
    out = np.empty(len(queries))
    grid = on_grid(candidates, scales(candidates, similarity))
    asked = on_grid(queries, scales(queries, "cosine"))
    for top in range(0, len(queries), QUERY_BLOCK):
        rows = slice(top, min(top + QUERY_BLOCK, len(queries)))
        scores = asked[rows] @ grid.T
        if pools is not None:
            scores[~_members(pools, rows, slice(0, len(candidates)))] = -np.inf
        depth = min(k, scores.shape[1])
        edge = -np.partition(-scores, depth - 1, axis=1)[:, depth - 1 : depth]
        over, level = scores > edge, scores == edge
        good = wanted[rows]
        places_left = depth - over.sum(axis=1)
        out[rows] = ((over & good).sum(axis=1) + places_left * (level & good).sum(axis=1) / level.sum(axis=1)) / k
    return out


def _members(pools: Ragged, rows: slice, block: slice) -> npt.NDArray[np.bool_]:
    """Which candidates of a block are in the pools of a block of queries, (rows, block)."""
    inside = np.zeros((rows.stop - rows.start, block.stop - block.start), dtype=bool)
    for n in range(rows.start, rows.stop):
        listed = pools[n]
        inside[n - rows.start, listed[(listed >= block.start) & (listed < block.stop)] - block.start] = True
    return inside
