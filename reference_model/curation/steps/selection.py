"""Representative selection to a budget: rows that stand for all, by their vectors, compared with chance.

Large groups are cut into random parts, each with its share of the budget (the first round of Mirzasoleiman et al.,
"Distributed Submodular Maximization", NeurIPS 2013), so that memory and time a row do not grow with the pool.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.step import Context, Decision, Step, StepSettings
from reference_model.curation.steps.greedy import coverage, facility_location, k_centre, similarities
from reference_model.curation.steps.groups import By, groups_of
from reference_model.curation.steps.keys import Ints
from reference_model.curation.steps.shares import whole_parts
from reference_model.curation.steps.vectors import misnamed, open_encoder, side_vectors
from unite_bench.errors import DataError

WITNESSES = 2000
DRAWS = 5
NAMES = ("another row stands for it", "cannot be encoded")
Vectors = npt.NDArray[np.float32]


class Settings(StepSettings):
    """Exactly one of `budget` (rows) and `share` (of the living ones). `side`: whose vectors count; both: their mean cosine.
    Each group of `within` gets its share of the budget by its size; similarities between modalities mean little."""

    kind: Literal["selection"] = "selection"
    embedder: str = "reference"
    method: Literal["facility-location", "k-centre"] = "facility-location"
    side: Literal["query", "target", "both"] = "both"
    budget: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=1)
    within: By | None = "modality_pair"
    part: int = Field(default=4096, ge=2, le=32_768)

    @model_validator(mode="after")
    def _one_size(self) -> Settings:
        if (self.budget is None) == (self.share is None):
            raise ValueError("give exactly one of budget and share")
        return self


def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision:
    """Keep the chosen rows. Raises DataError if the embedder does not declare a modality that rows have."""
    vectors, failed, messages = _vectors(pool, alive, settings, context)
    codes, names = groups_of(pool, alive, settings.within) if settings.within else (np.zeros(alive.size, int), ("all",))
    usable = [np.flatnonzero((codes == code) & ~failed) for code in range(len(names))]
    total = settings.budget if settings.budget is not None else round((settings.share or 0) * alive.size)
    budgets = whole_parts(np.array([own.size for own in usable]), min(total, sum(own.size for own in usable)))
    reasons = np.ones(alive.size, dtype=np.uint8)
    reasons[failed] = 2
    facts: dict[str, Any] = {}
    for own, budget, name in zip(usable, budgets.tolist(), names, strict=True):
        chosen = _choose(vectors, own, budget, settings, context.random("selection", name))
        reasons[chosen] = 0
        facts[name] = {"rows": int(own.size), "kept": budget}
        if 0 < budget < own.size:
            facts[name] |= _compared(vectors, own, chosen, context.random("coverage", name))
        context.note(f"selection: {budget:,} of {own.size:,} rows of {name}")
    about = {"embedder": settings.embedder, "method": settings.method, "side": settings.side, "groups": facts}
    return Decision.dropping(reasons, NAMES, **about, messages=messages)


def _choose(vectors: Vectors, own: Ints, budget: int, settings: Settings, rng: np.random.Generator) -> Ints:
    """`budget` of the rows `own`."""
    if budget >= own.size:
        return own
    parts = np.array_split(rng.permutation(own), -(-own.size // settings.part))
    sizes = whole_parts(np.array([part.size for part in parts]), budget)
    rule = facility_location if settings.method == "facility-location" else k_centre
    found = [np.zeros(0, np.int64)]
    for part, size in zip(map(np.sort, parts), sizes.tolist(), strict=True):
        if size:
            found.append(part[rule(similarities(vectors[part], vectors[part]), size)])
    return np.sort(np.concatenate(found))


def _compared(vectors: Vectors, own: Ints, chosen: Ints, rng: np.random.Generator) -> dict[str, Any]:
    """How well the chosen rows and random ones of equal number cover a sample of the group."""
    witnesses = np.sort(rng.permutation(own)[:WITNESSES])
    mean, radius = coverage(vectors, chosen, witnesses)
    draws = [coverage(vectors, np.sort(rng.permutation(own)[: chosen.size]), witnesses) for _ in range(DRAWS)]
    means, radii = zip(*draws, strict=True)
    return {
        "witnesses": int(witnesses.size),
        "nearest": round(mean, 4),
        "radius": round(radius, 4),
        "random nearest": [round(float(value), 4) for value in (min(means), np.mean(means), max(means))],
        "random radius": [round(float(value), 4) for value in (min(radii), np.mean(radii), max(radii))],
    }


def _vectors(
    pool: Pool, alive: Numbers, settings: Settings, context: Context
) -> tuple[Vectors, npt.NDArray[np.bool_], list[str]]:
    """(n, dim) vectors, both sides' one after the other if both count, which rows have none, and some reasons why."""
    encoder = open_encoder(settings.embedder, context)
    sides: tuple[Side, ...] = ("query", "target") if settings.side == "both" else (settings.side,)
    found = [side_vectors(encoder, pool, alive, side, context) for side in sides]
    if undeclared := sum(side.undeclared for side in found):
        raise DataError(
            f"selection: {settings.embedder} does not declare the modality of {undeclared:,} items; name another embedder, "
            "or a side that it can take"
        )
    messages = [message for side in found for message in side.messages]
    failed = ~np.logical_and.reduce([side.usable for side in found])
    if len(found) == 1:
        return found[0].vectors, failed, messages
    from numpy.lib.format import open_memmap

    width = encoder.embedder.card.dim
    joined = open_memmap(context.work / "both-vectors.npy", "w+", np.float32, (alive.size, 2 * width))
    for number, side in enumerate(found):
        for start in range(0, alive.size, 4096):
            block = side.vectors[start : start + 4096]
            lengths = np.linalg.norm(block, axis=1, keepdims=True)
            joined[start : start + 4096, number * width : (number + 1) * width] = block / lengths
    return joined, failed, messages


def _check(settings: Settings, folder: Path) -> Iterable[str]:
    return misnamed(settings.embedder, folder)


STEP = Step(Settings, run, "keeps rows that stand for all, up to a budget", check=_check)
