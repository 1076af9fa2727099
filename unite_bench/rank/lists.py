"""Pools of their own: scores of every entry of one list per query, exact wherever it matters.

Single precision gives all scores, and a proven error band says which entries must be scored again exactly. Where lists
share a corpus (they name a good part of it), one matrix product over the corpus is cheaper than gathering each list;
where every list has its own vectors, each is read once, in the order in which it lies.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from unite_bench.ragged import Ints, Ragged, chunks
from unite_bench.rank.grid import Doubles, Singles, band
from unite_bench.rank.maxsim import MaxSim
from unite_bench.rank.scorer import Scorer

BLOCK = 4096  # candidates of one matrix product
ROWS = 1024  # queries of one matrix product
GATHERED = 256  # vectors gathered at a time, few enough to stay in the cache
SHARED = 24  # a pair within a product costs about a 24th of a gathered one
ENTRIES = 2_000_000  # entries compared at a time


def counts_in_lists(scorer: Scorer | MaxSim, lists: Ragged, qrels: Ragged, scores: Doubles) -> tuple[Ints, Ints]:
    """How many entries of each query's own list score above, and the same as, each of its positives.

    `scores` are the exact ones of the positives, in the order of `qrels`.
    """
    above = np.zeros(scores.size, dtype=np.int64)
    tied = np.zeros(scores.size, dtype=np.int64)
    rows, sizes = qrels.rows, lists.counts
    quick, width = _quick_scores(scorer, lists)
    unsure: list[tuple[Ints, Ints]] = []  # (positive, entry) pairs within the band
    for chunk in chunks(sizes[rows], ENTRIES):
        entries, owner = spread(lists.starts[rows[chunk]], sizes[rows[chunk]])
        difference = quick[entries] - scores[chunk][owner]
        above[chunk] = np.bincount(owner[difference > width], minlength=chunk.stop - chunk.start)
        within = np.flatnonzero(~(np.abs(difference) > width))  # NaN is never surely apart
        unsure.append((chunk.start + owner[within], entries[within]))
    if unsure:
        pair, entry = map(np.concatenate, zip(*unsure, strict=True))
        chosen, at = np.unique(entry, return_inverse=True)
        exact = scorer.pairs(lists.rows[chosen], lists.indices[chosen])[at]
        above += np.bincount(pair[exact > scores[pair]], minlength=scores.size)
        tied += np.bincount(pair[exact == scores[pair]], minlength=scores.size)
    return above, tied


def best_of_lists(scorer: Scorer | MaxSim, lists: Ragged, k: int) -> tuple[Ragged, Doubles]:
    """The entries that may be among the k best of their list, with exact scores; at least k a list, if it has them."""
    quick, width = _quick_scores(scorer, lists)
    usable = np.where(np.isnan(quick), -np.inf, quick)
    floor = np.full(len(lists), -np.inf)
    for row in np.flatnonzero(lists.counts > k):
        own = usable[lists.starts[row] : lists.starts[row + 1]]
        floor[row] = np.partition(own, own.size - k)[own.size - k] - 2 * width  # both it and its rival may be off
    proposed = ~(quick < floor[lists.rows])
    kept = lists.keep(proposed)
    return kept, scorer.pairs(kept.rows, kept.indices)


def _quick_scores(scorer: Scorer | MaxSim, lists: Ragged) -> tuple[Singles | Doubles, float]:
    """Scores in single precision, (entries,), and how far off they may be; MaxSim's are exact at once.

    NaN where single precision does not reach (vectors of extreme length): such an entry is scored exactly.
    """
    if isinstance(scorer, MaxSim):
        return scorer.pairs(lists.rows, lists.indices), 0.0
    shared = len(lists) * len(scorer.candidates) <= SHARED * lists.indices.size
    with np.errstate(over="ignore", invalid="ignore"):
        raw, lengths = (_by_product if shared else _by_list)(scorer, lists)
    dim = scorer.queries.shape[1]
    if scorer.common_scale is not None:
        return np.where(np.isfinite(raw), raw, np.nan) * np.float32(scorer.common_scale), band(dim)
    sound = (lengths > 1e-30) & (lengths < 1e30) & np.isfinite(raw)
    return np.where(sound, raw / np.sqrt(np.where(sound, lengths, 1.0)), np.nan), band(dim, own_lengths=True)


def _by_product(scorer: Scorer, lists: Ragged) -> tuple[Singles, Singles]:
    """Raw products and squared lengths of all entries, block by block of the corpus."""
    raw, lengths = np.empty(lists.indices.size, dtype=np.float32), np.empty(lists.indices.size, dtype=np.float32)
    rows = lists.rows
    by_block = np.argsort(lists.indices // BLOCK, kind="stable")  # within a block, rows stay in order
    blocks = -(-len(scorer.candidates) // BLOCK)
    edges = np.searchsorted((lists.indices // BLOCK)[by_block], np.arange(blocks + 1))
    for number, (low, high) in enumerate(pairwise(edges)):
        block = np.asarray(scorer.candidates[number * BLOCK : (number + 1) * BLOCK], dtype=np.float32)
        own = np.vecdot(block, block)
        inside = by_block[low:high]
        for first in range(0, len(lists), ROWS):
            chosen = inside[slice(*np.searchsorted(rows[inside], (first, first + ROWS)))]
            product = scorer.quick_queries[first : first + ROWS] @ block.T
            columns = lists.indices[chosen] - number * BLOCK
            raw[chosen] = product[rows[chosen] - first, columns]
            lengths[chosen] = own[columns]
    return raw, lengths


def _by_list(scorer: Scorer, lists: Ragged) -> tuple[Singles, Singles]:
    """Raw products and squared lengths of all entries, list by list."""
    raw, lengths = np.empty(lists.indices.size, dtype=np.float32), np.empty(lists.indices.size, dtype=np.float32)
    for row, query in enumerate(scorer.quick_queries):
        own = lists[row]
        in_place = own.size > 0 and own[-1] - own[0] == own.size - 1 and bool((np.diff(own) == 1).all())
        step = own.size if in_place else GATHERED
        for start in range(0, own.size, max(step, 1)):
            part = own[start : start + step]
            vectors = scorer.candidates[part[0] : part[-1] + 1] if in_place else scorer.candidates[part]
            vectors = np.asarray(vectors, dtype=np.float32)
            at = slice(int(lists.starts[row]) + start, int(lists.starts[row]) + start + part.size)
            np.matmul(vectors, query, out=raw[at])
            np.vecdot(vectors, vectors, out=lengths[at])
    return raw, lengths


def spread(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Positions starts[i] .. starts[i] + sizes[i] - 1 for all i in one array, and the i of each."""
    owner = np.repeat(np.arange(sizes.size), sizes)
    within = np.arange(owner.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(starts, sizes) + within, owner
