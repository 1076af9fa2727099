"""In which order rows are trained on: a function of the rows, the recipe and the seed, known before the first step.

Every process computes the whole order and takes its share of each batch, so that a run that was killed goes on with the
same batches. Rows of like length need not be in one batch for that no time is lost to padding: a batch is cut by length
into forward passes (train/encoder.py), and its members stay a random sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

import numpy as np
import numpy.typing as npt

from unite_bench.items import content_digest

Rows = npt.NDArray[np.int64]
EMPTY = 100


@dataclass(frozen=True)
class Order:
    """Batches of row numbers over all processes, of all epochs, one after the other; `left_out` rows fill no batch."""

    batches: tuple[Rows, ...]
    left_out: int = 0

    @property
    def digest(self) -> str:
        return content_digest("order", *(batch.tobytes() for batch in self.batches))


def plan_order(
    sets: npt.NDArray[np.int8],
    weights: npt.NDArray[np.float32],
    size: int,
    least: int,
    mode: Literal["mixed", "homogeneous"],
    seed: int,
    epochs: float | None = None,
    batches: int | None = None,
) -> Order:
    """Batches of `size` rows until `epochs` are over, or until there are `batches` of them.

    `sets` (n,) are the modality sets of the targets: a homogeneous batch has one. `weights` (n,) say how often a row comes
    in an epoch, in the mean. The rest of an epoch (of a set) is a smaller batch, or left out if it has fewer than `least`.
    There are fewer batches than asked for where EMPTY epochs on end fill none.
    """
    found: list[Rows] = []
    lost, wanted, empty = 0, batches, 0
    for epoch in count():
        rng = np.random.default_rng([seed, epoch])
        part = min(1.0, epochs - epoch) if epochs is not None else 1.0
        if part <= 0 or (wanted is not None and len(found) >= wanted):
            break
        drawn = list(_epoch(sets, weights, size, mode, rng))
        kept = [rows for rows in drawn if len(rows) >= least]
        lost += sum(len(rows) for rows in drawn) - sum(len(rows) for rows in kept)
        empty = 0 if kept else empty + 1
        if empty == EMPTY:
            break
        found += kept if part == 1.0 else kept[: max(1, round(part * len(kept)))]
    return Order(tuple(found if wanted is None else found[:wanted]), lost)


def _epoch(
    sets: npt.NDArray[np.int8],
    weights: npt.NDArray[np.float32],
    size: int,
    mode: Literal["mixed", "homogeneous"],
    rng: np.random.Generator,
) -> Iterator[Rows]:
    """The batches of one epoch in their order."""
    times = np.floor(weights + rng.random(len(weights))).astype(np.int64)
    rows = np.repeat(np.arange(len(weights), dtype=np.int64), times)
    groups = [rows] if mode == "mixed" else [rows[sets[rows] == number] for number in np.unique(sets[rows])]
    cut = []
    for group in groups:
        shuffled = rng.permutation(group)
        cut += [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
    for place in rng.permutation(len(cut)) if mode == "homogeneous" else range(len(cut)):
        yield cut[place]
