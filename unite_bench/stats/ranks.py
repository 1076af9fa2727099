"""Which ranks the data leave open, and Borda points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def rank_sets(estimates: Doubles, draws: Doubles, level: float = 0.95, unseen: Doubles | None = None) -> Ints:
    """Lowest and highest rank of each of m embedders, (m, 2) int64 from 1, that hold all true ranks at once with chance
    `level` (Mogstad, Romano, Shaikh and Wilhelm, Review of Economic Studies 91, 2024, section 3, joint confidence sets).

    `estimates` (m,), higher is better; `draws` (resamples, m) the same over resamples, drawn jointly; `unseen` (m, m) what
    is added to half the width of each pair's interval, for pairs of which the resamples show no spread.

    All pairwise differences get simultaneous intervals from the largest studentised deviation over pairs. An embedder ranks
    below every other whose difference to it lies wholly above 0, and above every other for which it lies wholly below.
    """
    first, second = np.triu_indices(estimates.size, 1)
    difference = estimates[first] - estimates[second]
    deviation = draws[:, first] - draws[:, second] - difference
    error = deviation.std(axis=0)
    spread = error > 1e-12
    largest = (np.abs(deviation[:, spread]) / error[spread]).max(axis=1) if spread.any() else np.zeros(1)
    half = float(np.quantile(largest, level)) * error
    if unseen is not None:
        half = half + unseen[first, second]
    better = np.zeros((estimates.size, estimates.size), dtype=bool)
    better[first, second] = difference > half
    better[second, first] = -difference > half
    return np.stack([1 + better.sum(axis=0), estimates.size - better.sum(axis=1)], axis=1)


def borda(scores: Doubles, shares: Doubles) -> Doubles:
    """Borda points (m,) of `scores` (tasks, m): the share of the other embedders that one beats on a task, ties half, over
    tasks by `shares` (tasks,). They depend on which embedders are compared: adding one can turn the order of two others.
    """
    ahead = (scores[:, :, None] > scores[:, None, :]).sum(axis=2) + 0.5 * (
        scores[:, :, None] == scores[:, None, :]
    ).sum(axis=2)
    return np.asarray(shares @ (ahead - 0.5) / (scores.shape[1] - 1))
