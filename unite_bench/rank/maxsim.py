"""Late interaction: several vectors an item, scored by MaxSim, and as exact as every other score.

MaxSim is the sum, over the tokens of a query, of the greatest cosine with any token of the candidate (Khattab and
Zaharia, "ColBERT", SIGIR 2020).

Tokens are scaled to length 1 and rounded to multiples of 2^-26, as in grid.py, so a product of two tokens is exact; the
greatest of exact numbers is one of them. It is rounded to a multiple of 2^-40, which depends on its value alone. At most
4,096 such maxima, each below 2 in size, have sums and partial sums that are multiples of 2^-40 no larger than 2^13, and
those fit the 53 bits of a float64: nothing is rounded any more. No order of tokens, items or blocks changes one bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.ragged import Ints, Ragged, chunks
from unite_bench.rank.grid import Doubles, on_grid, scales

MOST_QUERY_TOKENS = 4096
STEP = 2.0**-40  # of the maxima
QUERY_TOKENS, CANDIDATE_TOKENS = 512, 8192  # about the most multiplied with each other at a time: 32 MB of products


@dataclass(frozen=True)
class Tokens:
    """The vectors of many items: `of[i]` is (tokens_i, dim), finite, no row zero, at least one row; views of memory-mapped
    files are as good as arrays, since only the block at hand is copied."""

    of: Sequence[npt.NDArray[np.floating[Any]]]

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, chosen: npt.NDArray[np.bool_] | Ints | slice) -> Tokens:
        return Tokens([self.of[i] for i in np.arange(len(self))[chosen].tolist()])

    @cached_property
    def counts(self) -> Ints:
        """Number of tokens of every item."""
        return np.array([len(rows) for rows in self.of], dtype=np.int64)

    def on_grid(self, chosen: Ints | slice) -> tuple[Doubles, Ints]:
        """The tokens of some items one after another (tokens, dim), on the grid, and where each item's begin."""
        items = self[chosen]
        rows = np.concatenate(list(items.of))
        return on_grid(rows, scales(rows, "cosine")), np.cumsum(items.counts) - items.counts


class MaxSim:
    """Exact scores of chosen pairs, or of everything block by block; never a product over the whole corpus at once."""

    def __init__(self, queries: Tokens, candidates: Tokens):
        if queries.counts.max(initial=0) > MOST_QUERY_TOKENS:
            raise ValueError(f"a query has {queries.counts.max()} tokens; MaxSim is exact up to {MOST_QUERY_TOKENS}")
        self.queries = queries
        self.candidates = candidates

    def pairs(self, rows: Ints, columns: Ints) -> Doubles:
        """Scores of (queries[rows[i]], candidates[columns[i]])."""
        out = np.empty(rows.size)
        order = np.argsort(rows, kind="stable")
        for own in np.split(order, np.flatnonzero(np.diff(rows[order])) + 1) if rows.size else ():
            tokens = self.queries.on_grid(rows[own[:1]])
            for part in chunks(self.candidates.counts[columns[own]], CANDIDATE_TOKENS):
                chosen = own[part]
                out[chosen] = _scores(*tokens, *self.candidates.on_grid(columns[chosen]))[0]
        return out

    def blocks(self, asked: Ints | None = None, among: slice | None = None) -> Iterator[tuple[Ints, slice, Doubles]]:
        """Which queries, which candidates, and their scores (queries, candidates), until every pair was there once: of all
        queries or those in `asked`, with all candidates or those in `among`."""
        rows = np.arange(len(self.queries)) if asked is None else asked
        held = slice(0, len(self.candidates)) if among is None else among
        groups = [rows[group] for group in chunks(self.queries.counts[rows], QUERY_TOKENS)]
        for part in chunks(self.candidates.counts[held], CANDIDATE_TOKENS):
            block = slice(held.start + part.start, held.start + part.stop)
            candidates = self.candidates.on_grid(block)
            for group in groups:
                yield group, block, _scores(*self.queries.on_grid(group), *candidates)

    def against(self, rows: Ints, block: slice) -> Doubles:
        """Scores of some queries with a block of candidates, (rows, block)."""
        asked, place = np.unique(rows, return_inverse=True)
        out = np.empty((asked.size, block.stop - block.start))
        for group, columns, found in self.blocks(asked, block):
            out[np.searchsorted(asked, group), columns.start - block.start : columns.stop - block.start] = found
        return np.asarray(out[place])

    def against_corpus(self, qrels: Ragged, scores: Doubles) -> tuple[Ints, Ints]:
        """How many candidates of the whole corpus score above, and the same as, each positive, whose score is given."""
        above = np.zeros(scores.size, dtype=np.int64)
        tied = np.zeros(scores.size, dtype=np.int64)
        of_pair = qrels.rows
        for rows, _, found in self.blocks():  # all queries, so each group of them is consecutive
            pairs = slice(int(qrels.starts[rows[0]]), int(qrels.starts[rows[-1] + 1]))
            seen = found[of_pair[pairs] - rows[0]]
            above[pairs] += (seen > scores[pairs, None]).sum(axis=1)
            tied[pairs] += (seen == scores[pairs, None]).sum(axis=1)
        return above, tied


def _scores(asked: Doubles, query_starts: Ints, held: Doubles, candidate_starts: Ints) -> Doubles:
    """MaxSim of every query with every candidate, (queries, candidates), from their tokens on the grid."""
    best = np.maximum.reduceat(held @ asked.T, candidate_starts, axis=0)  # (candidates, query tokens)
    return np.asarray(np.add.reduceat(np.rint(best / STEP) * STEP, query_starts, axis=1).T)
