"""The cluster bootstrap of means over queries, jointly over tasks: a cluster drawn once counts so in every task it is in.

Candidates are never resampled. The seed is fixed, and what is drawn depends on the values alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from unite_bench.stats.clusters import ClusterSums

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Interval = tuple[float, float]
RESAMPLES = 10_000
BLOCK = 1 << 20  # counts held at a time, to bound memory
FEW_KINDS = 16  # how many times fewer kinds of clusters than clusters make it quicker to draw how often each kind comes


@dataclass(frozen=True)
class Statistic:
    """A number, its values over resamples (resamples,) and what each cluster adds to its deviation (clusters,)."""

    estimate: float
    draws: Doubles
    influence: Doubles


@dataclass(frozen=True)
class Resampled:
    """Means over queries (tasks, columns), the same over resamples (resamples, tasks, columns), and the influence of each
    cluster on each (clusters, tasks, columns)."""

    means: Doubles
    draws: Doubles
    influence: Doubles

    def statistic(self, weights: Doubles, contrast: Doubles) -> Statistic:
        """The sum over tasks, by `weights` (tasks,), of a contrast (columns,) of the columns."""
        return Statistic(
            float(np.einsum("tk,t,k->", self.means, weights, contrast)),
            np.asarray((self.draws @ contrast) @ weights),
            np.asarray((self.influence @ contrast) @ weights),
        )


def resample(sums: ClusterSums, resamples: int = RESAMPLES, seed: int = 0) -> Resampled:
    """Draw as many clusters as there are, with replacement, in each stratum of tasks that share some.

    A resample in which some task has no query is left out; with ten clusters that is one in 20,000.
    """
    tasks, columns = sums.totals.shape[1:]
    draws = np.empty((resamples, tasks, columns))
    strata = sums.strata
    for stratum in np.unique(strata):
        within = strata == stratum
        inside = np.flatnonzero(sums.sizes[within].any(axis=0))
        totals = sums.totals[within][:, inside].reshape(within.sum(), -1)
        # Clusters of equal content are one kind. Sorted, they also do away with the order of the clusters.
        kinds, multiplicity = np.unique(np.hstack([sums.sizes[within][:, inside], totals]), axis=0, return_counts=True)
        start = 0
        for counts in _counts(multiplicity, resamples, np.random.default_rng([seed, int(inside[0])])):
            drawn = counts @ kinds
            block = slice(start, start := start + len(drawn))
            sizes = drawn[:, : inside.size, None]
            shape = (len(drawn), inside.size, columns)
            means = np.full(shape, np.nan)
            np.divide(drawn[:, inside.size :].reshape(shape), sizes, out=means, where=sizes > 0)
            draws[block, inside] = means
    return Resampled(sums.means, draws[np.isfinite(draws).all(axis=(1, 2))], sums.influence)


def percentile(statistic: Statistic, level: float = 0.95) -> Interval:
    """Efron's percentile interval."""
    return _between(statistic, np.array([(1 - level) / 2, (1 + level) / 2]))


def bca(statistic: Statistic, level: float = 0.95) -> Interval:
    """Bias-corrected and accelerated interval (Efron, JASA 82, 1987), the acceleration from the influence of clusters.

    Equal draws count half as below the estimate, since proportions have many.
    """
    spread = float(np.sqrt((statistic.influence**2).sum()))
    if spread == 0.0:
        return percentile(statistic, level)
    close = 1e-12 * max(1.0, abs(statistic.estimate))
    below = (statistic.draws < statistic.estimate - close).mean()
    equal = (np.abs(statistic.draws - statistic.estimate) <= close).mean()
    share = np.clip(below + equal / 2, 1 / (2 * statistic.draws.size), 1 - 1 / (2 * statistic.draws.size))
    bias = special.ndtri(share)
    acceleration = float((statistic.influence**3).sum()) / (6 * spread**3)
    moved = bias + special.ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    return _between(statistic, special.ndtr(bias + moved / (1 - acceleration * moved)))


def _between(statistic: Statistic, at: Doubles) -> Interval:
    low, high = np.quantile(statistic.draws, at)
    return float(low), float(high)


def _counts(multiplicity: Ints, resamples: int, random: np.random.Generator) -> Iterator[Doubles]:
    """How often each kind of cluster is drawn, in blocks (resamples of a block, kinds)."""
    kinds, clusters = multiplicity.size, int(multiplicity.sum())
    few = kinds * FEW_KINDS <= clusters
    kind_of = np.repeat(np.arange(kinds), multiplicity)
    for start in range(0, resamples, max(1, BLOCK // clusters)):
        rows = min(max(1, BLOCK // clusters), resamples - start)
        if few:
            yield random.multinomial(clusters, multiplicity / clusters, size=rows).astype(np.float64)
            continue
        chosen = random.integers(clusters, size=(rows, clusters))
        places = kind_of[chosen] + kinds * np.arange(rows)[:, None]
        yield np.bincount(places.ravel(), minlength=rows * kinds).reshape(rows, kinds).astype(np.float64)
