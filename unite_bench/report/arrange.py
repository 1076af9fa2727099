"""Which rows and columns of a table are shown, in which order, grouped and emphasised how. No value changes here."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from unite_bench.errors import UsageError
from unite_bench.published import UNKNOWN
from unite_bench.report.entries import DISPUTED
from unite_bench.report.leaderboard import notes
from unite_bench.report.table import Row, Table, ordered

GROUPS = ("backbone", "size")
HIGHLIGHTS = {"both": 2, "best": 1, "none": 0}


def arranged(
    table: Table,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
    order: str | None = None,
    groups: Sequence[str] = (),
    highlight: str = "both",
) -> Table:
    """The same table with less in it, or in another order.

    `columns` and `rows` are names or patterns (`Image *`), shown in the order given; `order` is a column, best first, or
    `name`; `groups` are of GROUPS. Raises UsageError for what matches nothing.
    """
    if columns:
        at = chosen(columns, table.full_columns, "column", table.columns)
        table = replace(
            table,
            columns=tuple(table.columns[n] for n in at),
            heads=tuple(table.heads[n] for n in at) if table.heads else (),
            rows=tuple(replace(row, cells=tuple(row.cells[n] for n in at)) for row in table.rows),
        )
    kept = list(table.rows)
    if rows:
        kept = [table.rows[n] for n in chosen(rows, [row.section or row.name for row in table.rows], "row")]
    if order is not None:
        kept = _sorted(kept, order, table)
    if groups:
        kept = _grouped(kept, groups)
    held = notes(kept)
    return replace(
        table,
        rows=ordered(kept),
        notes={mark: held[mark] if mark == DISPUTED else text for mark, text in table.notes.items() if mark in held},
        highlights=HIGHLIGHTS[highlight],
    )


def chosen(patterns: Sequence[str], names: Sequence[str], what: str, short: Sequence[str] = ()) -> list[int]:
    """Positions of the names that match, in the order of the patterns; each once."""
    found: dict[int, None] = {}
    for pattern in patterns:
        matched = [n for n, name in enumerate(names) if name == pattern] or [
            n
            for n, name in enumerate(names)
            if fnmatchcase(name, pattern) or (short and fnmatchcase(short[n], pattern))
        ]
        if not matched:
            raise UsageError(f"no {what} matches {pattern!r}; there are {', '.join(names)}")
        found |= dict.fromkeys(matched)
    return list(found)


def _sorted(rows: Sequence[Row], order: str, table: Table) -> list[Row]:
    if order == "name":
        return sorted(rows, key=lambda row: row.name)
    at = chosen([order], table.full_columns, "column", table.columns)
    if len(at) != 1:
        raise UsageError(f"{order!r} names several columns: {', '.join(table.full_columns[n] for n in at)}")

    def key(row: Row) -> tuple[bool, float]:
        value = row.cells[at[0]].value
        return value is None, -(value or 0.0)

    return sorted(rows, key=key)


def _grouped(rows: Sequence[Row], groups: Sequence[str]) -> list[Row]:
    """Rows of one backbone, size or both together, under its name; what has neither comes last."""
    for group in groups:
        if group not in GROUPS:
            raise UsageError(f"rows are grouped by {' or '.join(GROUPS)}, not by {group!r}")

    first = list(dict.fromkeys(row.traits.get("backbone", UNKNOWN) for row in rows))

    def said(row: Row) -> list[str]:
        return [row.traits.get(group, UNKNOWN) for group in groups]

    def section(row: Row) -> str:
        pairs = zip(groups, said(row), strict=True)
        return ", ".join(f"{group} unknown" if text == UNKNOWN else text for group, text in pairs)

    def key(row: Row) -> list[float]:
        pairs = zip(groups, said(row), strict=True)
        places = [_parameters(text) if group == "size" else first.index(text) for group, text in pairs]
        return [not row.traits, *(text == UNKNOWN for text in said(row)), *places]

    return [replace(row, section=section(row) if row.traits else "") for row in sorted(rows, key=key)]


def _parameters(size: str) -> float:
    """`7B` as 7e9; what is no such number comes last."""
    match = re.fullmatch(r"([\d.]+) ?([KMBT])", size)
    return float(match[1]) * 1000 ** ("KMBT".index(match[2]) + 1) if match else math.inf
