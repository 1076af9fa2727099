"""A table before it has a format: cells with a value to compare, a text to print and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Cell:
    """One cell. `value` takes part in best and second best if `ranked`; `marks` point at notes under the table."""

    text: str
    value: float | None = None
    ranked: bool = True
    marks: tuple[str, ...] = ()


NOT_APPLICABLE = Cell("n/a")
MISSING = Cell("-")


@dataclass(frozen=True)
class Row:
    """A named row; rows `below_rule` stand under a line and are never best."""

    name: str
    cells: tuple[Cell, ...]
    below_rule: bool = False


@dataclass(frozen=True)
class Table:
    """Columns (after the name column), rows and what must be read with them.

    What is compared stands in the rows, or, in a `turned` table, in the columns, of which the last `apart` are never best.
    """

    caption: str
    name_column: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: dict[str, str] = field(default_factory=dict)
    turned: bool = False
    apart: int = 0

    def places(self) -> dict[tuple[int, int], int]:
        """(row, column) to 1 (best) or 2 (second)."""
        if self.turned:
            kept = range(len(self.columns) - self.apart)
            lines = [[((n, c), row.cells[c]) for c in kept] for n, row in enumerate(self.rows)]
        else:
            held = [(n, row) for n, row in enumerate(self.rows) if not row.below_rule]
            lines = [[((n, c), row.cells[c]) for n, row in held] for c in range(len(self.columns))]
        return {at: place for line in lines for at, place in _placed(line).items()}

    def transposed(self) -> Table:
        """Columns as rows and rows as columns; what stood below the rule comes last."""
        rows = tuple(Row(name, tuple(row.cells[c] for row in self.rows)) for c, name in enumerate(self.columns))
        apart = sum(row.below_rule for row in self.rows)
        return replace(
            self, name_column="", columns=tuple(row.name for row in self.rows), rows=rows, turned=True, apart=apart
        )


def _placed(line: Sequence[tuple[tuple[int, int], Cell]]) -> dict[tuple[int, int], int]:
    """Best and second of what is compared, by value as printed; equal texts share a place. One alone is not best."""
    compared = [(at, cell) for at, cell in line if cell.value is not None and cell.ranked]
    if len(compared) < 2:
        return {}
    texts = list(dict.fromkeys(cell.text for _, cell in sorted(compared, key=lambda pair: -(pair[1].value or 0.0))))
    order = {text: place for place, text in enumerate(texts[:2], start=1)}
    return {at: order[cell.text] for at, cell in compared if cell.text in order}


def ordered(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows above the rule first; the order within stays."""
    return tuple(sorted(rows, key=lambda row: row.below_rule))
