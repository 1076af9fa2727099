"""Media that lie in the cells of a Parquet file, read when their bytes are asked for.

Rows come in groups. The column of a small group is kept whole; one of many bytes is walked through, a few rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from unite_bench.errors import DataError, MediaError
from unite_bench.items import Blob

WHOLE = 1 << 27  # bytes of one column of a row group up to which it is held as a whole
PIECE = 1 << 24  # bytes, about, of the pieces in which a larger one is read; two are held
BUFFER = 1 << 20  # bytes that are read of the file at a time; without, a column of a group is read as a whole
LEAST_ROWS = 32  # of a piece, so that threads that look at neighbouring rows find them in the two


class ParquetCell(Blob):
    """An encoded picture or clip in one cell: bytes, or the {bytes, path} of the Hugging Face datasets."""

    def __init__(self, path: Path, row: int, column: str):
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "row", row)
        object.__setattr__(self, "column", column)
        object.__setattr__(self, "name", f"{path}, row {row}, column {column!r}")

    path: Path
    row: int
    column: str

    def __reduce__(self) -> tuple[type[ParquetCell], tuple[Path, int, str]]:
        return ParquetCell, (self.path, self.row, self.column)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParquetCell) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        return hash(self.__reduce__())

    @cached_property
    def data(self) -> bytes:
        """The bytes; raises MediaError if the cell has none."""
        cell = _cell(self.path, self.row, self.column)
        found = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(found, bytes):
            raise MediaError(f"{self.name}: holds no bytes; give a column of encoded pictures or clips, or of paths")
        return found


def _cell(path: Path, row: int, column: str) -> Any:
    file, start = _opened(path), 0
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if row < start + rows:
            return _column(path, group, column)[row - start]
        start += rows
    raise MediaError(f"{path}: has no row {row}; the file is not the one that was read when the rows were made")


@lru_cache(maxsize=64)
def _opened(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error})") from error


@lru_cache(maxsize=2)
def _column(path: Path, group: int, column: str) -> _Column:
    """One column of one row group: neighbours are mostly asked for next."""
    file = _opened(path)
    if column not in file.schema_arrow.names:
        raise DataError(f"{path}: no column {column!r}; it has {', '.join(file.schema_arrow.names)}")
    return _Column(path, group, column)


class _Column:
    """The cells of one column of a row group, for several threads: walked through forwards, and anew for a row that lies
    before the two pieces that are held. A column of up to WHOLE bytes is one piece."""

    def __init__(self, path: Path, group: int, column: str):
        self._path, self._group, self._column = path, group, column
        told = _opened(path).metadata.row_group(group)
        chunks = (told.column(number) for number in range(told.num_columns))
        size = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] == column)
        pieces = 1 if size <= WHOLE else -(-size // PIECE)
        self._rows = max(LEAST_ROWS, -(-told.num_rows // pieces))
        self._lock = Lock()
        self._start = 0  # of the piece held
        self._before: Sequence[Any] = ()
        self._held: Sequence[Any] = ()
        self._coming = self._pieces()

    def __getitem__(self, row: int) -> Any:
        import pyarrow as pa

        with self._lock:
            try:
                if row < self._start - len(self._before):
                    self._restart()
                while row >= self._start + len(self._held):
                    self._before, self._start = self._held, self._start + len(self._held)
                    self._held = next(self._coming)
            except (pa.ArrowException, OSError) as error:
                self._restart()
                said = str(error).splitlines()[0]
                raise MediaError(f"{self._path}: column {self._column!r} cannot be read ({said})") from error
            at = row - self._start
            return (self._held[at] if at >= 0 else self._before[at]).as_py()

    def _restart(self) -> None:
        self._start, self._before, self._held, self._coming = 0, (), (), self._pieces()

    def _pieces(self) -> Iterator[Any]:
        given = {"row_groups": [self._group], "columns": [self._column], "use_threads": False}
        for batch in _opened(self._path).iter_batches(self._rows, **given):
            yield batch.column(0)
