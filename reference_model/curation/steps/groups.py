"""Groups of rows: by source, topic or modality pair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from reference_model.curation.pool import Numbers, Pool
from reference_model.curation.step import Context
from reference_model.curation.steps.keys import Ints

By = Literal["source", "topic", "modality_pair", "granularity", "stage"]
Codes = npt.NDArray[np.int32]
MODALITY_PAIR = ("query_modality", "target_modality")


def groups_of(pool: Pool, rows: Numbers, by: By) -> tuple[Codes, tuple[str, ...]]:
    """The group of each row, (n,), as a position in the sorted names. A modality pair is written `text>image`."""
    columns = MODALITY_PAIR if by == "modality_pair" else (by,)
    codes: dict[str, int] = {}
    blocks = [np.zeros(0, np.int32)]
    for _, table in pool.batches(columns, rows):
        values = [table[name].to_pylist() for name in columns]
        cells: Iterable[str] = values[0] if len(values) == 1 else map(">".join, zip(*values, strict=True))
        blocks.append(np.array([codes.setdefault(cell, len(codes)) for cell in cells], dtype=np.int32))
    names = tuple(sorted(codes))
    at = {name: number for number, name in enumerate(names)}
    place = np.array([at[name] for name in codes], dtype=np.int32)
    found = np.concatenate(blocks)
    return (place[found] if names else found), names


def members_of(codes: Codes, groups: int) -> list[Ints]:
    """The positions of each group's rows, ascending."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.searchsorted(codes[order], np.arange(1, groups)))


def mean_weights(context: Context, codes: Codes, groups: int) -> npt.NDArray[np.float64]:
    """The mean weight of each group's rows, (groups,): a row of weight 2 is drawn twice as often as one of weight 1."""
    if context.weights is None:
        return np.ones(groups)
    sums = np.bincount(codes, weights=context.weights, minlength=groups)
    means = sums / np.maximum(np.bincount(codes, minlength=groups), 1)
    return np.where(means > 0, means, 1.0)
