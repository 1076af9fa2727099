"""Embedders against each other over the same queries: differences with intervals and tests, by task and by suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from unite_bench.metrics.aggregate import above_chance
from unite_bench.report.pairing import Paired
from unite_bench.stats.bootstrap import Interval, resample
from unite_bench.stats.clusters import ClusterSums
from unite_bench.stats.effects import (
    equivalence,
    normal_p,
    smallest_detectable,
    standard_error,
    standardised_difference,
    win_tie_loss,
)
from unite_bench.stats.multiplicity import benjamini_hochberg, holm
from unite_bench.stats.ranks import borda, rank_sets
from unite_bench.stats.sign_flip import SignFlip, sign_flip
from unite_bench.stats.student import over_other_queries, over_other_tasks, unseen_by_task
from unite_bench.stats.suites import suite_weights, task_shares

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
    drawn = resample(suite.sums)
    units = np.eye(len(embedders))
    draws = np.stack([drawn.statistic(suite.weights, unit).draws for unit in units], axis=1)
    unseen = np.zeros((len(embedders), len(embedders)))
    for a, b, contrast in _pairs(embedders):
        unseen[a, b] = np.sqrt((unseen_by_task(suite.sums, suite.weights, contrast) ** 2).sum())
    ranks = rank_sets(scores, draws, unseen=unseen)
    points = borda(suite.above_chance, suite.shares)
    held = [
        Standing(name, float(scores[n]), (int(ranks[n, 0]), int(ranks[n, 1])), float(points[n]))
        for n, name in enumerate(embedders)
    ]
    return sorted(held, key=lambda standing: -standing.score)


def _of_task(task: Paired, embedders: Sequence[str]) -> list[Difference]:
    sums = ClusterSums.of([task.values], [task.clusters])
    out = []
    for a, b, contrast in _pairs(embedders):
        low, high = over_other_queries(sums, np.ones(1), contrast)
        still = bool(sums.still(contrast).any())
        differences = task.values[:, a] - task.values[:, b]
        # Multiplied by the number of queries, contributions are whole numbers where values are.
        test = sign_flip(sums.contributions(sums.sizes.sum(axis=0), contrast))
        out.append(
            Difference(
                where=task.label,
                pair=(embedders[a], embedders[b]),
                scores=(float(task.values[:, a].mean()), float(task.values[:, b].mean())),
                interval=(max(-1.0, low), min(1.0, high)),
                other_tasks=None,
                test=_no_surer_than((low, high), test) if still else test,
                win_tie_loss=win_tie_loss(differences),
                standardised=None if still else standardised_difference(differences),
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

    @property
    def above_chance(self) -> Doubles:
        """(tasks, embedders)"""
        means = [task.values.mean(axis=0) for task in self.tasks]
        return np.array([[above_chance(s, t.chance) for s in m] for m, t in zip(means, self.tasks, strict=True)])

    @property
    def scores(self) -> Doubles:
        """(embedders,)"""
        return np.asarray(self.shares @ self.above_chance)

    def differences(self, name: str, embedders: Sequence[str]) -> list[Difference]:
        out = []
        for a, b, contrast in _pairs(embedders):
            interval = over_other_queries(self.sums, self.weights, contrast)
            test = sign_flip(self.sums.contributions(self.weights, contrast))
            by_task = self.above_chance @ contrast
            out.append(
                Difference(
                    where=name,
                    pair=(embedders[a], embedders[b]),
                    scores=(float(self.scores[a]), float(self.scores[b])),
                    interval=interval,
                    other_tasks=over_other_tasks(by_task, self.groups),
                    test=_no_surer_than(interval, test) if self.sums.still(contrast).any() else test,
                    win_tie_loss=win_tie_loss(by_task),
                    standardised=None,
                )
            )
        return out


def _pairs(embedders: Sequence[str]) -> list[tuple[int, int, Doubles]]:
    """Positions of the two of each pair, and the contrast that takes the second from the first."""
    units = np.eye(len(embedders))
    return [(a, b, units[a] - units[b]) for a, b in combinations(range(len(embedders)), 2)]


def _no_surer_than(interval: Interval, test: SignFlip) -> SignFlip:
    """The test with a p-value of at least that of the interval. Where differences hardly vary in some task, signs alone
    would call the least of them certain."""
    return test.no_less_than(normal_p(sum(interval) / 2, standard_error(interval)))


def _corrected(differences: Sequence[Difference], correction: str) -> list[Difference]:
    p = CORRECTIONS[correction](np.array([d.test.p for d in differences]))
    return [replace(d, corrected=float(value)) for d, value in zip(differences, p, strict=True)]
