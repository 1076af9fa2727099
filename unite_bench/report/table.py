"""A table before it has a format: cells with a value to compare, a text to print, marks and the reasons for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Cell:
    """One cell. `value` takes part in best and second best if `ranked`; `marks` point at notes under the table.

    `interval` is the 95 % interval of `value`, where there is one; `reason` says in words what is odd about this cell alone.
    """

    text: str
    value: float | None = None
    ranked: bool = True
    marks: tuple[str, ...] = ()
    interval: tuple[float, float] | None = None
    reason: str = ""


NOT_APPLICABLE = Cell("n/a")
MISSING = Cell("-")


@dataclass(frozen=True)
class Row:
    """A named row; rows `below_rule` stand under a line and are never best.

    `section` is printed above the first of the rows that share it. `traits` is what rows may be grouped by.
    """

    name: str
    cells: tuple[Cell, ...]
    below_rule: bool = False
    marks: tuple[str, ...] = ()
    section: str = ""
    traits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Columns (after the name column), rows and what must be read with them.

    `heads` stands over the columns, one a column, where neighbours of one head share it. What is compared stands in the
    rows, or, in a `turned` table, in the columns, of which the last `apart` are never best. `highlights` is how many places
    are emphasised: 2 is best and second, 0 none.
    """

    caption: str
    name_column: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    turned: bool = False
    apart: int = 0
    heads: tuple[str, ...] = ()
    highlights: int = 2

    @property
    def full_columns(self) -> tuple[str, ...]:
        """Each column with its head before it, for formats with one line of headings."""
        heads = self.heads or ("",) * len(self.columns)
        return tuple(f"{head} {name}".strip() for head, name in zip(heads, self.columns, strict=True))

    def places(self) -> dict[tuple[int, int], int]:
        """(row, column) to 1 (best) or 2 (second)."""
        if self.turned:
            kept = range(len(self.columns) - self.apart)
            lines = [[((n, c), row.cells[c]) for c in kept] for n, row in enumerate(self.rows)]
        else:
            held = [(n, row) for n, row in enumerate(self.rows) if not row.below_rule]
            lines = [[((n, c), row.cells[c]) for n, row in held] for c in range(len(self.columns))]
        placed = {at: place for line in lines for at, place in _placed(line).items()}
        return {at: place for at, place in placed.items() if place <= self.highlights}

    def transposed(self) -> Table:
        """Columns as rows and rows as columns; what stood below the rule comes last."""
        rows = tuple(Row(name, tuple(row.cells[c] for row in self.rows)) for c, name in enumerate(self.full_columns))
        apart = sum(row.below_rule for row in self.rows)
        return replace(
            self,
            name_column="",
            columns=tuple(row.name + "".join(row.marks) for row in self.rows),
            heads=tuple(row.section for row in self.rows) if any(row.section for row in self.rows) else (),
            rows=rows,
            turned=True,
            apart=apart,
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
