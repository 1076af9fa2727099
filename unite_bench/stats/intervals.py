"""95 % intervals for a mean or median over queries: what to expect of other queries of the same kind.

Candidates are never resampled; the corpus, the task and the model are taken as given. Rows that share a medium are not
independent, so clusters are what is counted and resampled. `benchmarks/calibration.py` measures how often they cover.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from unite_bench.stats.bootstrap import Interval as Interval
from unite_bench.stats.bootstrap import bca, resample
from unite_bench.stats.clusters import ClusterSums

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
RESAMPLES = 2000  # of each of the many intervals of a record
BLOCK = 200  # medians drawn at a time, to bound memory


def interval(
    values: Doubles, clusters: Sequence[str] | None = None, median: bool = False, level: float = 0.95, seed: int = 0
) -> tuple[Interval, str]:
    """The interval and the method's name: Wilson for proportions (on the effective sample size where queries share media),
    BCa cluster bootstrap for other means, percentile cluster bootstrap for medians.

    `values` (n,) float64, one a query, within [0, 1] unless `median`; `clusters` one label a query (None: every query is
    its own cluster).
    """
    labels = [str(n) for n in range(values.size)] if clusters is None else list(clusters)
    if median:
        return _median_bootstrap(values, labels, level, seed), "cluster bootstrap, percentile"
    sums = ClusterSums.of([values[:, None]], [labels])
    totals, sizes = sums.totals[:, 0, 0], sums.sizes[:, 0]
    # Resampling equal values would give an interval of no width, which no finite sample supports.
    if np.isin(values, (0.0, 1.0)).all() or (values == values[0]).all() or sizes.size == 1:
        name = "wilson" if (sizes == 1).all() else "wilson, effective sample size over clusters"
        return clustered_wilson(totals, sizes, level), name
    drawn = resample(sums, RESAMPLES, seed).statistic(np.ones(1), np.ones(1))
    return bca(drawn, level), "cluster bootstrap, BCa"


def wilson(hits: float, n: float, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (JASA 22, 1927); never of zero width, never outside [0, 1]."""
    z = float(special.ndtri(0.5 + level / 2))
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return (0.0 if hits == 0 else max(0.0, centre - half), 1.0 if hits == n else min(1.0, centre + half))


def clustered_wilson(totals: Doubles, sizes: Doubles, level: float = 0.95) -> Interval:
    """Wilson's interval on the effective sample size: the queries divided by their design effect (Korn and Graubard, Survey
    Methodology 24, 1998; Franco, Little, Louis and Slud, J. Survey Statistics and Methodology 7, 2019).

    `totals` and `sizes` (clusters,) float64: hits and queries of each cluster.
    """
    hits, n = float(totals.sum()), float(sizes.sum())
    effective = n / design_effect(totals, sizes)
    return wilson(hits / n * effective, effective, level)


def design_effect(totals: Doubles, sizes: Doubles) -> float:
    """How many times the variance of a proportion exceeds that of as many independent queries; from 1 (queries are
    independent) to the size of a cluster (all queries of a cluster agree).

    Where hits or misses are rare, few clusters hold them, and the plain estimate is too low just when the proportion is
    far off. One cluster is therefore added that is all hits or all misses with equal chance: mean m / 2, variance m^2 / 4.
    Without any hit, or any miss, nothing is known of how alike queries are, and they are taken to agree.
    """
    m = float((sizes**2).sum() / sizes.sum())
    if totals.sum() in (0.0, sizes.sum()):
        return m
    n = float(sizes.sum()) + m
    share = (float(totals.sum()) + m / 2) / n
    variance = (float(((totals - sizes * share) ** 2).sum()) + m * m / 4) / n**2
    return float(np.clip(variance / (share * (1 - share) / n), 1.0, m))


def _median_bootstrap(values: Doubles, labels: Sequence[str], level: float, seed: int) -> Interval:
    """Percentile bootstrap of a median over clusters, with a fixed seed: the same values give the same interval."""
    values, group, clusters = _by_content(values, labels)
    drawn = np.empty(RESAMPLES)
    random = np.random.default_rng(seed)
    for start in range(0, RESAMPLES, BLOCK):
        chosen = random.integers(clusters, size=(min(BLOCK, RESAMPLES - start), clusters))
        drawn[start : start + len(chosen)] = _medians(values, group, clusters, chosen)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _by_content(values: Doubles, labels: Sequence[str]) -> tuple[Doubles, Ints, int]:
    """Values, the cluster of each and the number of clusters, in an order that follows from the values alone: neither the
    order of the queries nor the names of the clusters then changes what is drawn."""
    members: dict[str, list[float]] = {}
    for label, value in zip(labels, values.tolist(), strict=True):
        members.setdefault(label, []).append(value)
    ordered = sorted(sorted(held) for held in members.values())
    sizes = [len(held) for held in ordered]
    return np.array([v for held in ordered for v in held]), np.repeat(np.arange(len(sizes)), sizes), len(sizes)


def _medians(values: Doubles, group: Ints, clusters: int, chosen: Ints) -> Doubles:
    """Medians over the rows of the chosen clusters: each value counted as often as its cluster was drawn."""
    order = np.argsort(values, kind="stable")
    drawn = np.stack([np.bincount(row, minlength=clusters) for row in chosen])
    upto = np.cumsum(drawn[:, group[order]], axis=1)
    total = upto[:, -1:]
    lower = (upto >= (total + 1) // 2).argmax(axis=1)
    upper = (upto >= total // 2 + 1).argmax(axis=1)
    return np.asarray((values[order[lower]] + values[order[upper]]) / 2)
