"""The filters of the page: which queries each of them keeps, and how many those are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unite_bench.report.browser.outcomes import NEAR, Outcome, Read, Versus

OUTCOMES = {
    Outcome.RIGHT: "right",
    Outcome.TIED: "tied for first",
    Outcome.NEAR: "near misses",
    Outcome.MISSED: "missed",
    Outcome.LOST: "not ranked",
}
FAILURES = (Outcome.NEAR, Outcome.MISSED, Outcome.LOST)


@dataclass(frozen=True)
class Filter:
    """A question about one query of one result; the page shows `title`, and `means` on demand."""

    key: str
    title: str
    means: str
    keeps: Callable[[Read], bool]


FILTERS = (
    Filter("failures", "Failures", "no positive can stand first", lambda read: read.outcome in FAILURES),
    Filter(
        "near",
        "Near misses",
        f"failures whose first positive has an expected rank of at most {NEAR}",
        lambda read: read.outcome is Outcome.NEAR,
    ),
    Filter("beyond", "Beyond the ten", "no positive is among the candidates shown", lambda read: read.beyond_shown),
    Filter("ties", "Ties", "a positive scores exactly the same as a wrong candidate", lambda read: read.tied),
    Filter(
        "modality",
        "Wrong modality",
        "what stands first has the modality of no positive",
        lambda read: read.wrong_modality,
    ),
    Filter(
        "lost",
        "Not ranked",
        "the query, or each of its positives, could not be encoded",
        lambda read: read.outcome is Outcome.LOST,
    ),
)
VERSUS = {
    Versus.WON: ("{first} wins", "{first} has the greater {measure}"),
    Versus.LOST: ("{second} wins", "{second} has the greater {measure}"),
    Versus.BOTH_RIGHT: ("Both right", "both have a {measure} of 1"),
    Versus.BOTH_WRONG: ("Both wrong", "both have the same {measure}, below 1"),
}


def mask(read: Read) -> int:
    """Bit n is set where the n-th of FILTERS keeps the query."""
    return sum(f.keeps(read) << n for n, f in enumerate(FILTERS))


def counts(reads: Sequence[Read]) -> dict[str, int]:
    """How many queries each filter keeps, by its key."""
    return {f.key: sum(map(f.keeps, reads)) for f in FILTERS}
