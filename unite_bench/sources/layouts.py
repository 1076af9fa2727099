"""Rows that hold more than one item a side, read as tables of queries and of candidates: quartets, and lists of choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unite_bench.errors import DataError
from unite_bench.sources.tables import Table
from unite_bench.spec.source_kinds import Choices, Quartets, Rows


def read_rows(rows: Rows | None, table: Table, side: str) -> Table:
    """One side (`queries` or `candidates`) of a table whose rows are read as `rows` says; the table itself without it."""
    if rows is None:
        return table
    if rows.quartets is not None:
        return _quartets(rows.quartets, table, side)
    assert rows.choices is not None  # the schema demands one of the two
    return _choices(rows.choices, table, side)


def _quartets(named: Quartets, table: Table, side: str) -> Table:
    """Row n becomes the texts n.0 and n.1 and the media n.0 and n.1; each text has both media for its pool."""
    _have(table, [*named.texts, *named.media])
    made: list[dict[str, Any]] = []
    for number, row in enumerate(table.rows):
        ids = [f"{number}.0", f"{number}.1"]
        for own, text, medium in zip(ids, named.texts, named.media, strict=True):
            if side == "candidates":
                made.append({**row, "id": own, "medium": row[medium]})
            else:
                made.append({**row, "id": own, "quartet": str(number), "text": row[text], "positive": own, "pool": ids})
    extra = ("id", "medium") if side == "candidates" else ("id", "quartet", "text", "positive", "pool")
    return Table(table.name, _with(table.columns, extra), made)


def _choices(named: Choices, table: Table, side: str) -> Table:
    """Row n becomes the query n and the candidates n.0, n.1, ..., which are its pool."""
    _have(table, [*named.columns, *([named.answer] if named.answer else [])])
    made: list[dict[str, Any]] = []
    for number, row in enumerate(table.rows):
        choices = _listed(row, named.columns, table.where(number))
        ids = [f"{number}.{n}" for n in range(len(choices))]
        if side == "candidates":
            made += [{**row, "id": own, "choice": choice} for own, choice in zip(ids, choices, strict=True)]
        else:
            right = _right(row, named.answer, choices, table.where(number))
            made.append({**row, "id": str(number), "positive": ids[right], "pool": ids})
    extra = ("id", "choice") if side == "candidates" else ("id", "positive", "pool")
    return Table(table.name, _with(table.columns, extra), made)


def _listed(row: Mapping[str, Any], columns: Sequence[str], where: str) -> list[Any]:
    """The choices of a row, in order: lists are opened, empty cells left out."""
    cells = [row[column] for column in columns]
    found = [choice for cell in cells for choice in (cell if isinstance(cell, list) else [cell]) if choice is not None]
    if not found:
        raise DataError(f"{where}: no choice in {', '.join(columns)}")
    return found


def _right(row: Mapping[str, Any], answer: str | None, choices: Sequence[Any], where: str) -> int:
    if answer is None:
        return 0
    if row[answer] not in choices:
        raise DataError(f"{where}: the answer {row[answer]!r} in column {answer!r} is none of the row's choices")
    return choices.index(row[answer])


def _have(table: Table, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(f"{table.name}: no column {missing[0]!r}; it has {', '.join(table.columns)}")


def _with(columns: Sequence[str], extra: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*columns, *extra)))
