"""Checks of the vectors as such: their number, shape, dtype, finiteness, length, and that they are not all the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from unite_bench.embedders.contract import as_vectors, faults
from unite_bench.errors import CheckFailed
from unite_bench.recording import COLLAPSED
from unite_bench.testing.subject import Rows, Subject
from unite_bench.testing.verdict import Verdict, not_applicable, passed

UNIT = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 2e-2}  # how far from 1 a length may be that is declared to be 1


def dimension(subject: Subject) -> Verdict:
    """One row an item, of the card's dimension, for one item, several and equal ones, in every declared modality."""
    dim = subject.card.dim
    for modality, items in subject.items().items():
        for given in (items[:1], items, [*items, items[0]]):
            shape = getattr(subject.raw(given), "shape", None)
            if shape is None or tuple(shape) != (len(given), dim):
                found = "no shape" if shape is None else f"shape {tuple(shape)}"
                raise CheckFailed(f"{modality}: {found} for {len(given)} items, the card says dim={dim}")
    return passed(f"(n, {dim}) in {len(subject.card.modalities)} modalities")


def dtype(subject: Subject) -> Verdict:
    """A numpy array or torch tensor of a float dtype."""
    kinds = set()
    for modality, items in subject.items().items():
        output = subject.raw(items)
        kind = str(getattr(output, "dtype", type(output).__name__)).removeprefix("torch.")
        if not kind.startswith(("float", "bfloat")):
            raise CheckFailed(f"{modality}: embed returned {kind}, not a float array or tensor")
        kinds.add(kind)
    return passed(", ".join(sorted(kinds)))


def finite(subject: Subject) -> Verdict:
    """No NaN, no infinity, no zero vector, no length that single precision cannot scale to 1; in both roles."""
    shortest, longest = np.inf, 0.0
    for modality, items in subject.items().items():
        for role in ("query", "candidate"):
            rows = _rows(subject.raw(items, role))
            bad = faults(rows)
            if bad:
                row, reason = next(iter(bad.items()))
                raise CheckFailed(f"{modality}: {reason} ({len(bad)} of {len(items)} items, the first is item {row})")
            lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
            shortest, longest = min(shortest, float(lengths.min())), max(longest, float(lengths.max()))
    return passed(f"lengths from {shortest:.4g} to {longest:.4g}")


def normalised(subject: Subject) -> Verdict:
    """Vectors of length 1, if the card declares so."""
    if not subject.card.normalised:
        return not_applicable("the card does not declare normalised vectors")
    allowed, farthest = UNIT[subject.dtype], 0.0
    for modality, items in subject.items().items():
        lengths = np.linalg.norm(subject.vectors(items).astype(np.float64), axis=1)
        off = float(np.abs(lengths - 1).max())
        if off > allowed:
            worst = float(lengths[np.abs(lengths - 1).argmax()])
            raise CheckFailed(f"{modality}: the card declares normalised vectors, but one has length {worst:.6g}")
        farthest = max(farthest, off)
    return passed(f"lengths differ from 1 by at most {farthest:.1e}")


def collapse(subject: Subject) -> Verdict:
    """Different items get different vectors, in every declared modality and in both roles."""
    narrowest = (np.inf, "")
    for modality, items in subject.items().items():
        for role in ("query", "candidate"):
            rows = subject.vectors(items, role)
            spread = float(max(subject.change(rows[:1].repeat(len(rows), axis=0), rows)))
            if spread < COLLAPSED:
                raise CheckFailed(
                    f"{modality} ({role}): {len(items)} different items got vectors that differ by {spread:.1e} at most"
                )
            narrowest = min(narrowest, (spread, modality))
    return passed(f"greatest change between items at least {narrowest[0]:.2g} ({narrowest[1]})")


def _rows(output: Any) -> Rows:
    """The output as float32, whatever its size: that is another check's business. Raises CheckFailed if it has no rows."""
    shape: tuple[int, ...] = getattr(output, "shape", ())
    if len(shape) != 2:
        raise CheckFailed(f"embed returned {type(output).__name__} of shape {tuple(shape)}, not an array of rows")
    count, dim = shape
    return as_vectors(output, count, dim, "the model")
