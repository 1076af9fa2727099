"""A suite's own weighting of its tasks: the mean over groups (granularities) of the mean over tasks of
(score - chance) / (1 - chance)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from unite_bench.stats.bootstrap import Interval

Doubles = npt.NDArray[np.float64]


def suite_weights(groups: Sequence[str], chance: Doubles) -> Doubles:
    """What a difference in each task's score adds to the suite's, (tasks,). Chance cancels in differences but for its
    denominator. A task in which chance is the maximum weighs nothing."""
    room = 1.0 - chance
    return np.divide(task_shares(groups), room, out=np.zeros(room.size), where=room > 0)


def task_shares(groups: Sequence[str]) -> Doubles:
    """The share of each task in the mean over groups of means over tasks, (tasks,); they sum to 1."""
    names, codes, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return np.asarray(1.0 / (names.size * counts[codes]))


def over_other_tasks(values: Doubles, groups: Sequence[str], level: float = 0.95) -> Interval | None:
    """Interval for the suite's mean of `values` (tasks,) with tasks as random: what to expect of other tasks like these.

    Tasks are draws within their group; Student's t with the degrees of freedom of Welch and Satterthwaite (Biometrics 2,
    1946). None if a group has one task only, or no two tasks differ, which says nothing about how
    tasks vary.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    held = [values[codes == group] for group in range(codes.max() + 1)]
    if min(group.size for group in held) < 2:
        return None
    mean = float(np.mean([group.mean() for group in held]))
    parts = np.array([group.var(ddof=1) / group.size for group in held]) / len(held) ** 2
    if parts.sum() == 0.0:
        return None
    freedom = parts.sum() ** 2 / (parts**2 / np.array([group.size - 1 for group in held])).sum()
    half = float(stats.t.ppf(0.5 + level / 2, freedom) * np.sqrt(parts.sum()))
    return mean - half, mean + half
