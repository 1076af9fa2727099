"""Candidates for near duplicates: rows that share a band of their signature (locality-sensitive hashing).

Every candidate is then compared exactly, so a signature can only miss a pair, never invent one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_model.curation.steps.keys import Ints, mixed

WINDOW = 64  # rows of one bucket that the others of it are compared with
LOOKED_UP = 256  # rows of a set's bucket that one row is compared with
ROWS_AT_ONCE = 65_536  # rows of a sorted band, about: buckets are never cut
PAIRS_AT_ONCE = 1 << 13
MISSED = 4e-4  # of the pairs just at a threshold
Bands = npt.NDArray[np.uint64]  # (n, bands)
Verify = Callable[[Ints, Ints], npt.NDArray[np.bool_]]


def rows_of_a_band(agreement: float, values: int, largest: int) -> tuple[int, float]:
    """Of how many of a signature's `values` each band should be made, and the share of pairs at the threshold that then
    share a band: the most, up to `largest`, that miss no more than MISSED; 1 where none is so good.

    `agreement` is the probability that one value of such a pair is equal.
    """
    for rows in range(largest, 0, -1):
        found = 1 - (1 - agreement**rows) ** (values // rows)
        if values % rows == 0 and (1 - found <= MISSED or rows == 1):
            return rows, found
    raise ValueError("largest is at least 1")


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


def near_leaders(bands: Bands, verify: Verify, window: int = WINDOW) -> tuple[Ints, int]:
    """For each row the leader that it is near to, or itself, which makes it one, (n,).

    A row is a leader unless an earlier leader that shares a band with it is near, as if row by row were compared with the
    leaders so far. So nobody is further from his leader than the threshold, and there are no chains. In a bucket with
    more than `window` leaders some are not compared with each other; the second value counts these (leader, band)s.
    """
    leader = np.arange(len(bands))
    while True:
        standing = np.flatnonzero(leader == np.arange(len(bands)))
        pairs, cut = _met(bands, standing, verify, window)
        if not len(pairs):
            return leader, cut
        leader[standing] = standing[_first_leaders(standing.size, pairs)]
        left = np.flatnonzero(leader[leader] != leader)  # their leader has found one of its own
        near = _verified(leader[leader[left]], left, verify)
        leader[left] = np.where(near, leader[leader[left]], left)


def _met(bands: Bands, rows: Ints, verify: Verify, window: int) -> tuple[Ints, int]:
    """Near pairs (m, 2) with i < j of positions in `rows`, sorted by j, then i, at most one a band for each j; and how many
    (row, band)s were not compared with everyone before them. In each bucket the first row is compared with all others;
    those that are near leave, and so does it."""
    near, cut = np.zeros(0, dtype=np.int64), 0  # j * rows.size + i
    for band in bands.T:
        found = [near]
        for waiting, bucket in _buckets(band[rows]):
            for _ in range(window):
                first = np.append(True, bucket[1:] != bucket[:-1])
                if first.all():
                    break
                head = np.maximum.accumulate(np.where(first, np.arange(first.size), 0))[~first]
                earlier, waiting, bucket = waiting[head], waiting[~first], bucket[~first]
                codes = waiting * rows.size + earlier
                met = _among(codes, near)
                met[~met] = _verified(rows[earlier[~met]], rows[waiting[~met]], verify)
                found.append(codes[met])
                waiting, bucket = waiting[~met], bucket[~met]
                if not waiting.size:
                    break
            else:
                cut += int(waiting.size)
        near = np.unique(np.concatenate(found))
    return np.column_stack([near % max(rows.size, 1), near // max(rows.size, 1)]), cut


def _buckets(band: npt.NDArray[np.uint64]) -> Iterator[tuple[Ints, Ints]]:
    """Rows that share a value with another, and numbers of the values, both sorted by value, then row; in pieces of whole
    buckets."""
    order = np.argsort(band, kind="stable")
    starts = np.flatnonzero(np.append(True, band[order[1:]] != band[order[:-1]])) if order.size else order
    sizes = np.diff(np.append(starts, order.size))
    shared = np.repeat(sizes > 1, sizes)
    order, sizes = order[shared], sizes[sizes > 1]
    numbers, ends = np.repeat(np.arange(sizes.size), sizes), np.cumsum(sizes)
    edges = ends[np.unique(np.searchsorted(ends, np.arange(ROWS_AT_ONCE, order.size, ROWS_AT_ONCE)))]
    yield from (piece for piece in zip(np.split(order, edges), np.split(numbers, edges), strict=True) if piece[0].size)


def _among(values: Ints, known: Ints) -> npt.NDArray[np.bool_]:
    """Which of the values are among the `known` ones, which are sorted."""
    if known.size == 0:
        return np.zeros(values.size, dtype=bool)
    at = np.minimum(np.searchsorted(known, values), known.size - 1)
    return np.asarray(known[at] == values)


def _verified(earlier: Ints, later: Ints, verify: Verify) -> npt.NDArray[np.bool_]:
    held = np.zeros(len(later), dtype=bool)
    for start in range(0, len(later), PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        held[part] = verify(earlier[part], later[part])
    return held


def _first_leaders(count: int, pairs: Ints) -> Ints:
    """For each of `count` rows the first leader among those that it is paired with, or itself, (count,)."""
    found = np.arange(count)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        for earlier, later in pairs[start : start + PAIRS_AT_ONCE].tolist():  # by j, then i
            if found[later] == later and found[earlier] == earlier:
                found[later] = earlier
    return found


class Buckets:
    """A set of signatures that others are looked up in."""

    def __init__(self, bands: Bands, window: int = LOOKED_UP):
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
