"""Scores under a layout: a row an embedder, a column a task or a mean over some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from unite_bench.metrics.aggregate import above_chance
from unite_bench.report.entries import (
    DISPUTED,
    IN_DOMAIN,
    NOTES,
    PRINTED_MEAN,
    Entry,
    Score,
    measured,
)
from unite_bench.report.layout import Column, Layout, by_group_layout, by_task_layout
from unite_bench.report.table import MISSING, NOT_APPLICABLE, Cell, Row, Table, ordered
from unite_bench.results import Result
from unite_bench.spec.measures import parse_measure
from unite_bench.spec.model import Suite, Task
from unite_bench.stats.intervals import Interval

TARGET = (
    "Intervals are 95 %, for new queries of the same kind on the same tasks and corpora; seeds and protocols are fixed."
)


def by_group(suite: Suite, tasks: Sequence[Task], results: Iterable[Result]) -> Table:
    """Columns by granularity and modality; cells are means of chance-corrected primary scores, in percent."""
    layout = by_group_layout(suite, tasks)
    return layout_table(layout, measured(layout.tasks, results))


def by_task(suite: Suite, tasks: Sequence[Task], results: Iterable[Result], interval: bool = False) -> Table:
    """One column a task; cells are the raw primary measure in percent, with the 95 % interval if asked."""
    layout = by_task_layout(suite, tasks)
    return layout_table(layout, measured(layout.tasks, results), intervals=interval)


def layout_table(
    layout: Layout,
    entries: Sequence[Entry],
    digits: int = 1,
    intervals: bool = False,
    of_means: Mapping[tuple[str, int], Interval] | None = None,
) -> Table:
    """The table of a layout, values in percent with so many digits.

    A mean is given where every task below it has a score, or where its source prints it; a partial row has none. Where
    measured and published rows stand together, only measured ones are compared. With `intervals`, they are printed: those of
    single tasks, and `of_means` (by embedder and number of column); the caption says what they are for.
    """
    mixed = len({entry.published for entry in entries}) == 2
    rows = []
    for entry in entries:
        scores = [_column_score(layout, column, entry) for column in layout.columns]
        spans = [(of_means or {}).get((entry.name, n)) for n in range(len(layout.columns))]
        cells = [
            _cell(layout, column, entry, score, digits, intervals, span, compared=not (mixed and entry.published))
            for column, score, span in zip(layout.columns, scores, spans, strict=True)
        ]
        if entry.published and not any(scores):
            continue  # it has scores of tasks here, and none that a column shows
        apart = stands_apart(entry.name, [score.marks for score in scores if score]) or entry.name in layout.apart
        traits = {"backbone": entry.backbone, "size": entry.size}
        rows.append(Row(entry.name, tuple(cells), apart, entry.marks, traits=traits))
    if layout.chance:
        rows.append(_chance_row(layout, entries, digits))
    bracketed = intervals and any(cell.interval is not None for row in rows for cell in row.cells)
    return Table(
        _caption(layout, entries) + f" {TARGET}" * bracketed,
        "embedder",
        tuple(column.name for column in layout.columns),
        ordered(rows),
        notes(rows),
        heads=tuple(column.head for column in layout.columns) if any(c.head for c in layout.columns) else (),
    )


def stands_apart(name: str, marks: Iterable[Sequence[str]]) -> bool:
    """Whether a row stands below the rule, by the marks of its cells: trained on these tasks' data, or told the answers."""
    return name == "oracle" or any(IN_DOMAIN in of for of in marks)


def notes(rows: Sequence[Row]) -> dict[str, str]:
    """What must be said under the table of the marks that its rows and cells carry."""
    used = {mark for row in rows for marks in (row.marks, *(cell.marks for cell in row.cells)) for mark in marks}
    disputed = dict.fromkeys(
        f"{row.name}: {cell.text}, {cell.reason.split('; ')[0]}"
        for row in rows
        for cell in row.cells
        if DISPUTED in cell.marks
    )
    said = {mark: text for mark, text in NOTES.items() if mark in used}
    if disputed:
        said[DISPUTED] = f"{NOTES[DISPUTED]} {'; '.join(disputed)}."
    return said


