"""Results as tables: a row an embedder, a column a group of tasks (granularity and modality) or one task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from unite_bench.errors import DataError, UsageError
from unite_bench.metrics.aggregate import above_chance, over_tasks
from unite_bench.report.table import MISSING, NOT_APPLICABLE, Cell, Row, Table, ordered
from unite_bench.results import Result
from unite_bench.spec.model import Suite, Task

IN_DOMAIN = "†"
UNKNOWN = "?"
NOTES = {
    IN_DOMAIN: "trained on this task's train split or on its generator (in-domain); never best.",
    UNKNOWN: "training data not declared; it may contain this task.",
}
LETTERS = {"text": "T", "image": "I", "video": "V"}


def by_group(suite: Suite, tasks: Sequence[Task], results: Iterable[Result]) -> Table:
    """Columns by granularity and modality; cells are means of chance-corrected primary scores, in percent.

    The last column is the mean over granularities of the means over their tasks, where every task has a result and the
    suite's tasks may be averaged at all.
    """
    held = _latest(tasks, results)
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(f"{task.granularity} {arrow(task)}", []).append(task)
    rows = []
    for name, of in held.items():
        cells = [_group_cell(of, group) for group in groups.values()]
        rows.append(Row(name, (*cells, _mean_cell(of, tasks, suite)), _apart(name, of.values())))
    caption = (
        f"{suite.title or suite.name}: mean of (score - chance) / (1 - chance) of each task's primary measure, in percent, "
        f"{len(tasks)} tasks."
    )
    return _table(caption, [*groups, "mean"], rows)


def by_task(suite: Suite, tasks: Sequence[Task], results: Iterable[Result], interval: bool = False) -> Table:
    """One column a task; cells are the raw primary measure in percent, with half the 95 % interval if asked."""
    held = _latest(tasks, results)
    rows = [
        Row(
            name, tuple(_task_cell(of.get(task.label), of, task, interval) for task in tasks), _apart(name, of.values())
        )
        for name, of in held.items()
    ]
    chances = [next((_chance(of[t.label]) for of in held.values() if t.label in of), None) for t in tasks]
    shown = tuple(Cell("-") if c is None else Cell(percent(c), c, ranked=False) for c in chances)
    rows.append(Row("chance", shown, below_rule=True))
    caption = f"{suite.title or suite.name}: primary measure of each task in percent."
    return _table(caption, [f"{task.name} {task.primary}" for task in tasks], rows)


def percent(value: float) -> str:
    """In percent with one digit; what rounds to zero has no sign."""
    return f"{100 * value:.1f}".replace("-0.0", "0.0") if abs(value) < 0.001 else f"{100 * value:.1f}"


def arrow(task: Task) -> str:
    """The modalities of a task as papers write them: T→I, I+T→T, T→any for a mixed pool."""

    def letters(side_modality: object) -> str:
        if not isinstance(side_modality, str):
            return "any"
        return "+".join(LETTERS[kind] for kind in side_modality.split("+"))

    targets = {letters(side.modality) for side in task.corpora}
    return f"{letters(task.queries.modality)}→{targets.pop() if len(targets) == 1 else 'any'}"


def _table(caption: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
    used = {mark for row in rows for cell in row.cells for mark in cell.marks}
    return Table(caption, "embedder", tuple(columns), ordered(rows), {m: t for m, t in NOTES.items() if m in used})


def _latest(tasks: Sequence[Task], results: Iterable[Result]) -> dict[str, dict[str, Result]]:
    """Embedder to task to result. Partial results are never tabled, and what cannot be compared is never in one column.

    Raises UsageError if there is nothing to table, DataError if two results would share a cell, or if the results of a
    column differ in their data or protocol.
    """
    known = {task.label: task for task in tasks}
    held: dict[str, dict[str, Result]] = {}
    shapes: dict[str, tuple[str, Result]] = {}
    for result in results:
        label = result.record["task"]["label"]
        if label not in known or result.record["partial"] or known[label].primary not in result.record["measures"]:
            continue
        of = held.setdefault(result.embedder, {})
        if label in of and of[label].identity != result.identity:
            raise DataError(
                f"{result.embedder} has two different results for {label} (other weights, data or protocol): "
                f"{of[label].identity} and {result.identity}; keep one of them in the folder"
            )
        shape = f"data {result.record['data']['digest'][:12]}, protocol {compared_protocol(result)}"
        first_shape, first = shapes.setdefault(label, (shape, result))
        if shape != first_shape:
            raise DataError(
                f"{label}: {first.embedder} ({first_shape}) and {result.embedder} ({shape}) cannot stand in one column; "
                "tabulate them from separate folders"
            )
        of[label] = result
    if not held:
        raise UsageError("no results for these tasks; `unite-bench run --model NAME --suite NAME` makes them")
    return held


def compared_protocol(result: Result) -> str:
    """What must agree within a column, and between results that are compared: the task's own protocol, instructions,
    frames and what happens on errors."""
    protocol = result.record["protocol"]
    return ", ".join(str(protocol[key]) for key in ("task", "instructions", "frames", "on_error"))


def _chance(result: Result) -> float:
    return float(result.record["measures"][result.record["task"]["primary"]]["chance"])


def _beats_chance(result: Result) -> bool:
    """Whether the interval of the primary measure lies above chance; what does not is never best."""
    return float(result.record["measures"][result.record["task"]["primary"]]["low"]) > _chance(result)


def _corrected(result: Result) -> float:
    return above_chance(result.primary, _chance(result))


def _marks(results: Iterable[Result]) -> tuple[str, ...]:
    found = {result.record["contamination"] for result in results}
    return (IN_DOMAIN,) * ("in-domain" in found) + (UNKNOWN,) * ("unknown" in found)


def _apart(name: str, results: Iterable[Result]) -> bool:
    """Whether a row stands below the rule: trained on these tasks' data, or told the answers."""
    return name == "oracle" or any(result.record["contamination"] == "in-domain" for result in results)


