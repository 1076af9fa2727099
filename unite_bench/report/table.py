"""A table before it has a format: cells with a value to compare, a text to print and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


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
    """Columns (after the name column), rows and what must be read with them."""

    caption: str
    name_column: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: dict[str, str] = field(default_factory=dict)

    def placed(self, column: int) -> dict[int, int]:
        """Row number to 1 (best) or 2 (second) in a column, by value as printed; equal texts share a place.

        With fewer than two rows to compare there is no best.
        """
        held = [(n, row.cells[column]) for n, row in enumerate(self.rows) if not row.below_rule]
        compared = [(n, cell) for n, cell in held if cell.value is not None and cell.ranked]
        if len(compared) < 2:
            return {}
        texts = list(dict.fromkeys(cell.text for _, cell in sorted(compared, key=lambda pair: -(pair[1].value or 0.0))))
        order = {text: place for place, text in enumerate(texts[:2], start=1)}
        return {n: order[cell.text] for n, cell in compared if cell.text in order}


def ordered(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Rows above the rule first; the order within stays."""
    return tuple(sorted(rows, key=lambda row: row.below_rule))
