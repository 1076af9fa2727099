"""Embedders against each other over the same queries: differences with intervals and tests, by task and by suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from unite_bench.metrics.aggregate import above_chance
from unite_bench.report.pairing import Paired
from unite_bench.stats.bootstrap import Interval, bca, resample
from unite_bench.stats.clusters import ClusterSums
from unite_bench.stats.effects import (
    equivalence,
    normal_p,
    smallest_detectable,
    standard_error,
    standardised_difference,
    unseen,
    widened,
    win_tie_loss,
)
from unite_bench.stats.multiplicity import benjamini_hochberg, holm
from unite_bench.stats.ranks import borda, rank_sets
from unite_bench.stats.sign_flip import SignFlip, sign_flip
from unite_bench.stats.suites import over_other_tasks, suite_weights, task_shares

Doubles = npt.NDArray[np.float64]
CORRECTIONS: dict[str, Callable[[Doubles], Doubles]] = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}


@dataclass(frozen=True)
class Difference:
    """The first embedder of a pair less the second, on a task or over a suite.

    `interval` is for new queries on the same tasks, `other_tasks` for other tasks like these (suites only). `wins`, `ties`
    and `losses` count queries on a task and tasks over a suite. `corrected` is the p-value within its family.
    """

    where: str
    pair: tuple[str, str]
    scores: tuple[float, float]
    interval: Interval
    other_tasks: Interval | None
    test: SignFlip
    win_tie_loss: tuple[int, int, int]
    standardised: float | None
    clusters: int
    corrected: float = float("nan")

    @property
    def difference(self) -> float:
        return self.scores[0] - self.scores[1]

    @property
    def detectable(self) -> float:
        """The smallest true difference that would have been found with a chance of 80 %."""
        return smallest_detectable(standard_error(self.interval))

    def equivalent(self, margin: float) -> float:
        """p-value of the claim that the true difference lies within (-margin, margin)."""
        return equivalence(self.difference, standard_error(self.interval), margin)


@dataclass(frozen=True)
class Standing:
    """One embedder within a suite: its score, the ranks that the data leave open to it, and its Borda points."""

    embedder: str
    score: float
    ranks: tuple[int, int]
    borda: float


def task_differences(tasks: Sequence[Paired], embedders: Sequence[str], correction: str) -> list[Difference]:
    """Every task under every pair of embedders, p-values corrected over all of them."""
    return _corrected([d for task in tasks for d in _of_task(task, embedders)], correction)


def suite_differences(
    suites: Sequence[tuple[str, Sequence[Paired]]], embedders: Sequence[str], correction: str
) -> list[Difference]:
    """Every suite (name and tasks) under every pair of embedders, p-values corrected over all of them."""
    return _corrected([d for name, tasks in suites for d in _Suite(tasks).differences(name, embedders)], correction)


def standings(tasks: Sequence[Paired], embedders: Sequence[str]) -> list[Standing]:
    """The embedders by their score over a suite, best first."""
    suite = _Suite(tasks)
    scores = suite.scores
    contrasts = np.eye(len(embedders))
    drawn = [suite.drawn.statistic(suite.weights, contrast).draws for contrast in contrasts]
    still = np.array(
        [[np.sqrt((suite.unseen(a - b) ** 2).sum()) if a is not b else 0.0 for b in contrasts] for a in contrasts]
    )
    ranks = rank_sets(scores, np.stack(drawn, axis=1), unseen=still)
    points = borda(suite.above_chance, suite.shares)
    held = [
        Standing(name, float(scores[n]), (int(ranks[n, 0]), int(ranks[n, 1])), float(points[n]))
        for n, name in enumerate(embedders)
    ]
    return sorted(held, key=lambda standing: -standing.score)


def _of_task(task: Paired, embedders: Sequence[str]) -> list[Difference]:
    sums = ClusterSums.of([task.values], [task.clusters])
    drawn = resample(sums)
    queries = sums.sizes.sum(axis=0)
    out = []
    for a, b, contrast in _pairs(embedders):
        statistic = drawn.statistic(np.ones(1), contrast)
        rare = _unseen(sums, np.ones(1), contrast)
        interval = widened(bca(statistic), statistic.estimate, rare)
        whole = sums.contributions(queries, contrast)  # not divided by the queries: whole numbers where values are
        differences = task.values[:, a] - task.values[:, b]
        out.append(
            Difference(
                where=task.label,
                pair=(embedders[a], embedders[b]),
                scores=(float(task.values[:, a].mean()), float(task.values[:, b].mean())),
                interval=(max(-1.0, interval[0]), min(1.0, interval[1])),
                other_tasks=None,
                test=_tested(whole, statistic.estimate, interval, rare),
                win_tie_loss=win_tie_loss(differences),
                standardised=None if rare.any() else standardised_difference(differences),
                clusters=int(sums.clusters[0]),
            )
        )
    return out


class _Suite:
    """What all pairs of embedders share over a suite; its tasks' scores are above chance."""

    def __init__(self, tasks: Sequence[Paired]):
        self.tasks = tasks
        self.groups = [task.granularity for task in tasks]
        self.shares = task_shares(self.groups)
        self.weights = suite_weights(self.groups, np.array([task.chance for task in tasks]))
        self.sums = ClusterSums.of([task.values for task in tasks], [task.clusters for task in tasks])
        self.drawn = resample(self.sums)

    @property
    def above_chance(self) -> Doubles:
        """(tasks, embedders)"""
        means = [task.values.mean(axis=0) for task in self.tasks]
        return np.array([[above_chance(s, t.chance) for s in m] for m, t in zip(means, self.tasks, strict=True)])

    @property
    def scores(self) -> Doubles:
        """(embedders,)"""
        return np.asarray(self.shares @ self.above_chance)

    def unseen(self, contrast: Doubles) -> Doubles:
        return _unseen(self.sums, self.weights, contrast)

    def differences(self, name: str, embedders: Sequence[str]) -> list[Difference]:
        by_task = self.above_chance
        out = []
        for a, b, contrast in _pairs(embedders):
            statistic = self.drawn.statistic(self.weights, contrast)
            differences = by_task @ contrast
            rare = self.unseen(contrast)
            interval = widened(bca(statistic), statistic.estimate, rare)
            own = self.sums.contributions(self.weights, contrast)
            out.append(
                Difference(
                    where=name,
                    pair=(embedders[a], embedders[b]),
                    scores=(float(self.scores[a]), float(self.scores[b])),
                    interval=interval,
                    other_tasks=over_other_tasks(differences, self.groups),
                    test=_tested(own, statistic.estimate, interval, rare),
                    win_tie_loss=win_tie_loss(differences),
                    standardised=None,
                    clusters=len(self.sums.sizes),
                )
            )
        return out


def _pairs(embedders: Sequence[str]) -> list[tuple[int, int, Doubles]]:
    """Positions of the two of each pair, and the contrast that takes the second from the first."""
    units = np.eye(len(embedders))
    return [(a, b, units[a] - units[b]) for a, b in combinations(range(len(embedders)), 2)]


def _unseen(sums: ClusterSums, weights: Doubles, contrast: Doubles) -> Doubles:
    """Half-widths (tasks,) for the tasks in which differences hardly vary, which resampling cannot see; else 0."""
    return np.asarray(sums.still(contrast) * weights * [unseen(int(clusters)) for clusters in sums.clusters])


def _tested(contributions: Doubles, difference: float, interval: Interval, unseen: Doubles) -> SignFlip:
    """The sign-flip test. Where differences hardly vary in some task, signs alone would call the least of them certain; the
    p-value then is at least that of the interval."""
    test = sign_flip(contributions)
    return test.no_less_than(normal_p(difference, standard_error(interval))) if unseen.any() else test


def _corrected(differences: Sequence[Difference], correction: str) -> list[Difference]:
    p = CORRECTIONS[correction](np.array([d.test.p for d in differences]))
    return [replace(d, corrected=float(value)) for d, value in zip(differences, p, strict=True)]
