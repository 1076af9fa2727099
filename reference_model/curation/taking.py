"""Running one step: its own folder and seed, its decision held to the contract, its counts kept for the report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reference_model.curation import steps
from reference_model.curation.composition import Group
from reference_model.curation.groups import Groups
from reference_model.curation.pool import Numbers, Pool
from reference_model.curation.step import Context, Decision, StepSettings
from unite_bench.items import content_digest

EXAMPLES = 4  # rows of each reason that the report shows


@dataclass(frozen=True)
class Taken:
    """One step that ran: its settings, how many rows of each group went in and stayed, what was dropped and why.

    `examples` are a few row numbers a reason, also of rows that were flagged only, `partners` the rows that some of them
    were dropped for; `weights` is the least, mean and greatest of what the step multiplied weights by, None if it did not.
    """

    kind: str
    settings: StepSettings
    before: Mapping[Group, int]
    after: Mapping[Group, int]
    dropped: Mapping[str, int]
    weights: tuple[float, float, float] | None
    facts: Mapping[str, Any]
    examples: Mapping[str, tuple[int, ...]]
    partners: Mapping[int, int]
    seconds: float


def take(
    number: int, settings: StepSettings, pool: Pool, alive: Numbers, groups: Groups, context: Context
) -> tuple[Decision, Taken]:
    """Run the step that stands at `number` in the recipe. Raises ValueError for a decision that is not about `alive`."""
    name = f"step-{number + 1}-{settings.kind}"
    own = replace(context, seed=int(content_digest(str(context.seed), name)[:15], 16), work=context.work / name)
    own.work.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    decision = steps.known()[settings.kind].run(pool, alive, settings, own)
    if decision.keep.shape != alive.shape:
        raise ValueError(f"step {settings.kind} decided on {decision.keep.size} rows of {alive.size}")
    counts = np.bincount(decision.reasons, minlength=len(decision.names))
    dropped = {reason: int(n) for reason, n in zip(decision.names[1:], counts[1:], strict=True) if n}
    examples = {
        reason: decision.examples.get(reason, ())[:EXAMPLES] or drawn(alive[decision.reasons == code], own, reason)
        for code, reason in enumerate(decision.names)
        if reason in dropped
    }
    examples |= {name: rows[:EXAMPLES] for name, rows in decision.examples.items() if name not in dropped}  # flagged
    weights = decision.weights[decision.keep] if decision.weights is not None else np.zeros(0, dtype=np.float32)
    return decision, Taken(
        kind=settings.kind,
        settings=settings,
        before=groups.counts(alive),
        after=groups.counts(alive[decision.keep]),
        dropped=dropped,
        weights=(float(weights.min()), float(weights.mean()), float(weights.max())) if weights.size else None,
        facts=decision.facts,
        examples=examples,
        partners=decision.partners,
        seconds=time.perf_counter() - started,
    )


def drawn(rows: Numbers, context: Context, name: str, size: int = EXAMPLES) -> tuple[int, ...]:
    """At most `size` of the rows by chance, ascending."""
    chosen = context.random("examples", name).choice(rows, min(size, rows.size), replace=False)
    return tuple(int(row) for row in np.sort(chosen))
