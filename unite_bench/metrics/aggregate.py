"""From queries to a task, from tasks to a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from unite_bench.spec.measures import Measure

Doubles = npt.NDArray[np.float64]


def over_queries(measure: Measure, values: Doubles) -> float:
    """The mean over queries; for `median_rank` the median of the expected first ranks."""
    return float(np.median(values) if measure.name == "median_rank" else np.mean(values))


def above_chance(score: float, chance: float) -> float:
    """(score - chance) / (1 - chance): 0 at chance, 1 at the maximum, negative below chance."""
    return (score - chance) / (1.0 - chance) if chance < 1.0 else 0.0


def over_tasks(scores: Mapping[str, Sequence[float]]) -> float:
    """Mean within each granularity, then over granularities, so that many tasks of one kind do not outvote the rest."""
    return float(np.mean([np.mean(group) for group in scores.values()]))
