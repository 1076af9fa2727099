"""Ranks as other harnesses count them, where scores are equal. The default everywhere else is an expectation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unite_bench.ragged import Ints, Ragged
from unite_bench.rank.counts import CANDIDATE_BLOCK, PAIR_CHUNK, Counts, among_positives
from unite_bench.rank.grid import Similarity
from unite_bench.rank.maxsim import Tokens
from unite_bench.rank.scorer import Vectors, scorer_of
from unite_bench.rank.top import members


def positives_first(counts: Counts) -> Counts:
    """MMEB's rule: the positive is the first of its list, and a stable sort leaves it ahead of its equals.

    A constant embedder then has hit@1 of 100 %. Positives that tie among themselves stay tied.
    """
    return replace(counts, tied=counts.positives_tied)


def by_descending_name(
    counts: Counts,
    queries: Vectors | Tokens,
    candidates: Vectors | Tokens,
    names: Sequence[str],
    pools: Ragged | None,
    excluded: Ragged,
    similarity: Similarity,
) -> Counts:
    """trec_eval's rule: of equal scores the greater name comes first (compared byte by byte). No ties are left."""
    place = np.empty(len(names), dtype=np.int64)
    place[sorted(range(len(names)), key=lambda n: names[n].encode(), reverse=True)] = np.arange(len(names))
    scorer = scorer_of(queries, candidates, similarity)
    ahead = np.zeros(counts.above.size, dtype=np.int64)
    shared = np.flatnonzero(counts.tied > 1)
    rows, own = counts.qrels.rows[shared], counts.qrels.indices[shared]
    scores = scorer.pairs(rows, own)
    for start in range(0, len(candidates), CANDIDATE_BLOCK):
        block = slice(start, min(start + CANDIDATE_BLOCK, len(candidates)))
        for first in range(0, shared.size, PAIR_CHUNK):
            part = slice(first, first + PAIR_CHUNK)
            equal = scorer.against(rows[part], block) == scores[part, None]
            before = place[block] < place[own[part], None]
            ahead[shared[part]] += (equal & before & _inside(rows[part], block, pools, excluded)).sum(axis=1)
    above = counts.above + ahead
    positives_above, alone = among_positives(counts.qrels, -above.astype(np.float64))
    return replace(counts, above=above, tied=alone, positives_above=positives_above, positives_tied=alone)


def _inside(rows: Ints, block: slice, pools: Ragged | None, excluded: Ragged) -> np.ndarray:
    """Which candidates of a block are in the pools of these queries, (rows, block)."""
    out = ~members(excluded, rows, block)
    return out if pools is None else out & members(pools, rows, block)
