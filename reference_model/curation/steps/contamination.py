"""Contamination: rows that hold a text, picture or clip of an evaluation set, equal or nearly so.

Only sets on this machine can be looked through; the report names every task that was asked for and was not checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.step import Context, Decision, Step, StepSettings
from reference_model.curation.steps.evaluation_sets import EvaluationSets, entries, evaluation_sets
from reference_model.curation.steps.leaks import Found, Leaks
from unite_bench.errors import UniteBenchError, UsageError

EXAMPLES = 8
FLAGGED = 1000
NAMES = ("equals an evaluation item", "nearly equals an evaluation item")
SIDES: tuple[Side, ...] = ("query", "target")


class Settings(StepSettings):
    """`tasks`: tasks and suites of the harness, by name or file. `texts` and `pictures` as for near duplicates, None: equal
    ones only. Texts below `shortest_text` characters are not looked for. `flag` keeps the rows and names them, up to
    FLAGGED."""

    kind: Literal["contamination"] = "contamination"
    tasks: Annotated[list[str], Field(min_length=1)]
    texts: float | None = Field(default=0.9, ge=0.3, le=1)
    pictures: int | None = Field(default=24, ge=0, le=255)
    shortest_text: int = Field(default=25, ge=1)
    action: Literal["drop", "flag"] = "drop"


@dataclass
class _Tally:
    """By task: the rows that equal, and that nearly equal, one of its items."""

    equal: dict[str, int]
    near: dict[str, int]

    def add(self, found: Found) -> None:
        for name in found.equal:
            self.equal[name] += 1
        for name in found.near - found.equal:
            self.near[name] += 1


def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision:
    """Drop or name every row with a leak on either side.

    Raises UsageError if not one of the tasks is on this machine, MediaError for media that cannot be read.
    """
    sets = evaluation_sets(settings.tasks, context.folder, settings.shortest_text, context.note)
    if not sets.tasks:
        why = "; ".join(f"{name}: {reason}" for name, reason in sets.not_checked.items())
        raise UsageError(f"contamination: none of the evaluation sets can be looked through ({why})")
    for name, reason in sets.not_checked.items():
        context.note(f"contamination: {name} is not checked: {reason}")
    leaks = Leaks(sets.tasks, settings.texts, settings.pictures)
    names = [task.name for task in sets.tasks]
    tally = _Tally(dict.fromkeys(names, 0), dict.fromkeys(names, 0))
    reasons = np.zeros(alive.size, dtype=np.uint8)
    flagged: dict[str, list[str]] = {}
    for start in range(0, alive.size, leaks.rows_at_once):
        rows = alive[start : start + leaks.rows_at_once]
        queries, targets = ([*pool.items(rows, side)] for side in SIDES)
        pairs = zip(queries, leaks.of(queries), leaks.of(targets), strict=True)
        for position, (query, asked, sought) in enumerate(pairs, start):
            found = asked | sought
            if found.equal or found.near:
                tally.add(found)
                reasons[position] = 1 if found.equal else 2
                if len(flagged) < FLAGGED:
                    flagged[query.id] = sorted(found.equal | found.near)
        context.note(f"contamination: {start + rows.size:,} of {alive.size:,} rows looked at")
    shown = {name: alive[np.flatnonzero(reasons == n)[:EXAMPLES]] for n, name in enumerate(NAMES, 1)}
    examples = {name: tuple(at.tolist()) for name, at in shown.items() if at.size}
    facts = _facts(sets, tally, reasons, leaks.not_compared)
    if settings.action == "flag":
        facts["flagged"] = flagged
        facts["flagged, not named"] = int((reasons > 0).sum()) - len(flagged)
        return Decision(
            np.ones(alive.size, bool), np.zeros(alive.size, np.uint8), ("kept",), facts=facts, examples=examples
        )
    return Decision(reasons == 0, reasons, ("kept", *NAMES), facts=facts, examples=examples)


def _facts(sets: EvaluationSets, tally: _Tally, reasons: Any, cut: int) -> dict[str, Any]:
    tasks = {
        task.name: {
            "texts": len(task.texts),
            "media": len(task.media),
            "texts too short": len(task.short),
            "unreadable": task.unreadable,
            "rows equal": tally.equal[task.name],
            "rows near": tally.near[task.name],
        }
        for task in sets.tasks
    }
    counts = {"rows equal": int((reasons == 1).sum()), "rows near": int((reasons == 2).sum()), "not compared": cut}
    return {**counts, "tasks": tasks, "not checked": dict(sets.not_checked)}


def _check(settings: Settings, folder: Path) -> Iterable[str]:
    for name in settings.tasks:
        try:
            tuple(entries([name], folder))
        except UniteBenchError as error:
            yield str(error)


STEP = Step(Settings, run, "drops or names rows that hold an item of an evaluation set", check=_check)
