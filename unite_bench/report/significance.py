"""Marks on the cells of a leaderboard that are significantly better or worse than one embedder's in the same column.

The tests are those of `unite-bench compare`: sign flips by cluster over the same queries, two-sided. The family is every
marked column under every other measured embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unite_bench.errors import UsageError
from unite_bench.report.comparison import CORRECTIONS, suite_differences, task_differences
from unite_bench.report.comparison_tables import CORRECTED
from unite_bench.report.entries import BETTER, NOTES, PUBLISHED, WORSE
from unite_bench.report.layout import Column, Layout
from unite_bench.report.pairing import Paired, paired
from unite_bench.report.table import Cell, Table

LEVEL = 0.05


def with_significance(
    table: Table, layout: Layout, paths: Sequence[Path], against: str, correction: str = "holm"
) -> Table:
    """The table of this layout with marks, and in its caption the test, its level and the correction.

    Totals, columns less their controls and ranks are not tested. Raises UsageError if `against` has no row here.
    """
    held = {row.name: row for row in table.rows}
    if against not in held:
        raise UsageError(f"no row of {against!r} to compare with; there are {', '.join(held)}")
    tests: dict[tuple[str, int], tuple[float, float]] = {}
    for row in table.rows:
        if row.name in (against, "chance") or PUBLISHED in row.marks:
            continue
        both = [n for n, column in enumerate(layout.columns) if _tested(column, row.cells[n], held[against].cells[n])]
        labels = list(dict.fromkeys(task.label for n in both for task in layout.columns[n].all_tasks))
        if labels:
            pairs = {pair.label: pair for pair in paired(paths, (row.name, against), labels)}
            tests |= {(row.name, n): _test(layout, layout.columns[n], pairs, (row.name, against)) for n in both}
    if not tests:
        raise UsageError(f"no column has measured results of {against!r} and of another embedder")
    corrected = CORRECTIONS[correction](np.array([p for _, p in tests.values()]))
    found = {
        at: BETTER if difference > 0 else WORSE
        for (at, (difference, _)), p in zip(tests.items(), corrected, strict=True)
        if p <= LEVEL
    }
    rows = [
        replace(
            row,
            cells=tuple(
                replace(cell, marks=(*cell.marks, found[row.name, n])) if (row.name, n) in found else cell
                for n, cell in enumerate(row.cells)
            ),
        )
        for row in table.rows
    ]
    pairs_, columns = len({name for name, _ in tests}), len({n for _, n in tests})
    caption = (
        f"{table.caption} {BETTER} and {WORSE}: significantly better and worse than {against} at the level of "
        f"{100 * LEVEL:.0f} % (sign flips by cluster, two-sided; {CORRECTED[correction]} over {len(tests)} tests: up to "
        f"{pairs_} pairs x {columns} columns)."
    )
    said = {mark: f"{NOTES[mark]} {against}." for mark in (BETTER, WORSE) if mark in found.values()}
    return replace(table, caption=caption, rows=tuple(rows), notes={**table.notes, **said})


def _tested(column: Column, cell: Cell, other: Cell) -> bool:
    measured = cell.value is not None and other.value is not None
    ranks = any(column.measure_of(task) == "median_rank" for task in column.all_tasks)
    return measured and not column.total and not column.controlled and not ranks


def _test(layout: Layout, column: Column, pairs: dict[str, Paired], names: tuple[str, str]) -> tuple[float, float]:
    """Difference and p-value of a column, weighted as the column itself weights its tasks."""
    held = []
    for group, part in enumerate(column.of or (column,)):
        for task in part.all_tasks:
            pair = pairs[task.label]
            measure = part.measure_of(task)
            values = np.array([[row[measure] for row in own] for own in pair.rows], dtype=np.float64).T
            chance = pair.chance if layout.corrected else 0.0
            held.append(replace(pair, granularity=str(group), measure=measure, chance=chance, values=values))
    if len(held) == 1:
        difference = task_differences(held, names, "holm")[0]
    else:
        difference = suite_differences([(column.full_name, held)], names, "holm")[0]
    return difference.difference, difference.test.p
