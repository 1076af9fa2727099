"""JSONL, CSV and Parquet with declared columns, streamed."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reference_model.curation.cells import ParquetCell
from reference_model.curation.readers.found import BadRecord, Found, Items, Labels, path_of
from reference_model.curation.readers.sides import Locate, items_of
from reference_model.curation.rows import relative
from reference_model.curation.sources import HubSource, TableSource
from unite_bench.errors import DataError
from unite_bench.items import Blob, File
from unite_bench.spec.model import Column

BATCH = 1024  # rows of a Parquet file held at a time
BUFFER = 1 << 20  # bytes read ahead of them; without, a row group's columns are read as a whole
_SURPLUS = "\0"  # where the csv module puts cells beyond the header's; no column is called so


def read(source: TableSource, labels: Labels, folder: Path, root: Path) -> Iterator[Found]:
    """Rows and bad records of all files of the source, in the order of their names."""
    columns = columns_of(source)
    paths = {relative(path, root): path for path in files_of(folder, source.path)}

    def records() -> Iterator[tuple[str, int, Any]]:
        for name, path in paths.items():
            yield from ((name, at, record) for at, record in enumerate(records_of(path, columns)))

    def items(file: str, at: int, record: Mapping[str, Any]) -> Items:
        media = paths[file].parent if source.media is None else folder / source.media
        return items_of(source.query, source.target, source.negatives, record, _locate(paths[file], at, media))

    return labels.found(records(), items)


def files_of(folder: Path, pattern: str) -> list[Path]:
    """The file, or all files that a pattern with `*` finds, by name."""
    if "*" not in pattern:
        return [folder / pattern]
    return sorted(folder.glob(pattern))


def columns_of(source: TableSource | HubSource) -> tuple[str, ...]:
    """Every column that the source reads."""
    sides = [source.query, source.target, *source.negatives]
    named = [column for side in sides for column in side.columns]
    named += [value.column for value in (source.granularity, source.topic) if isinstance(value, Column)]
    return tuple(dict.fromkeys(named))


def check_columns(where: object, wanted: Sequence[str], there: Iterable[str]) -> None:
    """Raises DataError for a wanted column that is not there, with the nearest name."""
    known = list(there)
    for column in wanted:
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise DataError(f"{where}: no column {column!r}; {hint}")


def records_of(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Records of one file with at least these columns; a line that is none comes as a BadRecord."""
    readers: dict[str, Callable[[Path, Sequence[str]], Iterator[Any]]]
    readers = {".jsonl": jsonl, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: unknown kind of table {path.suffix!r}; use {', '.join(readers)}")
    try:
        yield from reader(path, columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch or write the file again") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason})") from error


def jsonl(path: Path, _columns: Sequence[str] = ()) -> Iterator[Any]:
    """One value a line; a line that is no JSON comes as a BadRecord."""
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:  # also a number of too many digits, brackets without end
                yield BadRecord("not JSON", str(error))


def _csv(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restkey=_SURPLUS, strict=True)
        try:
            check_columns(path, columns, reader.fieldnames or ())
            for row in reader:
                whole = _SURPLUS not in row and None not in row.values()
                yield row if whole else BadRecord("not a row of the table", "more or fewer cells than the header")
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Columns of encoded media are not read: their cells stand for themselves."""
    file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
    schema = file.schema_arrow
    check_columns(path, columns, schema.names)
    encoded = {name: ENCODED for name in columns if _holds_bytes(schema.field(name).type)}
    plain = [name for name in columns if name not in encoded]
    if not plain:
        yield from ({**encoded} for _ in range(file.metadata.num_rows))
        return
    for batch in file.iter_batches(BATCH, columns=plain, use_threads=False):
        for row in batch.to_pylist():
            yield row | encoded


class _Encoded:
    """Stands for a cell of encoded media that was not read."""


ENCODED = _Encoded()


def _holds_bytes(kind: Any) -> bool:
    if pa.types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _locate(path: Path, at: int, media: Path) -> Locate:
    def locate(column: str, cell: Any) -> File | Blob:
        if isinstance(cell, _Encoded):
            return ParquetCell(path, at, column)
        if not isinstance(cell, str):
            raise BadRecord("not a path", f"column {column!r} holds {type(cell).__name__}")
        return File(media / path_of(cell, f"column {column!r}"))

    return locate
