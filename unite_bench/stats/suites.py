"""A suite's own weighting of its tasks: the mean over groups (granularities) of the mean over tasks of
(score - chance) / (1 - chance); and the interval of a mean over tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unite_bench.stats.bootstrap import Interval
from unite_bench.stats.clusters import ClusterSums

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


def mean_interval(sums: ClusterSums, weights: Doubles, intervals: Sequence[Interval]) -> Interval:
    """Interval for the sum over tasks, by positive `weights` (tasks,), of the means of one embedder, from each task's own
    interval: what to expect of other queries on the same tasks.

    On either side the distances from mean to end add up as the errors do, in squares and with the correlations that tasks
    have by their shared clusters (MOVER; Zou and Donner, Statistics in Medicine 27, 2008). Of one task it is its own
    interval. Where a task's values do not vary, nothing is known of how alike it is to another one on the same media, and
    they are taken to agree. Errors that seem opposed are taken to be independent: few clusters show such by chance.
    """
    means = sums.means[:, 0]
    deviations = (sums.totals[:, :, 0] - sums.sizes * means) / sums.sizes.sum(axis=0)
    covariance = deviations.T @ deviations
    spread = np.sqrt(covariance.diagonal())
    there = (sums.sizes > 0).astype(np.float64)
    agreeing = (there.T @ there > 0).astype(np.float64)
    varies = spread > 1e-12  # more than rounding
    scale = np.outer(spread, spread)
    correlation = np.maximum(np.divide(covariance, scale, out=agreeing, where=np.outer(varies, varies)), 0.0)
    np.fill_diagonal(correlation, 1.0)
    below, above = (weights * np.abs(np.array(intervals)[:, side] - means) for side in (0, 1))
    estimate = float(weights @ means)
    low, high = (float(np.sqrt(reach @ correlation @ reach)) for reach in (below, above))
    return estimate - low, estimate + high
