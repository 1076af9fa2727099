"""The temporal score of a task: what its score owes to time, by comparison with its controls.

A task over clips is scored again on one frame and on shuffled frames. Its temporal score is the score less the better of
the two; a control below chance counts as chance, since bad luck of a control is no merit of the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unite_bench.errors import UsageError
from unite_bench.report.leaderboard import percent
from unite_bench.report.protocols import one_protocol
from unite_bench.report.table import MISSING, Cell, Row, Table
from unite_bench.results import Result

CONTROLS = ("one-frame", "shuffled")


@dataclass(frozen=True)
class Temporal:
    """One embedder on one temporal task; `controls` holds the scores of those that were run, by name."""

    embedder: str
    task: str
    score: float
    chance: float
    controls: dict[str, float]

    @property
    def temporal(self) -> float | None:
        """Score less the better control, or None while a control is missing."""
        if set(self.controls) != set(CONTROLS):
            return None
        return self.score - max(self.chance, *self.controls.values())


def temporal_scores(results: Iterable[Result]) -> list[Temporal]:
    """Every task that has a control among the results, ordered by embedder and task. Partial results are left out."""
    whole = {(r.embedder, r.task): r for r in results if not r.record["partial"]}
    controlled = controls_of(whole.values())
    found = []
    for (embedder, task), result in sorted(whole.items()):
        named = controlled.get((embedder, task), {})
        controls = {kind: named[kind].primary for kind in CONTROLS if kind in named}
        if controls:
            chance = float(result.record["measures"][result.record["task"]["primary"]]["chance"])
            found.append(Temporal(embedder, task, result.primary, chance, controls))
    return found


def controls_of(results: Iterable[Result]) -> dict[tuple[str, str], dict[str, Result]]:
    """The controls among the results by kind, under (embedder, name of the task they are controls of)."""
    found: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        control = result.record["task"]["control"]
        if control is not None:
            found.setdefault((result.embedder, control["of"]), {})[control["kind"]] = result
    return found


def temporal_table(results: Iterable[Result]) -> Table:
    """The temporal scores in percent. Raises UsageError if no task has a control."""
    results = list(results)
    protocol = one_protocol(result for result in results if not result.record["partial"])
    rows = temporal_scores(results)
    if not rows:
        raise UsageError("no result has a control beside it; `unite-bench run --suite embedded-controls` makes them")

    def cell(value: float | None) -> Cell:
        return MISSING if value is None else Cell(percent(value), value, ranked=False)

    return Table(
        "Tasks over clips, in percent. temporal: the score less the better control, which counts as chance if below."
        + protocol,
        "embedder",
        ("task", "score", "one frame", "shuffled", "temporal"),
        tuple(
            Row(row.embedder, (Cell(row.task), *map(cell, (row.score, *map(row.controls.get, CONTROLS), row.temporal))))
            for row in rows
        ),
    )
