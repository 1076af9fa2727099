"""The first candidates of each query, for reading; and how many of them have a wanted form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unite_bench.ragged import Ints, Ragged
from unite_bench.rank.counts import CANDIDATE_BLOCK, DENSE, Scorer, Vectors
from unite_bench.rank.grid import Doubles, Similarity, band, on_grid, scales, single

QUERY_BLOCK = 256


def first(
    queries: Vectors,
    candidates: Vectors,
    k: int,
    pools: Ragged | None = None,
    excluded: Ragged | None = None,
    similarity: Similarity = "cosine",
    candidate_block: int = CANDIDATE_BLOCK,
) -> tuple[Ints, Doubles]:
    """Positions (n, k) and exact scores (n, k) of the k best candidates, best first; equal scores in corpus order.

    Where a query's pool holds fewer than k, the rest is -1 with score NaN. One single-precision pass proposes, widened by
    the error band; only what it proposes is scored exactly.
    """
    scale = scales(candidates, similarity)
    scorer = Scorer(on_grid(queries, scales(queries, "cosine")), candidates, scale)
    best = _Best(len(queries), min(k, len(candidates)))
    if pools is not None:
        kept = pools if excluded is None else pools.keep(~_listed(pools, excluded, len(candidates)))
        best.offer(kept.rows, kept.indices, scorer.pairs(kept.rows, kept.indices))
        return best.places, best.scores
    quick_queries = single(queries, scales(queries, "cosine"))
    width = 2 * band(queries.shape[1])  # both the proposal and the one it is compared with may be off
    for start in range(0, len(candidates), candidate_block):
        block = slice(start, min(start + candidate_block, len(candidates)))
        quick = single(candidates[block], scale[block])
        for top in range(0, len(queries), QUERY_BLOCK):
            rows = slice(top, min(top + QUERY_BLOCK, len(queries)))
            product = quick_queries[rows] @ quick.T
            if excluded is not None:
                product[_members(excluded, rows, block)] = -np.inf
            row, column, scores = _proposed(product, best.floor[rows] - width, best.k, width, scorer, rows, block)
            best.offer(row + top, column + start, scores)
    return best.places, best.scores


def _proposed(
    product: npt.NDArray[np.float32], floor: Doubles, k: int, width: float, scorer: Scorer, rows: slice, block: slice
) -> tuple[Ints, Ints, Doubles]:
    """Entries of one block that may be among the k best of their row, with exact scores."""
    if product.shape[1] > k:
        own = np.partition(product, product.shape[1] - k, axis=1)[:, product.shape[1] - k]
        floor = np.maximum(floor, np.where(np.isneginf(floor), own - width, floor))
    low = np.nextafter(floor.astype(np.float32), np.float32(-np.inf))
    allowed = ~np.isneginf(product)
    row, column = np.nonzero((product >= low[:, None]) & allowed)
    if row.size <= max(DENSE * product.size, k * len(product)):
        return row, column, scorer.pairs(row + rows.start, column + block.start)
    exact = scorer.queries[rows] @ scorer.grid(block).T
    exact[~allowed] = -np.inf
    order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
    row, column = np.repeat(np.arange(len(exact)), order.shape[1]), order.reshape(-1)
    held = np.isfinite(exact[row, column])
    return row[held], column[held], exact[row[held], column[held]]


class _Best:
    """The k best entries of every row so far, in order: score first, then place in the corpus."""

    def __init__(self, rows: int, k: int):
        self.k = k
        self.places = np.full((rows, k), -1, dtype=np.int64)
        self.scores = np.full((rows, k), np.nan)

    @property
    def floor(self) -> Doubles:
        """What a new entry must reach, (rows,): the k-th best score, or -inf while there are fewer."""
        last = self.scores[:, -1]
        return np.where(np.isnan(last), -np.inf, last)

    def offer(self, rows: Ints, places: Ints, scores: Doubles) -> None:
        """Take in new entries."""
        touched, local = np.unique(rows, return_inverse=True)
        held_row, held_column = np.nonzero(self.places[touched] >= 0)
        row = np.concatenate([held_row, local])
        place = np.concatenate([self.places[touched][held_row, held_column], places])
        score = np.concatenate([self.scores[touched][held_row, held_column], scores])
        order = np.lexsort((place, -score, row))
        row, place, score = row[order], place[order], score[order]
        starts = np.searchsorted(row, np.arange(touched.size))
        rank = np.arange(row.size) - starts[row]
        kept = rank < self.k
        self.places[touched[row[kept]], rank[kept]] = place[kept]
        self.scores[touched[row[kept]], rank[kept]] = score[kept]


def share_within(
    queries: Vectors,
    candidates: Vectors,
    wanted: npt.NDArray[np.bool_],
    k: int,
    pools: Ragged | None = None,
    excluded: Ragged | None = None,
    similarity: Similarity = "cosine",
) -> Doubles:
    """Expected share, under random order of ties, of the first k candidates that are `wanted` (n, m); (n,) float64.

    k counts in full where a pool is smaller.
    """
    out = np.empty(len(queries))
    grid = on_grid(candidates, scales(candidates, similarity))
    asked = on_grid(queries, scales(queries, "cosine"))
    for top in range(0, len(queries), QUERY_BLOCK):
        rows = slice(top, min(top + QUERY_BLOCK, len(queries)))
        inside = pool_mask(rows, len(candidates), pools, excluded)
        scores = np.where(inside, asked[rows] @ grid.T, -np.inf)
        depth = min(k, scores.shape[1])
        edge = -np.partition(-scores, depth - 1, axis=1)[:, depth - 1 : depth]
        over, level = scores > edge, (scores == edge) & inside
        good = wanted[rows]
        places_left = depth - over.sum(axis=1)
        of_level = np.minimum(places_left, level.sum(axis=1)) / np.maximum(level.sum(axis=1), 1)
        out[rows] = ((over & good).sum(axis=1) + of_level * (level & good).sum(axis=1)) / k
    return out


def pool_mask(rows: slice, candidates: int, pools: Ragged | None, excluded: Ragged | None) -> npt.NDArray[np.bool_]:
    """Which candidates are in the pools of a block of queries, (rows, candidates)."""
    whole = slice(0, candidates)
    inside = (
        np.ones((rows.stop - rows.start, candidates), dtype=bool) if pools is None else _members(pools, rows, whole)
    )
    return inside if excluded is None else inside & ~_members(excluded, rows, whole)


def _members(lists: Ragged, rows: slice, block: slice) -> npt.NDArray[np.bool_]:
    """Which candidates of a block are in the lists of a block of queries, (rows, block)."""
    inside = np.zeros((rows.stop - rows.start, block.stop - block.start), dtype=bool)
    span = slice(int(lists.starts[rows.start]), int(lists.starts[rows.stop]))
    row = np.repeat(np.arange(rows.stop - rows.start), lists.counts[rows])
    column = lists.indices[span] - block.start
    held = (column >= 0) & (column < inside.shape[1])
    inside[row[held], column[held]] = True
    return inside


def _listed(lists: Ragged, others: Ragged, candidates: int) -> npt.NDArray[np.bool_]:
    """Which entries of `lists` stand in the same row of `others` too."""
    return np.isin(lists.rows * candidates + lists.indices, others.rows * candidates + others.indices)
