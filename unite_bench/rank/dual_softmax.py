"""Dual softmax: every score times its softmax over the queries, so that a candidate which suits many queries suits none.

After Cheng et al., "Improving video-text retrieval by multi-stream corpus alignment and dual softmax loss" (arXiv
2109.04290), applied to finished vectors: with cosine s and temperature T, query q ranks candidate c by
s(q, c) * exp(s(q, c) / T) / (sum over all queries p of exp(s(p, c) / T)). Papers that multiply cosines by 100 and take a
temperature of 1 have T = 0.01.

The result is transductive: other queries beside a query move its ranks. It is also no longer exact, but reproducible:
cosines are exact, the largest of a candidate is subtracted first, every step is the same float64 operation on each entry
by itself, and the sum runs over the queries one by one in the order given (that of their content digests). So neither
the order of rows nor the size of a block changes a bit, and candidates of equal vectors tie. Exponentials come from the
machine's mathematical library, whose last bit may differ between machines.
"""

from __future__ import annotations

import numpy as np

from unite_bench.ragged import Ints, Ragged
from unite_bench.rank.counts import PAIR_CHUNK, Counts, among_positives
from unite_bench.rank.grid import Doubles
from unite_bench.rank.scorer import Scorer, Vectors
from unite_bench.rank.top import Best, members

ENTRIES = 1 << 22  # scores of one block of candidates


def dual_softmax(
    queries: Vectors,
    candidates: Vectors,
    qrels: Ragged,
    excluded: Ragged,
    temperature: float,
    order: Ints,
    k: int,
) -> tuple[Counts, Ints, Doubles]:
    """Counts, and the first k candidates with their scores, (n, k) each, as `count` and `first` give them.

    `order` holds the positions of the queries that the softmax is over, in the order of the sum.
    """
    rescored = _Rescored(Scorer(queries, candidates, "cosine"), excluded, temperature, order)
    rows = qrels.rows
    scores = np.empty(rows.size)
    for block in rescored.blocks:
        inside = np.flatnonzero((qrels.indices >= block.start) & (qrels.indices < block.stop))
        scores[inside] = rescored.scores(block)[rows[inside], qrels.indices[inside] - block.start]
    above, tied = np.zeros(rows.size, dtype=np.int64), np.zeros(rows.size, dtype=np.int64)
    best = Best(len(queries), min(k, len(candidates)))
    for block in rescored.blocks:
        held = rescored.scores(block)
        for start in range(0, rows.size, PAIR_CHUNK):
            pairs = slice(start, start + PAIR_CHUNK)
            above[pairs] += (held[rows[pairs]] > scores[pairs, None]).sum(axis=1)
            tied[pairs] += (held[rows[pairs]] == scores[pairs, None]).sum(axis=1)
        column = np.argsort(-held, axis=1, kind="stable")[:, : best.k].reshape(-1)
        row = np.repeat(np.arange(len(queries)), column.size // len(queries))
        kept = np.isfinite(held[row, column])
        best.offer(row[kept], column[kept] + block.start, held[row, column][kept])
    pool = np.full(len(queries), len(candidates), dtype=np.int64) - excluded.counts
    counts = Counts(qrels, qrels, above, tied, *among_positives(qrels, scores), pool)
    return counts, best.places, best.scores


class _Rescored:
    """The rescored matrix, a block of candidates at a time; -inf where a candidate is not in the query's pool."""

    def __init__(self, scorer: Scorer, excluded: Ragged, temperature: float, order: Ints):
        self.scorer, self.excluded, self.temperature, self.order = scorer, excluded, temperature, order
        size, width = len(scorer.candidates), max(1, ENTRIES // len(scorer.queries))
        self.blocks = [slice(start, min(start + width, size)) for start in range(0, size, width)]

    def scores(self, block: slice) -> Doubles:
        """(queries, block) float64"""
        cosines = self.scorer.queries @ self.scorer.grid(block).T
        outside = members(self.excluded, np.arange(len(cosines)), block)
        asked = np.where(outside, -np.inf, cosines)
        most = np.maximum(asked[self.order].max(axis=0, initial=-1.0), -1.0)
        weights = np.exp((asked - most) / self.temperature)
        total = np.zeros(len(most))
        for query in self.order:
            total += weights[query]
        shares = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        return np.where(outside, -np.inf, cosines * shares)
