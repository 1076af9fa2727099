"""Balance: how many rows of each source, topic or modality pair stay.

A cap, target shares, or sampling by temperature, where a group of n rows gets a share in proportion to n^alpha (Lample and
Conneau, NeurIPS 2019: 1 keeps the shares, 0 makes them equal). Shares are of what is drawn: rows times the weights that
the source and earlier steps gave them. Nothing is repeated unless `repeat` allows it.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reference_model.curation.pool import Numbers, Pool
from reference_model.curation.step import Context, Decision, Step, StepSettings
from reference_model.curation.steps.groups import By, groups_of, mean_weights, members_of
from reference_model.curation.steps.keys import Ints
from reference_model.curation.steps.shares import drawn, within_supply
from unite_bench.errors import DataError

NAMES = ("more of its group than wanted",)


class Settings(StepSettings):
    """Exactly one of `cap` (most rows of a group; one number, or by name, others uncapped), `shares` (by name, any scale;
    groups that are not named get none) and `alpha`.

    For shares and alpha, `total` rows stay; a group that is short gives all it has, and the others make up for it. Without
    `total`, as many stay as keep the shares. With `repeat` (the most times that a row may be drawn), the rows of a group
    that is short are weighted up; `total` is then needed, and counts repetitions."""

    kind: Literal["balance"] = "balance"
    by: By = "source"
    cap: int | dict[str, int] | None = None
    shares: dict[str, float] | None = None
    alpha: float | None = Field(default=None, ge=0, le=1)
    total: int | None = Field(default=None, ge=1)
    repeat: float = Field(default=1.0, ge=1)

    @model_validator(mode="after")
    def _one_rule(self) -> Settings:
        if sum(rule is not None for rule in (self.cap, self.shares, self.alpha)) != 1:
            raise ValueError("give exactly one of cap, shares and alpha")
        caps = self.cap.values() if isinstance(self.cap, dict) else [self.cap or 0]
        if any(cap < 0 for cap in caps) or any(share < 0 for share in (self.shares or {}).values()):
            raise ValueError("caps and shares are not negative")
        if self.shares is not None and sum(self.shares.values()) <= 0:
            raise ValueError("at least one share is above 0")
        if self.cap is not None and (self.total is not None or self.repeat > 1):
            raise ValueError("total and repeat go with shares or alpha, not with a cap")
        if self.repeat > 1 and self.total is None:
            raise ValueError("repeat needs a total: how many rows, counted with repetition")
        return self


def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision:
    """Draw the rows that stay, group by group. Raises DataError for a group that no row is of."""
    codes, names = groups_of(pool, alive, settings.by)
    supply = np.bincount(codes, minlength=len(names)).astype(np.int64)
    named = settings.shares or (settings.cap if isinstance(settings.cap, dict) else {})
    if unknown := sorted(set(named) - set(names)):
        raise DataError(f"balance: no row is of {settings.by} {', '.join(unknown)}; there are {', '.join(names)}")
    counts, repeats = plan(settings, names, supply, mean_weights(context, codes, len(names)))
    reasons = np.ones(alive.size, dtype=np.uint8)
    weights = np.ones(alive.size, dtype=np.float32)
    for code, (name, members) in enumerate(zip(names, members_of(codes, len(names)), strict=True)):
        chosen = drawn(members, int(counts[code]), context.random("balance", name))
        reasons[chosen] = 0
        weights[chosen] = repeats[code]
    facts: dict[str, Any] = {
        name: {"before": int(supply[code]), "after": int(counts[code]), "weight": float(repeats[code])}
        for code, name in enumerate(names)
    }
    used = weights if (repeats != 1).any() else None
    return Decision(reasons == 0, reasons, ("kept", *NAMES), used, {"by": settings.by, "groups": facts})


def plan(
    settings: Settings, names: tuple[str, ...], supply: Ints, means: npt.NDArray[np.float64]
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """How many rows of each group stay, and by what the weight of each of them is multiplied, (groups,), (groups,); `means`
    are the weights that they have, in the mean of a group."""
    ones = np.ones(len(names))
    if settings.cap is not None:
        caps = [settings.cap.get(name) if isinstance(settings.cap, dict) else settings.cap for name in names]
        most = np.array([own if cap is None else cap for cap, own in zip(caps, supply.tolist(), strict=True)])
        return np.minimum(supply, most), ones
    if settings.shares is not None:
        shares = np.array([settings.shares.get(name, 0.0) for name in names])
    else:
        shares = (supply * means) ** (settings.alpha or 0.0)
    shares = shares / means  # in rows
    if settings.repeat == 1:
        return within_supply(shares, supply, settings.total), ones
    most = np.floor(supply * settings.repeat + 1e-9).astype(np.int64)
    wanted = within_supply(shares, most, settings.total)
    counts = np.minimum(wanted, supply)
    return counts, np.where(counts > 0, wanted / np.maximum(counts, 1), 1.0)


STEP = Step(Settings, run, "evens out sources, topics or modality pairs")
