"""How far the score of a small suite has been from that of the full one, in the results that there are of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unite_bench.metrics.aggregate import above_chance, over_tasks
from unite_bench.results import Result, read_all
from unite_bench.spec.catalogue import tasks_of
from unite_bench.spec.model import Suite, Task

CERTAIN = 1e-9  # a mean this near to 0 or 1 is of an embedder that no sample of queries could move (constant, oracle)


@dataclass(frozen=True)
class Difference:
    """Mean of the small suite less that of the full one, an embedder each. Its text says "unknown" where there is none."""

    of: Mapping[str, float]

    def __str__(self) -> str:
        if not self.of:
            return "how far that is from the full suite is unknown: there are no results of both"
        sizes = [100 * abs(value) for value in self.of.values()]
        return (
            f"over {len(sizes)} embedder{'s' * (len(sizes) > 1)} with results of both, it has differed from the full "
            f"suite's by {np.mean(sizes):.1f} on average and {max(sizes):.1f} at most"
        )


def mean_above_chance(results: Sequence[Result]) -> float:
    """The mean over granularities of the means over their tasks of (score - chance) / (1 - chance)."""
    grouped: dict[str, list[float]] = {}
    for result in results:
        task = result.record["task"]
        chance = float(result.record["measures"][task["primary"]]["chance"])
        grouped.setdefault(task["granularity"], []).append(above_chance(result.primary, chance))
    return over_tasks(grouped)


def pairs_with_full(suite: Suite, tasks: Sequence[Task]) -> dict[str, str]:
    """The label of each task to that of the full one of which it is a variant; none if the suite draws nothing again."""
    if suite.variant is None:
        return {}
    full = tasks_of(suite.model_copy(update={"variant": None}))
    of = {suite.variant.of(task).label: task.label for task in full}
    return {task.label: of[task.label] for task in tasks if of.get(task.label, task.label) != task.label}


def differences(pairs: Mapping[str, str], roots: Sequence[Path]) -> Difference:
    """From whole results under some folders; both means of an embedder are over the same fingerprint and all pairs."""
    held: dict[tuple[str, str], dict[str, Result]] = {}
    wanted = {*pairs, *pairs.values()}
    for result in read_all([root for root in roots if root.is_dir()]):
        label = result.record["task"]["label"]
        if label in wanted and not result.record["partial"]:
            held.setdefault((result.embedder, result.record["embedder"]["fingerprint"]), {})[label] = result
    found = {}
    for (name, _), of in held.items():
        if pairs and wanted <= of.keys():
            small, full = (mean_above_chance([of[label] for label in side]) for side in (pairs, pairs.values()))
            if CERTAIN < full < 1 - CERTAIN:
                found[name] = small - full
    return Difference(found)
