"""95 % intervals for a mean or median over queries: what to expect of other queries of the same kind.

Candidates are never resampled; the corpus, the task and the model are taken as given. Rows that share a medium are not
independent, so whole clusters are resampled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Interval = tuple[float, float]
RESAMPLES = 2000
BLOCK = 200  # resamples drawn at a time, to bound memory


def interval(
    values: Doubles, clusters: Sequence[str] | None = None, median: bool = False, level: float = 0.95, seed: int = 0
) -> tuple[Interval, str]:
    """The interval and the method's name: Wilson for unclustered proportions, else a percentile bootstrap by cluster.

    `values` (n,) float64, one a query; `clusters` one label a query (None: every query is its own cluster).
    """
    independent = values.size if clusters is None else len(set(clusters))
    if not median and independent == values.size and np.isin(values, (0.0, 1.0)).all():
        return wilson(float(values.sum()), values.size, level), "wilson"
    if not median and (values == values[0]).all() and values[0] in (0.0, 1.0):
        # Resampling equal values gives an interval of no width, which no finite sample supports.
        return wilson(float(values[0] * independent), independent, level), "wilson over clusters"
    return bootstrap(values, clusters, median, level, seed), "cluster bootstrap, percentile"


def wilson(hits: float, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (JASA 22, 1927); never of zero width, never outside [0, 1]."""
    z = float(special.ndtri(0.5 + level / 2))
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return (0.0 if hits == 0 else max(0.0, centre - half), 1.0 if hits == n else min(1.0, centre + half))


def bootstrap(values: Doubles, clusters: Sequence[str] | None, median: bool, level: float, seed: int) -> Interval:
    """Percentile bootstrap over clusters, with a fixed seed: the same values give the same interval."""
    values, group, sizes = _by_content(values, clusters)
    drawn = np.empty(RESAMPLES)
    random = np.random.default_rng(seed)
    for start in range(0, RESAMPLES, BLOCK):
        chosen = random.integers(sizes.size, size=(min(BLOCK, RESAMPLES - start), sizes.size))
        block = slice(start, start + len(chosen))
        drawn[block] = _medians(values, group, sizes, chosen) if median else _means(values, group, sizes, chosen)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _by_content(values: Doubles, clusters: Sequence[str] | None) -> tuple[Doubles, Ints, Ints]:
    """Values, the cluster of each and the clusters' sizes, in an order that follows from the values alone: neither the
    order of the queries nor the names of the clusters then changes what is drawn."""
    labels = np.arange(values.size) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    members: dict[int, list[float]] = {}
    for label, value in zip(labels.tolist(), values.tolist(), strict=True):
        members.setdefault(label, []).append(value)
    ordered = sorted(sorted(held) for held in members.values())
    sizes = np.array([len(held) for held in ordered])
    return np.array([v for held in ordered for v in held]), np.repeat(np.arange(sizes.size), sizes), sizes


def _means(values: Doubles, group: Ints, sizes: Ints, chosen: Ints) -> Doubles:
    sums = np.bincount(group, weights=values)
    return np.asarray(sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1))


def _medians(values: Doubles, group: Ints, sizes: Ints, chosen: Ints) -> Doubles:
    """Medians over the rows of the chosen clusters: each value counted as often as its cluster was drawn."""
    order = np.argsort(values, kind="stable")
    drawn = np.stack([np.bincount(row, minlength=sizes.size) for row in chosen])
    upto = np.cumsum(drawn[:, group[order]], axis=1)
    total = upto[:, -1:]
    lower = (upto >= (total + 1) // 2).argmax(axis=1)
    upper = (upto >= total // 2 + 1).argmax(axis=1)
    return np.asarray((values[order[lower]] + values[order[upper]]) / 2)
