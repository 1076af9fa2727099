"""How each query of a result went: the rank of its first positive, ties, and what kind of candidate beat it.

A rank is an interval: candidates that score the same are in random order. The filters of the page are made from these
values, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from unite_bench.items import Item, Part, Video

NEAR = 5  # expected rank of the first positive up to which a failure is a near miss
Row = Mapping[str, Any]


class Outcome(StrEnum):
    """Where the first positive of a query stands."""

    RIGHT = "right"  # first, and no wrong candidate scores the same
    TIED = "tied"  # shares the first place with wrong candidates
    NEAR = "near"  # not first, at an expected rank of NEAR at most
    MISSED = "missed"  # further down
    LOST = "lost"  # cannot be ranked: the query, or each of its positives, could not be encoded


class Versus(StrEnum):
    """How a query went under two embedders, by its value of the primary measure. As `unite-bench compare` counts them."""

    WON = "won"  # the first has the greater value
    LOST = "lost"  # the second has
    BOTH_RIGHT = "both-right"  # both have the whole value, 1
    BOTH_WRONG = "both-wrong"  # both have the same, less than 1


@dataclass(frozen=True)
class Rank:
    """A rank under ties: best and worst case, and the expectation over random order of the tied."""

    best: int
    worst: int
    expected: float


@dataclass(frozen=True)
class Read:
    """One query of one result, judged."""

    outcome: Outcome
    rank: Rank | None
    tied: bool
    beyond_shown: bool
    wrong_modality: bool
    beaten_by: str | None


def first_rank(above: Sequence[int], tied: Sequence[int]) -> Rank | None:
    """The rank of the first positive, from the counts of all positives; None without any."""
    if not above:
        return None
    at = int(np.argmin(above))
    count, same = tied[at], sum(a == above[at] for a in above)
    return Rank(above[at] + 1, above[at] + count - same + 1, above[at] + (count + 1) / (same + 1))


def rank_of(above: int, tied: int) -> Rank:
    """The rank of one positive, from its counts: `tied` includes itself."""
    return Rank(above + 1, above + tied, above + (tied + 1) / 2)


def has_ties(above: Sequence[int], tied: Sequence[int]) -> bool:
    """Whether any positive scores the same as a candidate that is not positive."""
    return any(count > sum(a == own for a in above) for own, count in zip(above, tied, strict=True))


def outcome_of(rank: Rank | None) -> Outcome:
    if rank is None:
        return Outcome.LOST
    if rank.best == 1:
        return Outcome.RIGHT if rank.worst == 1 else Outcome.TIED
    return Outcome.NEAR if rank.expected <= NEAR else Outcome.MISSED


def judge(row: Row, query: Item, positives: Sequence[Item], first: Sequence[Item]) -> Read:
    """One row, with the items that it names: `positives` all of them, `first` the first candidates in order."""
    rank = first_rank(row["above"], row["tied"])
    outcome = outcome_of(rank)
    right = {positive.id for positive in positives}
    wrong = [item for item in first if item.id not in right]
    beaten = outcome in (Outcome.TIED, Outcome.NEAR, Outcome.MISSED)
    top = [item for item, score in zip(first, row["scores"], strict=True) if score == row["scores"][0]]
    return Read(
        outcome,
        rank,
        has_ties(row["above"], row["tied"]),
        rank is not None and rank.best > len(first),
        _of_other_modality(top, positives),
        kind_of_wrong(wrong[0], query, positives) if beaten and wrong else None,
    )


def versus_of(first: float, second: float) -> Versus:
    """From the values of the primary measure of two embedders on one query."""
    if first != second:
        return Versus.WON if first > second else Versus.LOST
    return Versus.BOTH_RIGHT if first == 1.0 else Versus.BOTH_WRONG


def kind_of_wrong(candidate: Item, query: Item, positives: Sequence[Item]) -> str:
    """What a wrong candidate shares with the query or with a positive, by content: the kind of a hard negative."""
    if shared := _shared(candidate, [query]):
        return f"repeats the query's {shared}"
    if shared := _shared(candidate, positives):
        return f"has the {shared} of a positive"
    if _of_other_modality([candidate], positives):
        return "is of another modality"
    return "shares nothing"


def _shared(candidate: Item, others: Iterable[Item]) -> str:
    """The kind of the first part that the candidate has in common with one of the others, or ""."""
    known = {_content(part) for other in others for part in other.parts}
    return next((part.kind for part in candidate.parts if _content(part) in known), "")


def _content(part: Part) -> str:
    return part.source_digest if isinstance(part, Video) else part.digest


def _of_other_modality(items: Sequence[Item], positives: Sequence[Item]) -> bool:
    """Whether no item has the modality of a positive. Items that could not be opened have none that is known."""
    wanted = {positive.modality for positive in positives if positive.parts}
    return bool(wanted) and bool(items) and all(item.parts and item.modality not in wanted for item in items)