def percent(value: float, digits: int = 1) -> str:
    """In percent; what rounds to zero has no sign."""
    text = f"{100 * value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _column_score(layout: Layout, column: Column, entry: Entry) -> Score | None:
    """The score of a column, or None where something below it is missing."""
    parts = [_column_score(layout, part, entry) for part in column.of]
    parts += [_task_score(layout, column, entry, n) for n in range(len(column.tasks))]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return entry.means.get(f"{layout.name}/{column.full_name}")
    if len(found) == 1 and not column.less:
        return found[0]
    value = float((np.sum if column.total else np.mean)([part.value for part in found]))
    marks = tuple(mark for mark in NOTES if any(mark in part.marks for part in found))
    queries = sum(part.queries or 0 for part in found) or None
    beats = any(part.beats_chance for part in found)
    if column.less:
        controls = [entry.scores.get((task.label, column.measure_of(task))) for task in column.less]
        if any(control is None for control in controls):
            return None
        chances = [part.chance or 0.0 for part in found]
        value -= max(float(np.mean(chances)), *(control.value for control in controls if control is not None))
    # A mean has no interval of its own here; where nothing below it beats chance, it stands at chance.
    return Score(value, None if beats else (value, value), None if beats else value, queries, marks)


def _task_score(layout: Layout, column: Column, entry: Entry, n: int) -> Score | None:
    """The score of one task of a column, corrected for chance if the layout asks for it."""
    task = column.tasks[n]
    score = entry.scores.get((task.label, column.measure_of(task)))
    if score is None or not layout.corrected:
        return score
    if score.chance is None:
        return None
    at_chance = None if score.beats_chance else (0.0, 0.0)
    value = above_chance(score.value, score.chance)
    return Score(value, at_chance, 0.0, score.queries, score.marks, score.reason)


def _cell(
    layout: Layout,
    column: Column,
    entry: Entry,
    score: Score | None,
    digits: int,
    intervals: bool,
    span: Interval | None,
    *,
    compared: bool,
) -> Cell:
    if score is None:
        return MISSING if any(entry.can(task) for task in column.all_tasks) else NOT_APPLICABLE
    ranks = column.measure is not None and parse_measure(column.measure).lower_is_better
    raw = len(column.shares) == 1 and not layout.corrected and not column.controlled

    def shown(value: float) -> str:
        return f"{value:.{digits}f}" if ranks else percent(value, digits)

    text = shown(score.value)
    interval = score.interval if raw and span is None else span
    if intervals and interval is not None:
        text += f" [{shown(interval[0])}, {shown(interval[1])}]"
    # A mean that was printed has been averaged by others; its protocol stands in the reason.
    marks = score.marks if entry.published else tuple(mark for mark in score.marks if mark != PRINTED_MEAN)
    ranked = compared and score.beats_chance and not ranks
    return Cell(text, score.value, ranked, marks, interval, score.reason)


def _chance_row(layout: Layout, entries: Sequence[Entry], digits: int) -> Row:
    cells = []
    for column in layout.columns:
        alone = column.tasks[0] if len(column.all_tasks) == 1 and column.tasks else None
        found = [e.scores.get((alone.label, column.measure_of(alone))) for e in entries] if alone else []
        chance = next((score.chance for score in found if score is not None and score.chance is not None), None)
        cells.append(MISSING if chance is None else Cell(percent(chance, digits), chance, ranked=False))
    return Row("chance", tuple(cells), below_rule=True)


def _caption(layout: Layout, entries: Sequence[Entry]) -> str:
    """Title, number of tasks, and how many queries they have, as far as results or the catalogue say."""
    asked = [task for task in layout.tasks if any(task in column.all_tasks for column in layout.columns)]
    counts = {task.label: task.queries for task in asked if task.queries is not None}
    for entry in entries:
        counts |= {label: score.queries for (label, _), score in entry.scores.items() if score.queries is not None}
    held = [counts[task.label] for task in asked if task.label in counts]
    size = f"; n = {sum(held):,} queries" if len(held) == len(asked) else ""
    protocol = next((entry.protocol for entry in entries if entry.protocol), "")
    return f"{layout.title}; {len(asked)} task{'s' if len(asked) != 1 else ''}{size}.{protocol}"
