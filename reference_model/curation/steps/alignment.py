"""Alignment: how well query and target fit each other, by the cosine of their vectors from any embedder of the harness.

Cosines of different modality pairs lie in different ranges (the modality gap; Liang et al., NeurIPS 2022), so thresholds,
quantiles and weights are always within a pair of modalities. How far true pairs stand apart from pairs shuffled within
the same modalities says whether the embedder can judge them at all, and stands in the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from reference_model.curation.pool import Numbers, Pool
from reference_model.curation.step import Context, Decision, Step, StepSettings
from reference_model.curation.steps.groups import groups_of
from reference_model.curation.steps.vectors import SideVectors, grid, misnamed, no_vector, open_encoder, side_vectors
from unite_bench.errors import DataError

EXAMPLES = 8
BLOCK = 4096
COMPARED = 20_000
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
NAMES = ("query and target hardly fit", "cannot be encoded", "not judged")
Scores = npt.NDArray[np.float64]


class Settings(StepSettings):
    """Exactly one of: `threshold` (lowest cosine kept), `quantile` (the share with the lowest cosines, dropped) and `floor`
    (no row is dropped; weights rise with the rank of the cosine, the lowest being `floor` of the highest and their mean 1
    in each pair of modalities, so that no pair gains on another). The first two are one number, or one for each pair of
    modalities (`text>image`), where pairs that are not named are kept.

    Rows of a modality that the embedder does not declare are kept and counted, or dropped with `unjudged: drop`."""

    kind: Literal["alignment"] = "alignment"
    embedder: str = "reference"
    threshold: float | dict[str, float] | None = None
    quantile: float | dict[str, float] | None = None
    floor: float | None = Field(default=None, ge=0, le=1)
    unjudged: Literal["keep", "drop"] = "keep"

    @model_validator(mode="after")
    def _one_rule(self) -> Settings:
        if sum(rule is not None for rule in (self.threshold, self.quantile, self.floor)) != 1:
            raise ValueError("give exactly one of threshold, quantile and floor")
        for name, low, high in (("threshold", -1.0, 1.0), ("quantile", 0.0, 1.0)):
            given = getattr(self, name)
            values = given.values() if isinstance(given, dict) else [] if given is None else [given]
            if any(not low <= value <= high for value in values):
                raise ValueError(f"{name} lies between {low:g} and {high:g}")
        return self

    def limit(self, pair: str, scores: Scores) -> float:
        """The lowest cosine that is kept of a pair of modalities."""
        if self.threshold is not None:
            value = self.threshold.get(pair) if isinstance(self.threshold, dict) else self.threshold
            return -np.inf if value is None else value
        share = self.quantile.get(pair, 0.0) if isinstance(self.quantile, dict) else self.quantile or 0.0
        return float(np.quantile(scores, share, method="higher")) if share < 1 else np.inf


def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision:
    """Judge every row. Raises DataError if no row can be judged, and for a named pair that no row has."""
    encoder = open_encoder(settings.embedder, context)
    queries = side_vectors(encoder, pool, alive, "query", context)
    targets = side_vectors(encoder, pool, alive, "target", context)
    scores = cosines(queries.vectors, targets.vectors)
    codes, names = groups_of(pool, alive, "modality_pair")
    judged = np.isfinite(scores)
    if not judged.any():
        raise DataError(f"alignment: no row can be judged: {no_vector(settings.embedder, (queries, targets))}")
    _check_names(settings, names)
    reasons = np.zeros(alive.size, dtype=np.uint8)
    weights = np.ones(alive.size, dtype=np.float32)
    facts: dict[str, Any] = {}
    declared = np.zeros(alive.size, dtype=bool)
    for code, pair in enumerate(names):
        members = codes == code
        declared[members] = set(pair.split(">")) <= encoder.embedder.card.modalities
        at, own = np.flatnonzero(members & judged), int(members.sum())
        if at.size == 0:
            facts[pair] = {"rows": own, "judged": 0}
            continue
        limit = settings.limit(pair, scores[at])
        if settings.floor is not None:
            limit = -np.inf
            weights[at] = ranked_weights(scores[at], settings.floor)
        reasons[at[scores[at] < limit]] = 1
        facts[pair] = {
            "rows": own,
            "judged": int(at.size),
            "lowest kept": float(limit) if np.isfinite(limit) else None,
            "quantiles": np.quantile(scores[at], QUANTILES).round(4).tolist(),
            "apart from shuffled": _apart(queries, targets, at, scores, context.random("alignment", pair)),
        }
    reasons[~judged & declared] = 2
    if settings.unjudged == "drop":
        reasons[~judged & ~declared] = 3
    lowest = np.flatnonzero(reasons == 1)
    lowest = lowest[np.argsort(scores[lowest], kind="stable")][:EXAMPLES]
    return Decision(
        reasons == 0,
        reasons,
        ("kept", *NAMES),
        weights=weights if settings.floor is not None else None,
        facts={
            "embedder": encoder.embedder.card.name,
            "quantiles": list(QUANTILES),
            "not declared": int((~judged & ~declared).sum()),
            "failed": int((~judged & declared).sum()),
            "messages": queries.messages + targets.messages,
            "pairs": facts,
        },
        examples={NAMES[0]: tuple(alive[lowest].tolist())} if lowest.size else {},
    )


def cosines(queries: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Scores:
    """Cosine of each pair of rows, (n, dim), (n, dim) -> (n,) float64, NaN where a vector is missing. Exact on the grid of
    the harness, so that it is the same in any block."""
    out = np.full(len(queries), np.nan)
    usable = np.flatnonzero(np.isfinite(queries[:, 0]) & np.isfinite(targets[:, 0]))
    for start in range(0, usable.size, BLOCK):
        at = usable[start : start + BLOCK]
        out[at] = np.einsum("ij,ij->i", grid(queries[at]), grid(targets[at]))
    return out


def ranked_weights(scores: Scores, floor: float) -> npt.NDArray[np.float32]:
    """In proportion to numbers from `floor` for the lowest score to 1 for the highest, by rank, with a mean of 1; equal
    scores weigh the same."""
    order = np.sort(scores)
    below = np.searchsorted(order, scores, side="left") + np.searchsorted(order, scores, side="right") - 1
    share = below / max(2 * (scores.size - 1), 1) if scores.size > 1 else np.ones(1)
    ranked = floor + (1 - floor) * share
    return np.asarray(ranked / ranked.mean(), dtype=np.float32)


def _apart(
    queries: SideVectors, targets: SideVectors, at: npt.NDArray[np.int64], scores: Scores, rng: np.random.Generator
) -> float | None:
    """The probability that a true pair scores above a shuffled one, ties as half, over at most COMPARED of the rows `at`;
    None for a single row."""
    if at.size < 2:
        return None
    order = rng.permutation(at)[:COMPARED]
    others = np.sort(
        cosines(queries.vectors[order], targets.vectors[np.roll(order, 1)])
    )  # a cycle: no row keeps its own
    own = scores[order]
    below = np.searchsorted(others, own, side="left") + np.searchsorted(others, own, side="right")
    return round(float(below.mean() / (2 * order.size)), 4)


def _check_names(settings: Settings, pairs: tuple[str, ...]) -> None:
    named = {name for rule in (settings.threshold, settings.quantile) if isinstance(rule, dict) for name in rule}
    if unknown := sorted(named - set(pairs)):
        raise DataError(f"alignment: no row is of {', '.join(unknown)}; the pool has {', '.join(pairs)}")


def _check(settings: Settings, folder: Path) -> Iterable[str]:
    return misnamed(settings.embedder, folder)


STEP = Step(Settings, run, "drops or weights rows by the cosine of query and target", check=_check)
