"""The first candidates of each query, for reading; and how many of them have a wanted form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unite_bench.ragged import Ints, Ragged
from unite_bench.rank.counts import CANDIDATE_BLOCK, DENSE
from unite_bench.rank.grid import Doubles, Similarity, band
from unite_bench.rank.lists import best_of_lists, spread
from unite_bench.rank.maxsim import MaxSim, Tokens
from unite_bench.rank.scorer import Scorer, Vectors, scorer_of

QUERY_BLOCK = 256


def first(
    queries: Vectors | Tokens,
    candidates: Vectors | Tokens,
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
    scorer = scorer_of(queries, candidates, similarity)
    best = Best(len(queries), min(k, len(candidates)))
    if pools is not None:
        kept = pools if excluded is None else pools.keep(~_listed(pools, excluded, len(candidates)))
        proposed, scores = best_of_lists(scorer, kept, best.k)
        best.offer(proposed.rows, proposed.indices, scores)
        return best.places, best.scores
    if isinstance(scorer, MaxSim):
        for rows, block, exact in scorer.blocks():
            if excluded is not None:
                exact[members(excluded, rows, block)] = -np.inf
            row, column, scores = _best_of(exact, best.k)
            best.offer(rows[row], column + block.start, scores)
        return best.places, best.scores
    width = 2 * band(scorer.queries.shape[1])  # both the proposal and the one it is compared with may be off
    for start in range(0, len(candidates), candidate_block):
        block = slice(start, min(start + candidate_block, len(candidates)))
        quick = scorer.quick(block)
        for top in range(0, len(queries), QUERY_BLOCK):
            asked = slice(top, min(top + QUERY_BLOCK, len(queries)))
            product = scorer.quick_queries[asked] @ quick.T
            if excluded is not None:
                product[members(excluded, np.arange(asked.start, asked.stop), block)] = -np.inf
            row, column, scores = _proposed(product, best.floor[asked] - width, best.k, width, scorer, asked, block)
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
    return _best_of(exact, k)


def _best_of(exact: Doubles, k: int) -> tuple[Ints, Ints, Doubles]:
    """The k best entries of each row, equal scores in order of the columns; -inf is not an entry."""
    order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
    row, column = np.repeat(np.arange(len(exact)), order.shape[1]), order.reshape(-1)
    held = np.isfinite(exact[row, column])
    return row[held], column[held], exact[row[held], column[held]]


class Best:
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
    queries: Vectors | Tokens,
    candidates: Vectors | Tokens,
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
    scorer = scorer_of(queries, candidates, similarity)
    for top in range(0, len(queries), QUERY_BLOCK):
        rows = slice(top, min(top + QUERY_BLOCK, len(queries)))
        inside = pool_mask(rows, len(candidates), pools, excluded)
        scores = np.where(inside, scorer.against(np.arange(rows.start, rows.stop), slice(0, len(candidates))), -np.inf)
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
    asked, whole = np.arange(rows.start, rows.stop), slice(0, candidates)
    inside = np.ones((asked.size, candidates), dtype=bool) if pools is None else members(pools, asked, whole)
    return inside if excluded is None else inside & ~members(excluded, asked, whole)


def members(lists: Ragged, rows: Ints, block: slice) -> npt.NDArray[np.bool_]:
    """Which candidates of a block are in the lists of a block of queries, (rows, block)."""
    inside = np.zeros((rows.size, block.stop - block.start), dtype=bool)
    entries, row = spread(lists.starts[rows], lists.counts[rows])
    column = lists.indices[entries] - block.start
    held = (column >= 0) & (column < inside.shape[1])
    inside[row[held], column[held]] = True
    return inside


def _listed(lists: Ragged, others: Ragged, candidates: int) -> npt.NDArray[np.bool_]:
    """Which entries of `lists` stand in the same row of `others` too."""
    return np.isin(lists.rows * candidates + lists.indices, others.rows * candidates + others.indices)
