"""Content digests of a pool's items, computed once and kept: 32 bytes a row in a plain file, zeros where none is yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unite_bench.errors import MediaError
from unite_bench.items import Item

Numbers = npt.NDArray[np.int64]
WIDTH = 32


@dataclass(frozen=True)
class Digests:
    """The file, and the number of rows it is for."""

    path: Path
    rows: int

    def of(
        self, rows: Numbers, items: Callable[[Numbers], Iterable[Item]]
    ) -> Iterator[tuple[Numbers, npt.NDArray[np.uint8]]]:
        """Blocks of (row numbers, digests (n, 32)); what is missing is computed from the `items` of such rows and written
        back."""
        if not self.path.exists():
            with self.path.open("wb") as file:
                file.truncate(self.rows * WIDTH)
        with self.path.open("r+b") as file:
            for at in _blocks(rows):
                start, count = int(at[0]), int(at[-1] - at[0] + 1)
                file.seek(start * WIDTH)
                held = np.frombuffer(file.read(count * WIDTH), dtype=np.uint8).reshape(count, WIDTH).copy()
                missing = at[~held[at - start].any(axis=1)]
                if missing.size:
                    for number, item in zip(missing.tolist(), items(missing), strict=True):
                        try:
                            held[number - start] = np.frombuffer(bytes.fromhex(item.content), dtype=np.uint8)
                        except MediaError as error:
                            raise MediaError(
                                f"row {item.id}: {error}; the step `validity` finds and drops such rows"
                            ) from error
                    file.seek(start * WIDTH)
                    file.write(held.tobytes())
                yield at, held[at - start]


def _blocks(rows: Numbers, span: int = 65_536) -> Iterator[Numbers]:
    """Runs of ascending row numbers that lie within aligned spans of `span`."""
    if rows.size:
        edges = np.flatnonzero(np.diff(rows // span)) + 1
        yield from np.split(rows, edges)
