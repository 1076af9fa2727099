"""Near duplicates by vectors: candidates by signs of random projections, then the exact cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.step import Context
from reference_model.curation.steps.bands import Bands, near_leaders, rows_of_a_band, signs
from reference_model.curation.steps.keys import Ints, Keys, mixed
from reference_model.curation.steps.vectors import grid, no_vector, open_encoder, side_vectors
from unite_bench.errors import DataError
from unite_bench.rank.grid import STEP

SIGNS, MOST_BITS = 288, 12  # of a signature, and of a band
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
    bands, met = bands_of(vectors, at, cosine)

    def verify(first: Ints, second: Ints) -> npt.NDArray[np.bool_]:
        same = modalities[first] == modalities[second]
        for start in range(0, len(first), PAIRS):
            part = slice(start, start + PAIRS)
            products = np.einsum("ij,ij->i", grid(vectors[at[first[part]]]), grid(vectors[at[second[part]]]))
            same[part] &= products >= cosine
        return np.asarray(same)

    own, cut = near_leaders(bands, verify)
    leaders = np.arange(rows.size)
    leaders[at] = at[own]
    facts = {
        "embedder": embedder,
        "with a vector": int(at.size),
        "apart": int((leaders[at] == at).sum()),
        "not compared": cut,
        "met at the threshold": round(met, 4),
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


def bands_of(vectors: npt.NDArray[np.float32], at: Ints, cosine: float) -> tuple[Bands, float]:
    """Bands of the rows `at`, (n, bands), from what is left of each vector without the mean of all: a model whose vectors
    lie in a narrow cone would else put everything into one bucket. On the grid every sum is exact. And the share of pairs
    of just this cosine that share a band: two signs differ with the probability angle / pi, of the angle that is left."""
    total = np.zeros(vectors.shape[1])
    for start in range(0, at.size, BLOCK):
        total += grid(vectors[at[start : start + BLOCK]]).sum(axis=0)
    mean = np.rint(total / at.size / STEP) * STEP
    common = float(mean @ mean)  # a.b = cosine leaves (a - mean).(b - mean) = cosine - common, of lengths^2 1 - common
    left = (cosine - common) / (1 - common) if common < cosine else 0.0
    bits, met = rows_of_a_band(1 - float(np.arccos(left)) / np.pi, SIGNS, MOST_BITS)
    directions = np.random.default_rng(24).choice([-1.0, 1.0], size=(vectors.shape[1], SIGNS))
    out = np.empty((at.size, SIGNS // bits), dtype=np.uint64)
    for start in range(0, at.size, BLOCK):
        block = grid(vectors[at[start : start + BLOCK]])
        out[start : start + len(block)] = signs(block @ directions - mean @ directions, bits)
    return out, met
