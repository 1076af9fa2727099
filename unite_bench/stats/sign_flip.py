"""The paired test of two embedders over the same queries: if they are equally good, then in each cluster of queries one
could as well have had the other's values, so the sign of the cluster's difference is as good as a toss of a coin.

The test conditions on how large the differences are and asks how often random signs give a sum as far from 0 (Fisher, The
Design of Experiments, 1935; for one hit or miss a cluster this is McNemar's exact test). Over several tasks, each cluster
contributes its weighted differences in all of them, and has one sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

Doubles = npt.NDArray[np.float64]
FLIPS = 9_999
ENUMERATED = 18  # discordant clusters up to which all 2^n signs are tried
BLOCK = 1 << 20  # signs held at a time, to bound memory
LATTICE_WORK = 1 << 26  # additions up to which the distribution of a sum of integers is worked out


@dataclass(frozen=True)
class SignFlip:
    """Two-sided p-values: `p` never rejects too often; `mid_p` counts half of what is as extreme as the data (Lancaster,
    JASA 56, 1961), and rejects at its level on average rather than at most. `discordant` clusters differ at all."""

    p: float
    mid_p: float
    discordant: int
    method: str

    def no_less_than(self, p: float) -> SignFlip:
        """The test with p-values of at least `p`."""
        return replace(self, p=max(self.p, p), mid_p=max(self.mid_p, p))


def sign_flip(contributions: Doubles, flips: int = FLIPS, seed: int = 0) -> SignFlip:
    """Test that the sum of `contributions` (clusters,) float64 is 0, by flipping their signs.

    Exact if they are integers (differences in hits) or few are not 0. Else by random flips, with the data counted among
    them, so that p is never 0 (Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010).
    """
    sizes = np.sort(np.abs(contributions))
    sizes = sizes[sizes > 1e-12 * sizes.max(initial=0.0)]
    observed = abs(float(contributions.sum()))
    close = 1e-12 * float(sizes.sum())  # sums of floats that differ by less are equal
    if observed <= close:
        return SignFlip(1.0, 1.0, sizes.size, "exact")
    method = "exact"
    if (sizes == np.rint(sizes)).all() and sizes.sum() * sizes.size <= LATTICE_WORK:
        sums, share = _distribution(sizes)
    elif sizes.size <= ENUMERATED:
        sums = np.zeros(1)
        for size in sizes:
            sums = np.concatenate([sums - size, sums + size])
        share = np.full(sums.size, 1 / sums.size)
    else:
        sums = np.append(_flipped(sizes, flips, seed), observed)
        share = np.full(sums.size, 1 / sums.size)
        method = f"{flips} random flips"
    beyond = float(share[np.abs(sums) > observed + close].sum())
    at_least = float(share[np.abs(sums) >= observed - close].sum())
    return SignFlip(min(1.0, at_least), (beyond + at_least) / 2, sizes.size, method)


def _distribution(sizes: Doubles) -> tuple[Doubles, Doubles]:
    """The sums of integers under random signs, from -total to total, and their probabilities."""
    total = int(sizes.sum())
    probability = np.zeros(2 * total + 1)
    probability[total] = 1.0
    reach = 0  # sums so far lie within this distance of 0
    for size, count in zip(*np.unique(sizes.astype(np.int64), return_counts=True), strict=True):
        before = probability[total - reach : total + reach + 1].copy()
        probability[total - reach : total + reach + 1] = 0.0
        reach += int(size * count)
        for plus, share in enumerate(stats.binom.pmf(np.arange(count + 1), count, 0.5)):
            start = total - reach + 2 * int(size) * plus
            probability[start : start + before.size] += share * before
    return np.arange(-total, total + 1, dtype=np.float64), probability


def _flipped(sizes: Doubles, flips: int, seed: int) -> Doubles:
    """Sums under random signs, (flips,)."""
    random = np.random.default_rng(seed)
    drawn = np.empty(flips)
    rows = max(1, BLOCK // sizes.size)
    for start in range(0, flips, rows):
        block = slice(start, min(start + rows, flips))
        random_bytes = random.integers(256, size=(block.stop - start, -(-sizes.size // 8)), dtype=np.uint8)
        positive = np.unpackbits(random_bytes, axis=1, count=sizes.size)
        drawn[block] = 2 * (positive.astype(np.float64) @ sizes) - sizes.sum()
    return drawn
