"""Near duplicates by vectors: candidates by signs of random projections, then the exact cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.step import Context
from reference_model.curation.steps.bands import Bands, near_leaders, near_pairs, signs
from reference_model.curation.steps.keys import Ints, Keys, mixed
from reference_model.curation.steps.vectors import grid, no_vector, open_encoder, side_vectors
from unite_bench.errors import DataError
from unite_bench.rank.grid import STEP

BANDS, BITS = 24, 12
BLOCK = 4096
PAIRS = 4096


def near_vector_keys(
    pool: Pool, rows: Numbers, side: Side, embedder: str, cosine: float, context: Context
) -> tuple[Keys, dict[str, Any]]:
    """A key for each of `rows`, (n, 2), equal where the vectors are near the same leader's and the modality is the same.

    An item without a vector is near nobody. Raises DataError if there is no vector at all.
    """
    found = side_vectors(open_encoder(embedder, context), pool, rows, side, context)
    at = np.flatnonzero(found.usable)
    if at.size == 0:
        raise DataError(f"near: no {side} has a vector: {no_vector(embedder, (found,))}")
    modalities = modality_codes(pool, rows, side)[at]
    vectors = found.vectors
    bands = bands_of(vectors, at)

    def verify(first: Ints, second: Ints) -> npt.NDArray[np.bool_]:
        same = modalities[first] == modalities[second]
        for start in range(0, len(first), PAIRS):
            part = slice(start, start + PAIRS)
            products = np.einsum("ij,ij->i", grid(vectors[at[first[part]]]), grid(vectors[at[second[part]]]))
            same[part] &= products >= cosine
        return np.asarray(same)

    pairs, cut = near_pairs(bands, verify)
    leaders = np.arange(rows.size)
    leaders[at] = at[near_leaders(at.size, pairs)]
    facts = {
        "embedder": embedder,
        "with a vector": int(at.size),
        "apart": int((leaders[at] == at).sum()),
        "not compared": cut,
        "not declared": found.undeclared,
        "failed": len(found.failed),
    }
    return np.column_stack([mixed(leaders), mixed(leaders + rows.size)]), facts


def modality_codes(pool: Pool, rows: Numbers, side: Side) -> npt.NDArray[np.uint64]:
    """A number for the modality of a side of each row, (n,)."""
    from reference_model.curation.steps.keys import text_keys

    column = f"{side}_modality"
    held = [text_keys(table[column].to_pylist())[:, 0] for _, table in pool.batches((column,), rows)]
    return np.concatenate(held)


def bands_of(vectors: npt.NDArray[np.float32], at: Ints) -> Bands:
    """Bands of the rows `at`, (n, BANDS), from what is left of each vector without the mean of all: a model whose vectors
    lie in a narrow cone would else put everything into one bucket. On the grid every sum is exact."""
    total = np.zeros(vectors.shape[1])
    for start in range(0, at.size, BLOCK):
        total += grid(vectors[at[start : start + BLOCK]]).sum(axis=0)
    mean = np.rint(total / at.size / STEP) * STEP
    directions = np.random.default_rng(24).choice([-1.0, 1.0], size=(vectors.shape[1], BANDS * BITS))
    out = np.empty((at.size, BANDS), dtype=np.uint64)
    for start in range(0, at.size, BLOCK):
        block = grid(vectors[at[start : start + BLOCK]])
        out[start : start + len(block)] = signs(block @ directions - mean @ directions, BITS)
    return out
