"""Measures per query, as expectations over a random order of tied candidates.

After McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of tied
scores" (ECIR 2008), in closed form. A tie group has t candidates, p of them positives; n candidates and r positives stand
above it; s = clip(k - n, 0, t) of its ranks lie within the first k. Without ties these are the textbook measures.
Every function returns one float64 per query.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from unite_bench.rank.counts import Counts
from unite_bench.spec.measures import Measure

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def per_query(measure: Measure, counts: Counts) -> Doubles:
    """Values of one measure, (queries,). A query without positives in its pool scores 0 (rank: the pool's size + 1).

    `modality@k` is not about positives; `unite_bench.rank.top.share_within` gives it. `content@k` is `hit@k` over counts of
    pools that hold the asked modality alone.
    """
    ordered = _Ordered(counts)
    if measure.k is None:
        return _WHOLE[measure.name](ordered)
    return _CUT[measure.name](ordered, measure.k)


class _Ordered:
    """The counts with each query's positives in an order of their own (rank, then grade), never in corpus order:
    sums of floats then come out the same to the last bit however the corpus was ordered."""

    def __init__(self, counts: Counts):
        rows = counts.qrels.rows
        order = np.lexsort((counts.qrels.values, counts.tied, counts.above, rows))
        self.queries = len(counts.qrels)
        self.rows = rows[order]
        self.grades = counts.qrels.values[order]
        self.n = counts.above[order]
        self.t = counts.tied[order]
        self.r = counts.positives_above[order]
        self.p = counts.positives_tied[order]
        self.judged = counts.judged
        self.positives = counts.judged.counts
        self.pool = counts.pool
        self.first = _first_of_each(self.rows)

    def sum(self, values: Doubles) -> Doubles:
        """Sum of one value per positive, per query, from the best positive down."""
        return np.asarray(np.bincount(self.rows, weights=values, minlength=self.queries), dtype=np.float64)

    def within(self, k: int) -> Ints:
        """s: how many ranks of each positive's tie group lie within the first k."""
        return np.clip(k - self.n, 0, self.t)

    def divided(self, total: Doubles, by: Ints | Doubles) -> Doubles:
        return np.divide(total, by, out=np.zeros(self.queries), where=np.asarray(by) > 0)


def _first_of_each(rows: Ints) -> Ints:
    """Position of the first entry of every query that has one (`rows` is sorted)."""
    return np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]]) if rows.size else np.zeros(0, dtype=np.int64)


def hit(o: _Ordered, k: int) -> Doubles:
    """Probability that a positive is among the first k: decided by the first tie group that holds one."""
    out = np.zeros(o.queries)
    n, t, p = o.n[o.first], o.t[o.first], o.p[o.first]
    s = np.clip(k - n, 0, t)
    miss = np.ones(n.size)
    for step in range(int(s.max(initial=0))):  # C(t - p, s) / C(t, s) as a product of at most k ratios
        live = step < s
        miss[live] *= np.maximum(t[live] - p[live] - step, 0) / (t[live] - step)
    out[o.rows[o.first]] = np.where(s > 0, 1.0 - miss, 0.0)
    return out


def recall(o: _Ordered, k: int) -> Doubles:
    """Expected share of the positives among the first k."""
    return o.divided(o.sum(o.within(k) / o.t), o.positives)


def precision(o: _Ordered, k: int) -> Doubles:
    """Expected share of the first k that are positives (k counts in full when the pool is smaller)."""
    return o.sum(o.within(k) / o.t) / k


def mean_reciprocal_rank(o: _Ordered) -> Doubles:
    """Expected reciprocal rank of the first positive."""
    out = np.zeros(o.queries)
    triples = np.stack([o.n[o.first], o.t[o.first], o.p[o.first]], axis=1)
    distinct, back = np.unique(triples, axis=0, return_inverse=True)
    values = np.array([_reciprocal(int(n), int(t), int(p)) for n, t, p in distinct])
    out[o.rows[o.first]] = values[back.reshape(-1)] if triples.size else 0.0
    return out


