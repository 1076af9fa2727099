"""JSONL, CSV and Parquet with declared columns, streamed."""

from __future__ import annotations

import csv
import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
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
    """Every column that the source reads and that must be there."""
    if source.query is None or source.target is None:
        named = ["query", "candidate"]
    else:
        named = [column for side in (source.query, source.target, *source.negatives) for column in side.columns]
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
        csv.field_size_limit(sys.maxsize)
        try:
            check_columns(path, columns, reader.fieldnames or ())
        except csv.Error as error:
            raise DataError(f"{path}:1: the header is not CSV ({error})") from error
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRecord("not CSV", f"line {reader.line_num + 1}: {error}")
                continue
            whole = _SURPLUS not in row and None not in row.values()
            yield row if whole else BadRecord("not a row of the table", "more or fewer cells than the header")


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Columns of encoded media are not read, but for those of a row group that has empty cells in them: a filled cell stands
    for itself."""
    file = pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False)
    schema = file.schema_arrow
    check_columns(path, columns, schema.names)
    encoded = [name for name in columns if _holds_bytes(schema.field(name).type)]
    plain = [name for name in columns if name not in encoded]
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        gaps = [name for name in encoded if _may_have_gaps(group, name)]
        filled = dict.fromkeys(encoded, ENCODED)
        if not plain and not gaps:
            yield from (dict(filled) for _ in range(group.num_rows))
            continue
        for batch in file.iter_batches(BATCH, row_groups=[number], columns=[*plain, *gaps], use_threads=False):
            there = {name: _filled(batch.column(name)) for name in gaps}
            for at, row in enumerate(batch.select(plain).to_pylist() if plain else [{}] * batch.num_rows):
                yield row | filled | {name: None for name in gaps if not there[name][at]}


def _may_have_gaps(group: Any, name: str) -> bool:
    """Whether some cells of the column's bytes are empty, as far as the row group's statistics tell."""
    for number in range(group.num_columns):
        leaf = group.column(number)
        if leaf.path_in_schema in (name, f"{name}.bytes"):
            statistics = leaf.statistics
            return statistics is None or not statistics.has_null_count or statistics.null_count > 0
    return True


def _filled(cells: Any) -> list[bool]:
    """Which cells hold bytes."""
    held = pc.struct_field(cells, "bytes") if pa.types.is_struct(cells.type) else cells
    found: list[bool] = held.is_valid().to_pylist()
    return found


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
