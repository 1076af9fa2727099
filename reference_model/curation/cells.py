"""Media that lie in the cells of a Parquet file, read when their bytes are asked for."""

from __future__ import annotations

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError, MediaError
from unite_bench.items import Blob


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
            return _column(path, group, column)[row - start].as_py()
        start += rows
    raise MediaError(f"{path}: has no row {row}; the file is not the one that was read when the rows were made")


@lru_cache(maxsize=64)
def _opened(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error})") from error


@lru_cache(maxsize=2)
def _column(path: Path, group: int, column: str) -> Any:
    """One column of one row group: neighbours are mostly asked for next."""
    import pyarrow as pa

    file = _opened(path)
    if column not in file.schema_arrow.names:
        raise DataError(f"{path}: no column {column!r}; it has {', '.join(file.schema_arrow.names)}")
    try:
        return file.read_row_group(group, columns=[column], use_threads=False).column(0)
    except (pa.ArrowException, OSError) as error:
        raise MediaError(f"{path}: column {column!r} cannot be read ({str(error).splitlines()[0]})") from error
