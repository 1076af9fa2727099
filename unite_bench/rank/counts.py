"""Where every positive stands: four counts per (query, positive), from which all measures follow in closed form.

One single-precision pass over the corpus settles almost every pair by two comparisons with the positive's exact score,
widened by a proven error band; the few pairs inside the band are scored again exactly. Where the band is dense (a
collapsed model), the block is computed exactly as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unite_bench.ragged import Ints, Ragged
from unite_bench.rank.grid import Doubles, Similarity, band
from unite_bench.rank.lists import counts_in_lists
from unite_bench.rank.maxsim import MaxSim, Tokens
from unite_bench.rank.scorer import Scorer, Vectors, scorer_of

PAIR_CHUNK = 256  # (query, positive) pairs scored against one block of candidates at a time
CANDIDATE_BLOCK = 4096
DENSE = 1 / 64  # share of a block inside the band from which the whole block is computed exactly


@dataclass(frozen=True)
class Counts:
    """One entry per (query, positive) pair, in the order of `qrels`, the positives that could be ranked.

    `above` candidates of the pool score higher than this positive, `tied` score the same (itself included); of
    these, `positives_above` and `positives_tied` are positives of the same query. `pool` is the pool's size, one a query.
    `judged` holds all positives; it differs from `qrels` only where some could not be encoded, and they count as missed.
    """

    qrels: Ragged
    judged: Ragged
    above: Ints
    tied: Ints
    positives_above: Ints
    positives_tied: Ints
    pool: Ints


def count(
    queries: Vectors | Tokens,
    candidates: Vectors | Tokens,
    qrels: Ragged,
    pools: Ragged | None = None,
    excluded: Ragged | None = None,
    similarity: Similarity = "cosine",
    candidate_block: int = CANDIDATE_BLOCK,
) -> Counts:
    """Exact counts. `queries` (n, dim) and `candidates` (m, dim), or the `Tokens` of both, are finite and not zero;
    `pools` restricts what each query is ranked against (None: all candidates), `excluded` takes candidates out of it
    (never positives).
    """
    scorer = scorer_of(queries, candidates, similarity)
    scores = scorer.pairs(qrels.rows, qrels.indices)
    if pools is None:
        if isinstance(scorer, MaxSim):
            above, tied = scorer.against_corpus(qrels, scores)
        else:
            above, tied = _against_corpus(scorer, qrels, scores, candidate_block)
        pool = np.full(len(qrels), len(candidates), dtype=np.int64)
    else:
        above, tied = counts_in_lists(scorer, pools, qrels, scores)
        pool = pools.counts
    if excluded is not None and excluded.indices.size:
        less_above, less_tied = counts_in_lists(scorer, excluded, qrels, scores)
        above, tied, pool = above - less_above, tied - less_tied, pool - excluded.counts
    positives_above, positives_tied = among_positives(qrels, scores)
    return Counts(qrels, qrels, above, tied, positives_above, positives_tied, pool)


def if_all_tied(qrels: Ragged, pool: Ints) -> Counts:
    """The counts of an embedder that gives every candidate the same score: what chance is computed from."""
    of_pair = qrels.rows
    none = np.zeros(of_pair.size, dtype=np.int64)
    return Counts(qrels, qrels, none, pool[of_pair], none, qrels.counts[of_pair], pool)


def pair_scores(
    queries: Vectors | Tokens,
    candidates: Vectors | Tokens,
    rows: Ints,
    columns: Ints,
    similarity: Similarity = "cosine",
) -> Doubles:
    """Exact scores of (queries[rows[i]], candidates[columns[i]])."""
    return scorer_of(queries, candidates, similarity).pairs(rows, columns)


def _against_corpus(scorer: Scorer, qrels: Ragged, scores: Doubles, candidate_block: int) -> tuple[Ints, Ints]:
    """How many candidates of the whole corpus score above, and the same as, each positive."""
    above = np.zeros(scores.size, dtype=np.int64)
    tied = np.zeros(scores.size, dtype=np.int64)
    queries, rows = scorer.quick_queries, qrels.rows
    width = band(queries.shape[1])
    high = np.nextafter((scores + width).astype(np.float32), np.float32(np.inf))
    low = np.nextafter((scores - width).astype(np.float32), np.float32(-np.inf))
    buffer = np.empty((PAIR_CHUNK, min(candidate_block, len(scorer.candidates))), dtype=np.float32)
    for start in range(0, len(scorer.candidates), candidate_block):
        block = slice(start, min(start + candidate_block, len(scorer.candidates)))
        quick = scorer.quick(block)
        for first in range(0, scores.size, PAIR_CHUNK):
            chunk = slice(first, first + PAIR_CHUNK)
            asked, row_of_pair = np.unique(rows[chunk], return_inverse=True)
            product = np.matmul(queries[asked], quick.T, out=buffer[: asked.size, : len(quick)])
            possible = np.flatnonzero(product.max(axis=1)[row_of_pair] >= low[chunk])
            if possible.size == 0:
                continue
            pairs = first + possible
            one_each = possible.size == asked.size == row_of_pair.size  # then no row need be copied
            seen = product if one_each else product[row_of_pair[possible]]
            not_below = seen >= low[pairs, None]
            surely_above = seen > high[pairs, None]
            inside = _row_sums(not_below) - _row_sums(surely_above)
            if inside.sum() > DENSE * seen.size:
                exact = scorer.queries[rows[pairs]] @ scorer.grid(block).T
                above[pairs] += _row_sums(exact > scores[pairs, None])
                tied[pairs] += _row_sums(exact == scores[pairs, None])
                continue
            above[pairs] += _row_sums(surely_above)
            unsure = np.flatnonzero(inside)
            at, column = np.nonzero(not_below[unsure] & ~surely_above[unsure])
            pair = pairs[unsure[at]]
            exact_scores = scorer.pairs(rows[pair], start + column)
            np.add.at(above, pair, exact_scores > scores[pair])
            np.add.at(tied, pair, exact_scores == scores[pair])
    return above, tied


def _row_sums(mask: npt.NDArray[np.bool_]) -> Ints:
    """Number of true entries per row; eight at a time, since summing booleans one by one costs more than the product.

    Eight neighbouring bytes are added as one 64-bit word. A byte overflows after 255 additions, so words are summed in
    runs of at most 255.
    """
    rows, columns = mask.shape
    whole = columns - columns % 8
    total = np.zeros(rows, dtype=np.int64)
    for start in range(0, whole, 8 * 255):
        words = np.ascontiguousarray(mask[:, start : min(start + 8 * 255, whole)]).view(np.uint64)
        total += words.sum(axis=1, dtype=np.uint64).view(np.uint8).reshape(rows, 8).sum(axis=1, dtype=np.int64)
    return np.asarray(total + mask[:, whole:].sum(axis=1, dtype=np.int64))


def among_positives(qrels: Ragged, scores: Doubles) -> tuple[Ints, Ints]:
    """How many positives of the same query score above, and the same as, each positive."""
    rows = qrels.rows
    order = np.lexsort((-scores, rows))
    row, score = rows[order], scores[order]
    place = np.arange(scores.size)
    new_row = np.r_[True, row[1:] != row[:-1]] if row.size else np.zeros(0, dtype=bool)
    new_tie = new_row | np.r_[True, score[1:] != score[:-1]] if row.size else new_row
    row_start = np.maximum.accumulate(np.where(new_row, place, 0))
    tie_start = np.maximum.accumulate(np.where(new_tie, place, 0))
    tie_sizes = np.diff(np.r_[np.flatnonzero(new_tie), scores.size])
    above = np.empty(scores.size, dtype=np.int64)
    tied = np.empty(scores.size, dtype=np.int64)
    above[order] = tie_start - row_start
    tied[order] = np.repeat(tie_sizes, tie_sizes)
    return above, tied
