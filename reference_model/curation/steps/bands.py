"""Candidates for near duplicates: rows that share a band of their signature (locality-sensitive hashing).

Every candidate is then compared exactly, so a signature can only miss a pair, never invent one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_model.curation.steps.keys import Ints, mixed

WINDOW = 64  # rows of one bucket that a row is compared with
ROWS_AT_ONCE = 4096  # rows of a sorted band whose candidates are held at a time
PAIRS_AT_ONCE = 1 << 13
Bands = npt.NDArray[np.uint64]  # (n, bands)
Verify = Callable[[Ints, Ints], npt.NDArray[np.bool_]]


def signs(projected: npt.NDArray[np.floating[Any]], bits: int) -> Bands:
    """Bands of the signs of random projections (Charikar, STOC 2002): (n, bands * bits) -> (n, bands)."""
    up = (projected > 0).reshape(len(projected), -1, bits)
    return up @ (np.uint64(1) << np.arange(bits, dtype=np.uint64))


def folded(signature: npt.NDArray[np.uint64], rows: int) -> Bands:
    """Bands of `rows` values each, (n, values) -> (n, values / rows)."""
    parts = signature.reshape(len(signature), -1, rows)
    out = np.zeros(parts.shape[:2], dtype=np.uint64)
    for row in range(rows):
        out = mixed(out ^ mixed(parts[:, :, row] + np.uint64(row + 1)))
    return out


def near_pairs(bands: Bands, verify: Verify, window: int = WINDOW) -> tuple[Ints, int]:
    """Pairs (m, 2) with i < j that share a band and that `verify(i, j)` holds near, sorted by j, then i.

    A row is compared with at most `window` rows before it in a bucket; the second value counts the (row, band)s for
    which that left somebody out.
    """
    count = len(bands)
    near = np.zeros(0, dtype=np.int64)  # j * count + i
    cut = 0
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        sorted_band = band[order]
        found = [near]
        for start in range(0, count, ROWS_AT_ONCE):
            fresh = _without(_candidates(order, sorted_band, start, window), near)
            found.append(fresh[_verified(fresh // count, fresh % count, verify)])
        near = np.sort(np.concatenate(found))
        if count > window + 1:
            cut += int((sorted_band[window + 1 :] == sorted_band[: -window - 1]).sum())
    return np.column_stack([near % count, near // count]) if count else near.reshape(0, 2), cut


def _candidates(order: Ints, band: npt.NDArray[np.uint64], start: int, window: int) -> Ints:
    """Pairs, as j * count + i, of rows from `start` on in a sorted band with those before them in their bucket."""
    stop = min(start + ROWS_AT_ONCE, len(band))
    found = [np.zeros(0, dtype=np.int64)]
    for distance in range(1, window + 1):
        at = np.arange(max(start, distance), stop)
        at = at[band[at] == band[at - distance]]
        if at.size == 0:
            break
        found.append(order[at] * len(band) + order[at - distance])  # the sort is stable: j stands behind i
    return np.concatenate(found)


def _without(pairs: Ints, known: Ints) -> Ints:
    """The pairs, sorted, that are not among the `known` ones, which are sorted too."""
    pairs = np.sort(pairs)
    if known.size == 0:
        return pairs
    at = np.minimum(np.searchsorted(known, pairs), known.size - 1)
    return np.asarray(pairs[known[at] != pairs])


def _verified(later: Ints, earlier: Ints, verify: Verify) -> npt.NDArray[np.bool_]:
    held = np.zeros(len(later), dtype=bool)
    for start in range(0, len(later), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        held[part] = verify(earlier[part], later[part])
    return held


def near_leaders(count: int, pairs: Ints) -> Ints:
    """For each of `count` rows the first leader it is near to, or itself, which makes it one, (count,).

    So nobody is further from his leader than the threshold: no chains.
    """
    found = np.arange(count)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        for earlier, later in pairs[start : start + PAIRS_AT_ONCE].tolist():  # by j, then i
            if found[later] == later and found[earlier] == earlier:
                found[later] = earlier
    return found


class Buckets:
    """A set of signatures that others are looked up in."""

    def __init__(self, bands: Bands, window: int = WINDOW):
        self._order = [np.argsort(band, kind="stable") for band in bands.T]
        self._sorted = [band[order] for band, order in zip(bands.T, self._order, strict=True)]
        self._window = window

    def candidates(self, bands: Bands) -> tuple[Ints, int]:
        """Pairs (m, 2) of (row of `bands`, row of the set) that share a band, each once, sorted; at most `window` a band,
        and the second value counts the (row, band)s for which that left somebody out."""
        found = []
        cut = 0
        for band, keys, order in zip(bands.T, self._sorted, self._order, strict=True):
            low = np.searchsorted(keys, band, side="left")
            many = np.searchsorted(keys, band, side="right") - low
            cut += int((many > self._window).sum())
            many = np.minimum(many, self._window)
            rows = np.repeat(np.arange(len(band)), many)
            offsets = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
            found.append(np.column_stack([rows, order[np.repeat(low, many) + offsets]]))
        return np.unique(np.concatenate(found), axis=0), cut
