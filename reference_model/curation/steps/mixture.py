"""An automatic mixture: shares of groups that small proxy runs do well with, on rows that are held out.

Random mixtures are tried by short trainings, a regression says which shares should be best, and more runs compare these
with the declared and with equal shares. Evaluation sets are never looked at: the validation rows come from the pool and
leave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.proxy import Floats, Proxy, ProxySettings, Shares, TrainedProxy
from reference_model.curation.step import Context, Decision, Step, StepSettings
from reference_model.curation.steps.duplicates import exact_keys
from reference_model.curation.steps.groups import By, groups_of, mean_weights
from reference_model.curation.steps.keys import Ints
from reference_model.curation.steps.parts import part_keys
from reference_model.curation.steps.regression import best_mixture, bounded, draw_mixtures, fit
from reference_model.curation.steps.shares import drawn, within_supply
from unite_bench.errors import DataError

NAMES = ("held out to fit the mixture", "more of its group than the mixture takes")
SIDES: tuple[Side, ...] = ("query", "target")
Share = Annotated[float, Field(ge=0, le=1)]
Bounds = Annotated[tuple[Share, Share], Field(strict=False)]  # YAML knows lists only


class Settings(StepSettings):
    """`declared` are the shares to compare with (default: as the rows are), `bounds` the least and greatest share of a
    group, `worth` what it counts in the score (default: all the same). `runs` mixtures are tried; the fitted, the
    declared and the equal one are then compared by `repeats` runs each, and the best of them is taken, or the fitted one
    in any case. `validation` rows of each group are held out. `total` rows stay, or as many as have these shares."""

    kind: Literal["mixture"] = "mixture"
    by: By = "source"
    declared: dict[str, Share] | None = None
    bounds: dict[str, Bounds] = Field(default={})
    runs: int = Field(default=12, ge=3)
    repeats: int = Field(default=2, ge=1)
    take: Literal["best", "fitted"] = "best"
    validation: int = Field(default=48, ge=2)
    worth: dict[str, Share] = Field(default={})
    total: int | None = Field(default=None, ge=1)
    proxy: ProxySettings = ProxySettings()


@dataclass(frozen=True)
class Ask:
    """What is to be found: groups, shares to start from, bounds, and what each group counts (adding up to 1)."""

    names: tuple[str, ...]
    declared: Shares
    low: Floats
    high: Floats
    worth: Floats


def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision:
    """Hold out, try, fit, verify, and draw the rows. Raises DataError for groups that are too small or unknown."""
    codes, names = groups_of(pool, alive, settings.by)
    ask = asked(settings, names, np.bincount(codes, minlength=len(names)))
    held, out = hold_out(pool, alive, codes, len(names), settings.validation, context)
    supply = [np.flatnonzero((codes == code) & ~out) for code in range(len(names))]
    if short := [name for name, own in zip(names, supply, strict=True) if own.size == 0]:
        raise DataError(f"mixture: nothing of {', '.join(short)} is left to train on; hold out fewer rows")
    proxy = open_proxy(pool, [alive[own] for own in supply], [alive[own] for own in held], settings.proxy, context)
    shares, facts = fitted(ask, proxy, settings, context)
    means = mean_weights(context, codes, len(names))
    counts = within_supply(shares / means, np.array([own.size for own in supply]), settings.total)
    reasons = np.full(alive.size, 2, dtype=np.uint8)
    reasons[out] = 1
    for name, own, count in zip(names, supply, counts.tolist(), strict=True):
        reasons[drawn(own, count, context.random("mixture", name))] = 0
    facts["by"] = settings.by
    facts["rows"] = {
        name: {"left": int(own.size), "taken": int(n)} for name, own, n in zip(names, supply, counts, strict=True)
    }
    facts["held out"] = {name: int(own.size) for name, own in zip(names, held, strict=True)}
    return Decision.dropping(reasons, NAMES, **facts)


def asked(settings: Settings, names: tuple[str, ...], supply: Ints) -> Ask:
    """Settings as arrays. Raises DataError for a name that is no group, and for bounds that cannot be met."""
    named = {*(settings.declared or {}), *settings.bounds, *settings.worth}
    if unknown := sorted(named - set(names)):
        raise DataError(f"mixture: no row is of {settings.by} {', '.join(unknown)}; there are {', '.join(names)}")
    if len(names) < 2:
        raise DataError(f"mixture: there is one {settings.by} only, so nothing to mix; group by something else")
    low, high = (np.array([settings.bounds.get(name, (0.0, 1.0))[n] for name in names]) for n in range(2))
    raw = np.array([settings.declared.get(name, 0.0) for name in names]) if settings.declared else supply.astype(float)
    worth = np.array([settings.worth.get(name, 0.0 if settings.worth else 1.0) for name in names])
    if (low > high).any() or raw.sum() <= 0 or worth.sum() <= 0:
        raise DataError("mixture: bounds must be ordered, and some declared share and some worth above 0")
    try:
        return Ask(names, bounded(raw / raw.sum(), low, high), low, high, worth / worth.sum())
    except ValueError as error:
        raise DataError(f"mixture: {error}; loosen `bounds`") from error


def hold_out(
    pool: Pool, alive: Numbers, codes: npt.NDArray[np.int32], groups: int, most: int, context: Context
) -> tuple[list[Ints], npt.NDArray[np.bool_]]:
    """Positions of at most `most` rows of each group with targets of their own (a quarter of the group at most), and which
    rows leave the pool: these, and all that share with one of them a picture, a clip, or a text that is all of a side
    there, whichever side it stands on, beside whatever else and under any instruction. Raises DataError for a group below 8
    rows."""
    targets = exact_keys(pool, alive, "target")[:, 0]
    held = []
    for code in range(groups):
        members = np.flatnonzero(codes == code)
        if members.size < 8:
            raise DataError(f"mixture: a group has {members.size} rows; at least 8 are needed to hold some out")
        order = context.random("hold out", str(code)).permutation(members)
        _, first = np.unique(targets[order], return_index=True)
        held.append(np.sort(order[np.sort(first)][: min(most, members.size // 4)]))
    out = np.zeros(alive.size, dtype=bool)
    out[np.concatenate(held)] = True
    sides = [part_keys(pool, alive, side) for side in SIDES]
    positions, keys, telling = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    seen = keys[telling & out[positions]]
    out[positions[np.isin(keys, seen)]] = True
    return held, out


def open_proxy(
    pool: Pool, training: list[Numbers], held: list[Numbers], settings: ProxySettings, context: Context
) -> Proxy:
    """What the mixtures are tried with."""
    return TrainedProxy(pool, tuple(training), tuple(held), settings, context)


def fitted(ask: Ask, proxy: Proxy, settings: Settings, context: Context) -> tuple[Shares, dict[str, Any]]:
    """The shares to take, and an account of all runs. Raises DataError for a run whose score is no number."""

    def measured(shares: Shares, seed: int) -> Floats:
        result = proxy(shares, seed)
        if not np.isfinite(result).all():
            raise DataError("mixture: a proxy run diverged, so its score is no number; lower `rate` under `proxy`")
        return result

    rng = context.random("mixtures")
    equal = bounded(np.full(len(ask.names), 1 / len(ask.names)), ask.low, ask.high)
    tried = np.stack([ask.declared, equal, *draw_mixtures(ask.declared, ask.low, ask.high, settings.runs - 2, rng)])
    seeds = rng.integers(2**31, size=1 + settings.repeats).tolist()
    results: list[Floats] = []
    for number, shares in enumerate(tried, 1):
        same = [result for result, other in zip(results, tried, strict=False) if np.array_equal(shares, other)]
        results.append(same[0] if same else measured(shares, seeds[0]))
        context.note(f"mixture: proxy run {number} of {settings.runs}, score {results[-1] @ ask.worth:.4f}")
    scores = np.stack(results) @ ask.worth
    found = fit(tried, scores)
    low, high = np.maximum(ask.low, tried.min(axis=0)), np.minimum(ask.high, tried.max(axis=0))
    best = best_mixture(found, ask.declared, low, high, rng)  # a fit says nothing of shares beyond those tried
    compared = {"fitted": best, "declared": ask.declared, "equal": equal}
    verified = {
        name: [float(measured(shares, seed) @ ask.worth) for seed in seeds[1:]] for name, shares in compared.items()
    }
    means = {name: float(np.mean(values)) for name, values in verified.items()}
    taken = "fitted" if settings.take == "fitted" else max(means, key=lambda name: means[name])
    facts = {
        "groups": list(ask.names),
        "taken": taken,
        "mixtures": {name: _rounded(shares) for name, shares in compared.items()},
        "verified": {name: {"mean": means[name], "runs": values} for name, values in verified.items()},
        "predicted": dict(zip(compared, found.predict(np.stack(list(compared.values()))).tolist(), strict=True)),
        "fit": {"form": found.form, "explained, leaving one out": found.explained},
        "runs": [
            {"shares": _rounded(shares), "score": float(score), "by group": _rounded(result)}
            for shares, score, result in zip(tried, scores, results, strict=True)
        ],
    }
    return compared[taken], facts


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), 4) for value in values]


STEP = Step(Settings, run, "fits the shares of groups on small proxy runs")
