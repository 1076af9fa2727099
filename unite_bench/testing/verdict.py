"""What a check says: passed with its figure, failed with the reason, an expected failure, or not applicable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from unite_bench.testing.subject import Subject

Status = Literal["passed", "failed", "expected", "n/a"]


@dataclass(frozen=True)
class Verdict:
    """`said` is a figure, a reason, or for an expected failure the declared reason and what failed."""

    status: Status
    said: str


Check = Callable[
    [Subject], Verdict
]  # a check that fails raises CheckFailed, or lets the model's own ModelError through


def passed(said: str) -> Verdict:
    return Verdict("passed", said)


def not_applicable(said: str) -> Verdict:
    return Verdict("n/a", said)
