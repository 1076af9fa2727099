"""Duplicates within the pool: exact ones by content digests, near ones by texts and pictures or by vectors.

The first row of each group stays. By default both sides must be (nearly) equal: five captions of one picture are five
rows, and a picture with one colour changed is another picture.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.step import Context, Decision, Step, StepSettings
from reference_model.curation.steps.keys import Keys, joined, leaders, text_keys
from reference_model.curation.steps.near import Near, near_keys
from reference_model.curation.steps.vectors import misnamed

EXAMPLES = 8
NAMES = ("equal to an earlier row", "nearly equal to an earlier row")


class Settings(StepSettings):
    """`equal`: which sides must be equal for a row to be a duplicate. `near` also drops near duplicates (None: exact ones
    only)."""

    kind: Literal["duplicates"] = "duplicates"
    equal: Literal["pair", "query", "target"] = "pair"
    near: Near | None = None


def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision:
    """Drop every row that equals an earlier one. Raises MediaError for media that cannot be read."""
    sides: tuple[Side, ...] = ("query", "target") if settings.equal == "pair" else (settings.equal,)
    first = leaders(_both([exact_keys(pool, alive, side) for side in sides]))
    reasons = (first != np.arange(alive.size)).astype(np.uint8)
    facts: dict[str, Any] = {"compared": settings.equal, "exact": int(reasons.sum())}
    if settings.near is not None:
        left = np.flatnonzero(reasons == 0)
        found = [near_keys(pool, alive[left], side, settings.near, context) for side in sides]
        again = leaders(_both([keys for keys, _ in found]))
        repeated = again != np.arange(left.size)
        reasons[left[repeated]] = 2
        first[left] = left[again]
        facts["near"] = int(repeated.sum())
        facts["sides"] = {side: figures for side, (_, figures) in zip(sides, found, strict=True)}
    shown = {name: np.flatnonzero(reasons == n)[:EXAMPLES] for n, name in enumerate(NAMES, 1)}
    return Decision(
        reasons == 0,
        reasons,
        ("kept", *NAMES),
        facts=facts,
        examples={name: tuple(alive[at].tolist()) for name, at in shown.items() if at.size},
        partners={int(alive[at]): int(alive[first[at]]) for group in shown.values() for at in group},
    )


def exact_keys(pool: Pool, rows: Numbers, side: Side) -> Keys:
    """A key for each of `rows`, (n, 2), of the content of a side and its instruction."""
    out = np.empty((rows.size, 2), dtype=np.uint64)
    done = 0
    for at, digests in pool.digests(rows, side):
        out[done : done + at.size] = digests[:, :16].copy().view(">u8").astype(np.uint64)
        done += at.size
    _add_instructions(out, pool, rows, side)
    return out


def _add_instructions(keys: Keys, pool: Pool, rows: Numbers, side: Side) -> None:
    """Mix the instructions into the keys of the rows that have one: a digest of content leaves them out."""
    import pyarrow.compute as pc

    done = 0
    for at, table in pool.batches((side,), rows):
        asked = np.flatnonzero(pc.starts_with(table[side], '{"instruction":').to_numpy())  # its keys are sorted
        if asked.size:
            told = [json.loads(text)["instruction"] for text in table[side].take(asked).to_pylist()]
            keys[done + asked] = joined(keys[done + asked], text_keys(told))
        done += at.size


def _both(keys: list[Keys]) -> npt.NDArray[np.uint64]:
    return keys[0] if len(keys) == 1 else joined(keys[0], keys[1])


def _check(settings: Settings, folder: Path) -> Iterable[str]:
    embedder = settings.near and settings.near.embedder
    return misnamed(embedder, folder) if embedder else ()


STEP = Step(Settings, run, "drops rows that equal or nearly equal an earlier one", check=_check)
