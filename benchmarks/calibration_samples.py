"""Simulated samples of hits, and a tally of how often intervals cover the truth behind them: parts of `calibration.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from unite_bench.stats.bootstrap import Interval, bca, percentile, resample
from unite_bench.stats.clusters import ClusterSums

Doubles = npt.NDArray[np.float64]
CORRELATION = 0.3
SHARES = (0.02, 0.5, 0.98)
QUERIES = (200, 5000)
CAPTIONS = (1, 5, 40)
RESAMPLES = 1000


def grid() -> Iterator[tuple[int, int, float]]:
    """Captions a medium, queries, share of hits."""
    for captions in CAPTIONS:
        for queries in QUERIES:
            for p in SHARES:
                yield captions, queries, p


def seeded(*cell: float) -> np.random.Generator:
    """A stream of its own for each cell of a table."""
    return np.random.default_rng([round(1000 * value) for value in cell])


def chances(random: np.random.Generator, p: float, media: int) -> Doubles:
    """Chances of a hit with mean p, one a medium."""
    spread = 1 / CORRELATION - 1
    return random.beta(p * spread, (1 - p) * spread, media)


def alike_chances(random: np.random.Generator, shares: Sequence[float], media: int) -> Doubles:
    """Chances of a hit in several tasks, (media, tasks): a medium stands at the same quantile of each."""
    spread = 1 / CORRELATION - 1
    at = random.random((media, 1))
    return np.asarray(stats.beta.ppf(at, np.array(shares) * spread, (1 - np.array(shares)) * spread))


def paired_hits(random: np.random.Generator, p: float, kept: float, media: int, captions: int) -> Doubles:
    """Hits of two embedders with shares p and p * kept, (media, 2)."""
    first, second = chances(random, p, media), chances(random, p, media)
    second = np.where(random.random(media) < 0.5, first, second)
    return np.stack([random.binomial(captions, first), random.binomial(captions, second * kept)], axis=1).astype(float)


def one_task(totals: Doubles, captions: int) -> ClusterSums:
    """One task of equal clusters; `totals` (media, columns)."""
    return ClusterSums(totals[:, None], np.full((len(totals), 1), float(captions)))


def apart(found: ClusterSums) -> ClusterSums:
    """The same tasks as if each had media of its own."""
    media, tasks, columns = found.totals.shape
    totals, sizes = np.zeros((tasks * media, tasks, columns)), np.zeros((tasks * media, tasks))
    for task in range(tasks):
        rows = slice(task * media, (task + 1) * media)
        totals[rows, task], sizes[rows, task] = found.totals[:, task], found.sizes[:, task]
    return ClusterSums(totals, sizes)


class Tally:
    """How often intervals cover the truth, and how narrow the narrowest was."""

    def __init__(self, truth: float):
        self.truth = truth
        self.covered: dict[str, list[bool]] = {}
        self.narrowest = np.inf

    def add(self, method: str, found: Interval) -> None:
        self.covered.setdefault(method, []).append(found[0] - 1e-12 <= self.truth <= found[1] + 1e-12)
        if method == "used":
            self.narrowest = min(self.narrowest, found[1] - found[0])

    def add_bootstraps(self, found: ClusterSums, contrast: Doubles) -> None:
        statistic = resample(found, RESAMPLES).statistic(np.ones(1), contrast)
        self.add("cluster percentile", percentile(statistic))
        self.add("cluster BCa", bca(statistic))

    def row(self) -> dict[str, float]:
        return {method: float(np.mean(held)) for method, held in self.covered.items()} | {"narrowest": self.narrowest}
