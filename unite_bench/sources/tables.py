"""The one shape every source gives: a table of rows, each row a mapping from column to cell.

A cell is plain data (str, number, bool, None, list, dict) or a medium (`File`, `Blob`, a still or clip program). Which
column becomes which part of an item is the task's business (`unite_bench.sources.build`), not the source's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows with a name for messages; `lines` are the rows' line numbers where the table came from a text file."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    lines: Sequence[int] | None = None

    def where(self, row: int) -> str:
        """`file:line` of a row, or `name, row N` (counted from 0) where there are no lines."""
        return f"{self.name}:{self.lines[row]}" if self.lines is not None else f"{self.name}, row {row}"
