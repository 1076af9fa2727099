"""What an embedder can find from what: query modality against candidate modality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from unite_bench.report.entries import Asked, measured
from unite_bench.report.layout import Column, Layout, forms
from unite_bench.report.leaderboard import layout_table, notes
from unite_bench.report.table import NOT_APPLICABLE, Cell, Row, Table
from unite_bench.results import Result
from unite_bench.spec.model import Suite, Task

NO_TASK = Cell("")


def modality_matrix(suite: Suite, tasks: Sequence[Task], results: Iterable[Result], digits: int = 1) -> Table:
    """One row per embedder and query modality, one column a candidate modality; cells are means of chance-corrected primary
    scores, in percent. Where the suite has no task of a pair, the cell is empty."""
    asked = [Asked.of(task) for task in tasks]
    entries = measured(asked, results)
    asks = {task.label: forms(task) for task in tasks}
    queries = list(dict.fromkeys(query for query, _ in asks.values()))
    candidates = list(dict.fromkeys(candidate for _, candidate in asks.values()))
    what = "query modality (rows) by candidate modality, mean of (score - chance) / (1 - chance), in percent"
    columns = [
        Column(f"{query} {candidate}", tasks=tuple(task for task in asked if asks[task.label] == (query, candidate)))
        for query in queries
        for candidate in candidates
    ]
    layout = Layout(
        suite.name, f"{suite.title or suite.name}: {what}", tuple(c for c in columns if c.tasks), corrected=True
    )
    table = layout_table(layout, entries, digits)
    at = {column.name: n for n, column in enumerate(layout.columns)}
    rows = []
    for row in table.rows:
        for query in queries:
            places = [at.get(f"{query} {candidate}") for candidate in candidates]
            cells = [NO_TASK if place is None else replace(row.cells[place], ranked=False) for place in places]
            if any(cell.text not in (NOT_APPLICABLE.text, NO_TASK.text) for cell in cells):
                rows.append(Row(query, tuple(cells), row.below_rule, section=row.name))
    return Table(table.caption, "query", tuple(candidates), tuple(rows), notes(rows))
