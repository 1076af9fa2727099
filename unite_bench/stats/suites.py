"""A suite's own weighting of its tasks: the mean over groups (granularities) of the mean over tasks of
(score - chance) / (1 - chance)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
