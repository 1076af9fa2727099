"""Student's intervals from the spread of clusters, or of tasks. For differences they cover best (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from unite_bench.stats.bootstrap import Interval
from unite_bench.stats.clusters import ClusterSums

Doubles = npt.NDArray[np.float64]


def over_other_queries(sums: ClusterSums, weights: Doubles, contrast: Doubles, level: float = 0.95) -> Interval:
    """Interval for the sum over tasks, by `weights` (tasks,), of the means of a contrast (columns,): what to expect of other
    queries on the same tasks.

    Clusters are what varies, jointly over the tasks that share some (cluster-robust variance; Liang and Zeger, Biometrika
    73, 1986). Where they hardly do, hits too rare to have been sampled are allowed for: see `unseen`.
    """
    estimate = float(weights @ sums.means @ contrast)
    influence, strata = sums.influence(weights, contrast), sums.strata
    clusters = np.bincount(strata)
    several = clusters > 1
    squares = np.bincount(strata, influence**2)[several]
    half = _half_width(squares * clusters[several] / (clusters[several] - 1), clusters[several] - 1, level)
    hidden = unseen_by_task(sums, weights, contrast, level)
    width = float(np.sqrt(half**2 + (hidden**2).sum()))
    return estimate - width, estimate + width


def over_other_tasks(values: Doubles, groups: Sequence[str], level: float = 0.95) -> Interval | None:
    """Interval for the mean over groups of the mean of `values` (tasks,) with tasks as random: what to expect of other tasks
    like these.

    Tasks are draws within their group. None if a group has one task only, or no two tasks differ, which says nothing about
    how tasks vary.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    held = [values[codes == group] for group in range(codes.max() + 1)]
    if min(group.size for group in held) < 2:
        return None
    mean = float(np.mean([group.mean() for group in held]))
    sizes = np.array([group.size for group in held])
    half = _half_width(np.array([group.var(ddof=1) for group in held]) / sizes / len(held) ** 2, sizes - 1, level)
    return (mean - half, mean + half) if half > 0.0 else None


def unseen(clusters: int, level: float = 0.95) -> float:
    """Half the width of the interval for a difference of which no cluster showed any: z^2 / (n + z^2), the score interval
    for paired proportions without discordant pairs (Tango, Statistics in Medicine 17, 1998)."""
    z = float(special.ndtri(0.5 + level / 2))
    return z * z / (clusters + z * z)


def unseen_by_task(sums: ClusterSums, weights: Doubles, contrast: Doubles, level: float = 0.95) -> Doubles:
    """That half-width, weighted, for each task (tasks,) in which clusters hardly vary; 0 for the others. Half-widths of
    independent summands add in squares (Zou and Donner, Statistics in Medicine 27, 2008)."""
    return np.asarray(sums.still(contrast) * weights * [unseen(int(n), level) for n in sums.clusters])


def _half_width(variances: Doubles, freedom: npt.NDArray[np.int64], level: float) -> float:
    """Half the width for a sum of independent estimates, its degrees of freedom after Satterthwaite (Biometrics Bulletin 2,
    1946)."""
    total = float(variances.sum())
    if total == 0.0:
        return 0.0
    joint = total**2 / float((variances**2 / freedom).sum())
    return float(stats.t.ppf(0.5 + level / 2, joint) * np.sqrt(total))