def _can(of: dict[str, Result], task: Task) -> bool:
    """Whether the embedder of these results declares the task's modalities, as far as the task file names them."""
    declared = set(next(iter(of.values())).record["embedder"]["modalities"])
    wanted = {side.modality for side in (task.queries, *task.corpora) if isinstance(side.modality, str)}
    return wanted <= declared


def _task_cell(result: Result | None, of: dict[str, Result], task: Task, interval: bool) -> Cell:
    if result is None:
        return MISSING if _can(of, task) else NOT_APPLICABLE
    measured = result.record["measures"][task.primary]
    text = f"{100 * result.primary:.1f}"
    if interval:
        text += f" [{100 * measured['low']:.1f}, {100 * measured['high']:.1f}]"
    return Cell(text, result.primary, _beats_chance(result), _marks([result]))


def _group_cell(of: dict[str, Result], group: Sequence[Task]) -> Cell:
    found = [of[task.label] for task in group if task.label in of]
    if len(found) < len(group):
        return MISSING if any(_can(of, task) for task in group) else NOT_APPLICABLE
    value = float(np.mean([_corrected(result) for result in found]))
    return Cell(percent(value), value, any(map(_beats_chance, found)), _marks(found))


def _mean_cell(of: dict[str, Result], tasks: Sequence[Task], suite: Suite) -> Cell:
    if not suite.aggregate or any(task.label not in of for task in tasks):
        return MISSING
    grouped: dict[str, list[float]] = {}
    for task in tasks:
        grouped.setdefault(task.granularity, []).append(_corrected(of[task.label]))
    value = over_tasks(grouped)
    beats = any(_beats_chance(of[task.label]) for task in tasks)
    return Cell(percent(value), value, beats, _marks(of[task.label] for task in tasks))
