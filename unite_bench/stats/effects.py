"""How large a difference is, how large one could have been found, and whether it is small enough not to matter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from unite_bench.stats.bootstrap import Interval

Doubles = npt.NDArray[np.float64]
ROUNDING = 1e-12  # values per query that differ by less are equal


def win_tie_loss(differences: Doubles) -> tuple[int, int, int]:
    """In how many queries the first is better, equal and worse; `differences` (queries,)."""
    wins, losses = int((differences > ROUNDING).sum()), int((differences < -ROUNDING).sum())
    return wins, differences.size - wins - losses, losses


def standardised_difference(differences: Doubles) -> float | None:
    """The mean difference over the standard deviation of the differences (Cohen's d for pairs, d_z); None if they do not
    vary."""
    spread = float(differences.std(ddof=1)) if differences.size > 1 else 0.0
    return float(differences.mean()) / spread if spread > ROUNDING else None


def matched_odds_ratio(wins: int, losses: int) -> float:
    """Odds that a query on which the two differ is a win, with half a query added to each side (Haldane, Annals of Human
    Genetics 20, 1956) so that it is finite."""
    return (wins + 0.5) / (losses + 0.5)


def unseen(clusters: int, level: float = 0.95) -> float:
    """Half the width of the interval for a difference of which no cluster showed any: z^2 / (n + z^2), the score interval
    for paired proportions without discordant pairs (Tango, Statistics in Medicine 17, 1998)."""
    z = float(special.ndtri(0.5 + level / 2))
    return z * z / (clusters + z * z)


def widened(interval: Interval, estimate: float, half_widths: Doubles) -> Interval:
    """An interval with the uncertainty of independent summands joined to it, in squares (Zou and Donner, Statistics in
    Medicine 27, 2008). `half_widths` (summands,) are those of summands whose resamples show no spread."""
    more = float((half_widths**2).sum())
    low, high = interval
    return (
        estimate - float(np.sqrt(max(0.0, estimate - low) ** 2 + more)),
        estimate + float(np.sqrt(max(0.0, high - estimate) ** 2 + more)),
    )


def standard_error(interval: Interval, level: float = 0.95) -> float:
    """The standard error that a normal interval of this width stands for. Never 0 where the interval has a width."""
    return float((interval[1] - interval[0]) / (2 * special.ndtri(0.5 + level / 2)))


def normal_p(difference: float, error: float) -> float:
    """Two-sided p-value of a difference with a normal error of this standard deviation."""
    return float(2 * special.ndtr(-abs(difference) / error))


def smallest_detectable(error: float, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided test at 1 - `level` finds with chance `power`, given the standard error
    of the difference (normal approximation)."""
    return float((special.ndtri(0.5 + level / 2) + special.ndtri(power)) * error)


def equivalence(difference: float, error: float, margin: float) -> float:
    """p-value of two one-sided tests (Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987): small if the true
    difference lies within (-margin, margin). `error` is the standard error of the difference.

    Raises ValueError if the margin is not positive: "no difference" has no meaning without one.
    """
    if margin <= 0:
        raise ValueError(f"an equivalence test needs a positive margin, not {margin}")
    return float(special.ndtr(-(margin - abs(difference)) / error))
