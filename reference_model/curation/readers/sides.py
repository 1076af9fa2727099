"""From the cells of a record to an item, as a `Side` of the recipe declares it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from reference_model.curation.readers.found import BadRecord, Items, unicode
from reference_model.curation.sources import Side
from unite_bench.items import Blob, File, Image, Item, Part, Text, Video
from unite_bench.spec.model import Column

Locate = Callable[[str, Any], File | Blob]  # column and cell -> medium; raises BadRecord


def items_of(query: Side, target: Side, negatives: tuple[Side, ...], cells: Mapping[str, Any], locate: Locate) -> Items:
    """Query, target and those negatives whose columns are filled. A list of texts or media makes a negative of each."""
    found = [item for side in negatives for item in _several(side, cells, locate)]
    return item_of(query, cells, locate), item_of(target, cells, locate), tuple(found)


def item_of(side: Side, cells: Mapping[str, Any], locate: Locate) -> Item:
    """The item of one side: its parts in the order image, video, text. Raises BadRecord for an empty cell."""
    parts: list[Part] = []
    if side.image is not None:
        parts += [Image(locate(side.image, cell)) for cell in _filled(side.image, cells)]
    if side.video is not None:
        start, end = _seconds(side.start, cells), _seconds(side.end, cells)
        parts += [Video(locate(side.video, cell), start, end) for cell in _filled(side.video, cells)]
    if side.text is not None:
        parts.append(Text(text_of(_cell(side.text, cells), side.text)))
    instruction = side.instruction
    if isinstance(instruction, Column):
        instruction = text_of(_cell(instruction.column, cells), instruction.column)
    return Item(tuple(parts), instruction)


def text_of(cell: Any, column: str) -> str:
    """A text that is not empty and can be written as UTF-8. Raises BadRecord."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        raise BadRecord("empty text", f"column {column!r}")
    if not isinstance(cell, str):
        raise BadRecord("not a text", f"column {column!r} holds {type(cell).__name__}")
    return unicode(cell, f"column {column!r}")


def _several(side: Side, cells: Mapping[str, Any], locate: Locate) -> list[Item]:
    used = [name for name in (side.text, side.image, side.video) if name is not None]
    held = {name: cells.get(name) for name in used}
    if all(value in (None, "", []) for value in held.values()):
        return []
    lists = {name: value for name, value in held.items() if isinstance(value, list)}
    if not lists:
        return [item_of(side, cells, locate)]
    if len({len(value) for value in lists.values()}) > 1:
        raise BadRecord("negatives of unequal number", ", ".join(f"{len(v)} in {k!r}" for k, v in lists.items()))
    count = len(next(iter(lists.values())))
    return [item_of(side, {**cells, **{name: lists[name][n] for name in lists}}, locate) for n in range(count)]


def _cell(column: str, cells: Mapping[str, Any]) -> Any:
    if column not in cells:
        raise BadRecord("no such column", f"{column!r}; the record has {', '.join(map(repr, cells))}"[:200])
    return cells[column]


def _filled(column: str, cells: Mapping[str, Any]) -> list[Any]:
    cell = _cell(column, cells)
    listed = cell if isinstance(cell, list) else [cell]
    if not listed or any(value in (None, "", b"") for value in listed):
        raise BadRecord("no medium", f"column {column!r} is empty")
    return listed


def _seconds(column: str | None, cells: Mapping[str, Any]) -> float | None:
    cell = cells.get(column) if column else None
    if cell in (None, ""):
        return None
    try:
        seconds = float(cell)
    except (TypeError, ValueError) as error:
        raise BadRecord("not a number of seconds", f"column {column!r} holds {cell!r}") from error
    if not math.isfinite(seconds) or seconds < 0:
        raise BadRecord("not a number of seconds", f"column {column!r} holds {cell!r}")
    return seconds
