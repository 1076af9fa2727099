"""From the scores of some mixtures to the best one: ridge regression, after RegMix (Liu et al., arXiv 2407.01492).

RegMix trains small models on random mixtures, fits scores by mixtures, and averages the best of many simulated ones. With
a dozen runs and a handful of groups, three forms are tried here: linear in shares, linear in their logarithms, and with
squares where there are runs enough; the one with the smallest leave-one-out error is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SIMULATED = 20_000
HALVINGS = 100
BEST = 0.005
RIDGE = 1e-2
SMALL = 0.01  # added to a share before its logarithm
CONCENTRATIONS = (0.5, 5.0)  # of the Dirichlet distributions that mixtures are drawn from, after RegMix


@dataclass(frozen=True)
class Fit:
    """`form` of the features, their `mean` and `scale`, weights, and the share of the scores' variance that is explained
    when each run is left out in turn (0 or less: the fit says nothing)."""

    form: str
    mean: Floats
    scale: Floats
    weights: Floats
    offset: float
    explained: float

    def predict(self, shares: Floats) -> Floats:
        """Scores of mixtures, (n, groups) -> (n,)."""
        known = (features(shares, self.form) - self.mean) / self.scale
        return np.asarray(known @ self.weights + self.offset)


def features(shares: Floats, form: str) -> Floats:
    """(n, groups) -> (n, features)."""
    if form == "linear":
        return shares
    logs = np.log(shares + SMALL)
    return logs if form == "log" else np.concatenate([logs, logs**2], axis=1)


def fit(shares: Floats, scores: Floats) -> Fit:
    """The form with the smallest leave-one-out error, (runs, groups), (runs,). Squares need three runs a group."""
    runs, groups = shares.shape
    forms = ["linear", "log"] + (["log with squares"] if runs >= 3 * groups else [])
    return max((_ridge(shares, scores, form) for form in forms), key=lambda found: found.explained)


def _ridge(shares: Floats, scores: Floats, form: str) -> Fit:
    raw = features(shares, form)
    mean, scale = raw.mean(axis=0), raw.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    known = (raw - mean) / scale
    offset = float(scores.mean())
    inverse = np.linalg.inv(known.T @ known + RIDGE * len(scores) * np.eye(known.shape[1]))
    weights = inverse @ known.T @ (scores - offset)
    leverage = np.einsum("ij,jk,ik->i", known, inverse, known) + 1 / len(scores)
    missed = (scores - offset - known @ weights) / (1 - np.minimum(leverage, 1 - 1e-9))
    spread = float(((scores - offset) ** 2).sum()) * (len(scores) / (len(scores) - 1)) ** 2  # the mean is left out too
    explained = 1 - float((missed**2).sum()) / spread if spread > 0 else 0.0
    return Fit(form, mean, scale, weights, offset, explained)


def draw_mixtures(prior: Floats, low: Floats, high: Floats, count: int, rng: np.random.Generator) -> Floats:
    """`count` mixtures around `prior` within bounds, (count, groups): Dirichlet draws, some wide, some near it."""
    low_log, high_log = (float(np.log(value)) for value in CONCENTRATIONS)
    strength = np.exp(rng.uniform(low_log, high_log, size=count))
    base = np.maximum(prior, 1e-3) * len(prior)
    raw = rng.standard_gamma(strength[:, None] * base) + 1e-12
    return bounded(raw / raw.sum(axis=1, keepdims=True), low, high)


def bounded(shares: Floats, low: Floats, high: Floats) -> Floats:
    """Shares (groups,) or (n, groups), each row times one factor and cut to `low` and `high`, so that it adds up to 1.

    Raises ValueError if no shares within the bounds do.
    """
    if low.sum() > 1 + 1e-9 or high.sum() < 1 - 1e-9:
        raise ValueError("no shares within the bounds add up to 1")
    raised = np.maximum(shares, 1e-12)
    least = np.zeros((*raised.shape[:-1], 1))
    most = 1 / raised.min(axis=-1, keepdims=True)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        below = np.clip(raised * middle, low, high).sum(axis=-1, keepdims=True) < 1
        least, most = np.where(below, middle, least), np.where(below, most, middle)
    found = np.clip(raised * most, low, high)
    return np.asarray(found / found.sum(axis=-1, keepdims=True))


def best_mixture(found: Fit, prior: Floats, low: Floats, high: Floats, rng: np.random.Generator) -> Floats:
    """The mean of the best-predicted of many simulated mixtures, within bounds, (groups,)."""
    simulated = draw_mixtures(prior, low, high, SIMULATED, rng)
    order = np.argsort(-found.predict(simulated), kind="stable")
    return bounded(simulated[order[: round(BEST * SIMULATED)]].mean(axis=0), low, high)
