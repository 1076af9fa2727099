"""From the rows of a table to items: columns that must be there, cells that must be filled, parts in their order."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError
from unite_bench.items import (
    Blob,
    ClipProgram,
    File,
    Image,
    Item,
    Part,
    Role,
    StillProgram,
    Text,
    Video,
    modality,
)
from unite_bench.sources.frame_folder import FrameFolder
from unite_bench.sources.opening import media_folder
from unite_bench.sources.tables import Table
from unite_bench.spec.model import Column, PerQuery, Side, Task


def missing_columns(task: Task, queries: Table, corpora: Sequence[tuple[Side, Table]]) -> Iterable[str]:
    wanted = list(task.queries.columns) + list(task.slices) + ([task.clusters] if task.clusters else [])
    wanted += [task.qrels.column] if isinstance(task.qrels, Column) else []
    wanted += [task.pool.per_query] if isinstance(task.pool, PerQuery) else []
    wanted += [c.column for c in (task.target_modality, task.quartets) if c is not None]
    for columns, table in [(wanted, queries), *((side.columns, table) for side, table in corpora)]:
        for column in dict.fromkeys(columns):
            if column not in table.columns:
                near = difflib.get_close_matches(column, table.columns, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(table.columns)}"
                yield f"{table.name}: no column {column!r}; {hint}"


def missing_cells(task: Task, queries: Table, corpora: Sequence[tuple[Side, Table]]) -> Iterable[str]:
    """Structure must be whole in every row; a missing text or medium is the row's own fault and found later."""
    needed = [c.column for c in (task.target_modality, task.quartets) if c is not None]
    needed += [task.clusters] if task.clusters else []
    needed += [task.qrels.column] if isinstance(task.qrels, Column) else []
    needed += [task.pool.per_query] if isinstance(task.pool, PerQuery) else []
    for side, wanted, table in [(task.queries, needed, queries), *((side, [], table) for side, table in corpora)]:
        columns = wanted + ([side.id] if side.id else [])
        columns += [side.modality.column] if isinstance(side.modality, Column) else []
        if not table.rows:
            yield f"{table.name}: has no rows"
        for number, row in enumerate(table.rows):
            for column in columns:
                if row.get(column) is None:
                    yield f"{table.where(number)}: column {column!r} is empty in this row"


def items_of(task: Task, side: Side, table: Table, role: Role, broken: dict[tuple[Role, str], str]) -> list[Item]:
    folder = media_folder(task, side)
    items = []
    for number, row in enumerate(table.rows):
        identity = str(row[side.id]) if side.id else str(number)
        try:
            items.append(_item(side, row, identity, folder))
        except DataError as error:
            broken[role, identity] = f"{table.where(number)}: {error}"
            items.append(Item((), id=identity))
    return items


def _item(side: Side, row: Mapping[str, Any], identity: str, folder: Path) -> Item:
    """One row as an item: parts in the order image, video, text."""
    declared = str(row[side.modality.column]) if isinstance(side.modality, Column) else side.modality
    declared = modality(kind for kind in declared.split("+") if not _left_out(side, row, kind))
    parts: list[Part] = []
    if side.image is not None and "image" in declared:
        parts.append(Image(_still(row.get(side.image), side.image, folder)))
    if side.video is not None and "video" in declared:
        start, end = (_seconds(row, column) for column in (side.start, side.end))
        clip = _clip(row.get(side.video), side.video, folder)
        if isinstance(clip, FrameFolder) and (start, end) != (None, None):
            raise DataError(f"{clip.name}: a folder of frames has no seconds to start or end at; leave them out")
        parts.append(Video(clip, start, end, side.frame_policy))
    if side.text is not None and "text" in declared:
        parts.append(Text(_string(row.get(side.text), side.text)))
    found = modality(part.kind for part in parts)
    if found != declared:
        raise DataError(f"the row declares modality {declared!r} but its columns give {found or 'nothing'!r}")
    instruction = side.instruction
    if isinstance(instruction, Column):
        instruction = _string(row.get(instruction.column), instruction.column)
    published = _string(row.get(side.published), side.published) if side.published else None
    return Item(tuple(parts), instruction, identity, published)


def _left_out(side: Side, row: Mapping[str, Any], kind: str) -> bool:
    """Whether the row lacks a part that it may lack: the cell is empty, or a text of blanks."""
    if side.optional is None or kind not in side.optional:
        return False
    cell = row.get(getattr(side, kind))
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _string(cell: Any, column: str) -> str:
    if not isinstance(cell, str) or not cell.strip():
        hint = "; a list of captions needs `captions`, see docs/captions.md" if isinstance(cell, list) else ""
        raise DataError(f"column {column!r}: expected a text that is not empty, found {reprlib.repr(cell)}{hint}")
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"column {column!r}: the text is not valid Unicode ({error.reason})") from error
    return cell


def _seconds(row: Mapping[str, Any], column: str | None) -> float | None:
    cell = row.get(column) if column else None
    if cell is None:
        return None
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {column!r}: expected seconds, found {cell!r}") from error


def _medium(cell: Any, column: str, folder: Path) -> File | Blob:
    """A file, a path relative to the table, bytes, or the {bytes, path} that Parquet files of media carry."""
    if isinstance(cell, File):
        return cell
    if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
        return Blob(cell["bytes"], str(cell.get("path") or column))
    if isinstance(cell, bytes):
        return Blob(cell, column)
    path = folder / _string(cell, column)
    if not path.is_file():
        raise DataError(f"column {column!r}: no file {path}")
    return File(path)


def _still(cell: Any, column: str, folder: Path) -> File | Blob | StillProgram:
    return cell if isinstance(cell, StillProgram) else _medium(cell, column, folder)


def _clip(cell: Any, column: str, folder: Path) -> File | Blob | ClipProgram:
    """A clip, or a folder with its frames as pictures."""
    if isinstance(cell, ClipProgram):
        return cell
    if isinstance(cell, str) and cell.strip() and (folder / cell).is_dir():
        frames = FrameFolder(folder / cell)
        if not frames.pictures:
            raise DataError(f"column {column!r}: {frames.name} is a folder without pictures, and no clip")
        return frames
    return _medium(cell, column, folder)
