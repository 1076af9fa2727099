"""Whole numbers of rows from shares: what balance, selection and mixture have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reference_model.curation.steps.keys import Ints


def whole_parts(weights: npt.NDArray[Any], total: int) -> Ints:
    """`total` split in proportion to `weights` (groups,), by largest remainders; the first of equal ones gets more.

    Raises ValueError if there is something to split and nothing to go by.
    """
    if total == 0:
        return np.zeros(len(weights), dtype=np.int64)
    if weights.sum() <= 0:
        raise ValueError("no weight is above 0")
    exact = weights.astype(np.float64) * (total / float(weights.sum()))
    whole = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def within_supply(shares: npt.NDArray[np.float64], supply: Ints, total: int | None = None) -> Ints:
    """Rows of each group when none is repeated, (groups,): as near to `shares` as `total` and the supply allow.

    Without `total`, as many rows as keep the shares exactly. With it, a group that has too few gives all it has, and the
    others share what is left, in proportion.
    """
    wanted = shares > 0
    if total is None:
        largest = float((supply[wanted] / shares[wanted]).min()) * float(shares.sum()) if wanted.any() else 0.0
        return np.minimum(whole_parts(shares, int(largest + 1e-9)), supply)
    taken = np.zeros(len(shares), dtype=np.int64)
    total = min(total, int(supply[wanted].sum()))
    while (left := total - int(taken.sum())) > 0:
        free = wanted & (taken < supply)
        more = whole_parts(np.where(free, shares, 0.0), left)
        taken = np.minimum(taken + more, supply)
    return taken


def drawn(rows: Ints, count: int, rng: np.random.Generator) -> Ints:
    """`count` of `rows`, ascending, each with the same chance."""
    return np.sort(rng.permutation(rows)[:count])
