"""One list of numbers per query, held as two or three flat arrays: qrels, pools, exclusions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ragged:
    """Row i holds `indices[starts[i]:starts[i + 1]]`, with one `values` entry each (grades; ones where there are none)."""

    starts: Ints
    indices: Ints
    values: Floats

    @classmethod
    def of(cls, lists: Sequence[Iterable[int]], grades: Sequence[Iterable[float]] | None = None) -> Ragged:
        """From one iterable of candidate positions per query, and optionally one of grades."""
        held = [list(row) for row in lists]
        starts = np.zeros(len(held) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in held], out=starts[1:])
        indices = np.array([i for row in held for i in row], dtype=np.int64)
        if grades is None:
            values = np.ones(indices.size)
        else:
            values = np.array([g for row in grades for g in row], dtype=np.float64)
        return cls(starts, indices, values)

    def __len__(self) -> int:
        return self.starts.size - 1

    def __getitem__(self, row: int) -> Ints:
        return self.indices[self.starts[row] : self.starts[row + 1]]

    def values_of(self, row: int) -> Floats:
        return self.values[self.starts[row] : self.starts[row + 1]]

    @property
    def counts(self) -> Ints:
        """Length of every row."""
        return np.diff(self.starts)

    @property
    def rows(self) -> Ints:
        """The row number of every entry of `indices`."""
        return np.repeat(np.arange(len(self)), self.counts)

    def keep(self, mask: npt.NDArray[np.bool_]) -> Ragged:
        """Only the entries where `mask` (one per entry) is true; the rows stay."""
        starts = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.rows[mask], minlength=len(self)), out=starts[1:])
        return Ragged(starts, self.indices[mask], self.values[mask])

    def renumber(self, new: Ints) -> Ragged:
        """The same rows with every index i replaced by new[i]."""
        return Ragged(self.starts, new[self.indices], self.values)

    def head(self, rows: int) -> Ragged:
        """Only the first `rows` rows."""
        end = self.starts[rows]
        return Ragged(self.starts[: rows + 1], self.indices[:end], self.values[:end])


def chunks(sizes: Ints, limit: int) -> list[slice]:
    """Consecutive slices whose sizes sum to about `limit` or less."""
    group = np.cumsum(sizes) // limit
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), sizes.size]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]