def _reciprocal(n: int, t: int, p: int) -> float:
    """sum over j = 1 .. t - p + 1 of P(first positive at place j of the group) / (n + j)."""
    if t == 1:
        return 1.0 / (n + 1)
    j = np.arange(1, t - p + 2)
    # P(j) = C(t - j, p - 1) / C(t, p): p / t at j = 1, then each step multiplies by (t - p - j + 1) / (t - j).
    steps = (t - p - j[:-1] + 1) / (t - j[:-1])
    chances = p / t * np.r_[1.0, np.cumprod(steps)]
    return float(np.sum(chances / (n + j)))


def median_rank(o: _Ordered) -> Doubles:
    """Expected rank of the first positive; the task reports the median of these over queries."""
    out = o.pool.astype(np.float64) + 1.0
    n, t, p = o.n[o.first], o.t[o.first], o.p[o.first]
    out[o.rows[o.first]] = n + (t + 1) / (p + 1)
    return out


def all_first(o: _Ordered) -> Doubles:
    """Probability that every positive stands above every other candidate: decided by the lowest positive's tie group."""
    out = np.zeros(o.queries)
    last = np.r_[o.first[1:], o.rows.size] - 1 if o.rows.size else o.first
    n, t, r, p = o.n[last], o.t[last], o.r[last], o.p[last]
    whole = (r + p) == o.positives[o.rows[last]]  # a positive that could not be encoded stands nowhere
    out[o.rows[last]] = np.where((n == r) & whole, 1.0 / special.comb(t, p), 0.0)
    return out


def average_precision(o: _Ordered, k: int) -> Doubles:
    """Expected average precision within the first k, over all positives of the query."""
    harmonic = _harmonic(int(np.max(o.n + o.t, initial=0)))
    s = o.within(k)
    slope = np.divide(o.p - 1, o.t - 1, out=np.zeros(o.n.size), where=o.t > 1)
    inner = slope * s + (o.r + 1 - slope * (o.n + 1)) * (harmonic[o.n + s] - harmonic[o.n])
    # The group's share is (p / t) * inner, for its p positives together; each of them carries inner / t.
    return o.divided(o.sum(inner / o.t), o.positives)


def discounted_gain(o: _Ordered, k: int, gain: Callable[[Doubles], Doubles]) -> Doubles:
    """Expected DCG@k over the ideal one: the gain of a group is spread evenly over its ranks."""
    last = int(max(np.max(o.n + o.t, initial=0), k))
    discounts = np.r_[0.0, np.cumsum(1.0 / np.log2(np.arange(2, last + 2)))]
    earned = o.sum(gain(o.grades) * (discounts[o.n + o.within(k)] - discounts[o.n]) / o.t)
    rows, gains = o.judged.rows, gain(o.judged.values)
    best_first = gains[np.lexsort((-gains, rows))]
    place = np.arange(rows.size) - o.judged.starts[rows]
    ideal = np.where(place < k, best_first * np.diff(discounts)[np.minimum(place, last - 1)], 0.0)
    return o.divided(earned, np.bincount(rows, weights=ideal, minlength=o.queries))


def _harmonic(last: int) -> Doubles:
    """H_0 .. H_last."""
    return np.concatenate([np.zeros(1), np.cumsum(1.0 / np.arange(1, last + 1))])


_WHOLE: dict[str, Callable[[_Ordered], Doubles]] = {
    "mrr": mean_reciprocal_rank,
    "median_rank": median_rank,
    "all_first": all_first,
}
_CUT: dict[str, Callable[[_Ordered, int], Doubles]] = {
    "hit": hit,
    "content": hit,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "ndcg": lambda o, k: discounted_gain(o, k, lambda grades: grades),
    "ndcg_exp": lambda o, k: discounted_gain(o, k, lambda grades: np.exp2(grades) - 1.0),
}
