"""Checks of the vectors as such: their number, shape, dtype, finiteness, length, and that they are not all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.embedders.contract import Rows, as_vectors, faults_of_items
from unite_bench.errors import CheckFailed
from unite_bench.recording import COLLAPSED
from unite_bench.testing.subject import Subject
from unite_bench.testing.verdict import Verdict, not_applicable, passed

UNIT = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 2e-2}  # how far from 1 a length may be that is declared to be 1


def dimension(subject: Subject) -> Verdict:
    """One row an item (with late interaction, one array of rows) of the card's dimension, for one item, several and equal
    ones, in every declared modality."""
    dim, most = subject.card.dim, 1
    for modality, items in subject.items().items():
        for given in (items[:1], items, [*items, items[0]]):
            arrays = _arrays(subject, subject.raw(given))
            if subject.late and len(arrays) != len(given):
                raise CheckFailed(f"{modality}: {len(arrays)} arrays for {len(given)} items")
            for array in arrays:
                shape = getattr(array, "shape", None)
                rows = shape[0] if subject.late and shape else len(given)
                if shape is None or tuple(shape) != (rows, dim) or rows == 0:
                    found = "no shape" if shape is None else f"shape {tuple(shape)}"
                    wanted = "(tokens, dim)" if subject.late else f"{len(given)} items"
                    raise CheckFailed(f"{modality}: {found} for {wanted}, the card says dim={dim}")
                most = max(most, rows) if subject.late else 1
    figure = f"up to {most} tokens of {dim}" if subject.late else f"(n, {dim})"
    return passed(f"{figure} in {len(subject.card.modalities)} modalities")


def dtype(subject: Subject) -> Verdict:
    """A numpy array or torch tensor of a float dtype."""
    kinds = set()
    for modality, items in subject.items().items():
        for array in _arrays(subject, subject.raw(items)):
            kind = str(getattr(array, "dtype", type(array).__name__)).removeprefix("torch.")
            if not kind.startswith(("float", "bfloat")):
                raise CheckFailed(f"{modality}: embed returned {kind}, not a float array or tensor")
            kinds.add(kind)
    return passed(", ".join(sorted(kinds)))


def finite(subject: Subject) -> Verdict:
    """No NaN, no infinity, no zero vector, no length that single precision cannot scale to 1; in both roles."""
    shortest, longest = np.inf, 0.0
    for modality, items in subject.items().items():
        for role in ("query", "candidate"):
            rows = _rows(subject, subject.raw(items, role))
            bad = faults_of_items(rows)
            if bad:
                row, reason = next(iter(bad.items()))
                raise CheckFailed(f"{modality}: {reason} ({len(bad)} of {len(items)} items, the first is item {row})")
            lengths = _lengths(rows)
            shortest, longest = min(shortest, float(lengths.min())), max(longest, float(lengths.max()))
    return passed(f"lengths from {shortest:.4g} to {longest:.4g}")


def normalised(subject: Subject) -> Verdict:
    """Vectors of length 1, if the card declares so."""
    if not subject.card.normalised:
        return not_applicable("the card does not declare normalised vectors")
    allowed, farthest = UNIT[subject.dtype], 0.0
    for modality, items in subject.items().items():
        lengths = _lengths(subject.vectors(items))
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
            spread = float(max(subject.change(rows[:1] * len(rows), rows)))
            if spread < COLLAPSED:
                raise CheckFailed(
                    f"{modality} ({role}): {len(items)} different items got vectors that differ by {spread:.1e} at most"
                )
            narrowest = min(narrowest, (spread, modality))
    return passed(f"greatest change between items at least {narrowest[0]:.2g} ({narrowest[1]})")


def _arrays(subject: Subject, output: Any) -> list[Any]:
    """The arrays that hold the vectors: one of all items, or with late interaction one an item."""
    if not subject.late:
        return [output]
    if not isinstance(output, list | tuple):
        raise CheckFailed(f"embed returned {type(output).__name__}, not a list of arrays (tokens, dim), one an item")
    return list(output)


def _rows(subject: Subject, output: Any) -> list[Rows]:
    """The output as float32, one array an item, whatever its size: that is another check's business.

    Raises CheckFailed if there are no rows.
    """
    found = []
    for array in _arrays(subject, output):
        shape: tuple[int, ...] = tuple(getattr(array, "shape", ()))
        if len(shape) != 2:
            raise CheckFailed(f"embed returned {type(array).__name__} of shape {shape}, not an array of rows")
        found.append(as_vectors(array, *shape, "the model"))
    return found if subject.late else [row[None] for row in found[0]]


def _lengths(rows: list[Rows]) -> npt.NDArray[np.float64]:
    """Length of every vector of every item."""
    return np.asarray(np.linalg.norm(np.concatenate(rows).astype(np.float64), axis=1))
