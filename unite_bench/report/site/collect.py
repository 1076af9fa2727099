"""What the site tells: the whole results by task and embedder, and the tasks and suites that they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unite_bench.items import content_digest
from unite_bench.metrics.aggregate import above_chance
from unite_bench.report.layout import arrow
from unite_bench.report.leaderboard import by_group, by_task, percent
from unite_bench.report.table import Cell, Table
from unite_bench.results import Result
from unite_bench.spec.catalogue import load_suite, load_task, suite_files, task_files, tasks_of, varied_tasks
from unite_bench.spec.model import Suite, Task

Rivals = tuple[list[tuple[float, str]], ...]


@dataclass(frozen=True)
class Standing:
    """One embedder on one task: its result, the file it was read from, and its cell as the leaderboard prints it."""

    result: Result
    path: Path
    cell: Cell

    @property
    def measured(self) -> Mapping[str, float]:
        """Value, interval and chance of the primary measure."""
        of: Mapping[str, float] = self.result.record["measures"][self.result.record["task"]["primary"]]
        return of

    @property
    def text(self) -> str:
        """The score as the leaderboard prints it, without the interval that stands behind it."""
        return self.cell.text.split(" ")[0]

    @property
    def interval(self) -> str:
        return f"{percent(self.measured['low'])} to {percent(self.measured['high'])}"

    @property
    def above_chance(self) -> float:
        return above_chance(self.measured["value"], self.measured["chance"])


@dataclass(frozen=True)
class Collected:
    """`cells` holds embedder to one cell a task, as a leaderboard prints them with intervals; `standings` embedder to task
    label to what is behind the cells that have a value. `left_out` names the labels whose task file is not known here."""

    tasks: tuple[Task, ...]
    suites: tuple[tuple[Suite, tuple[Task, ...]], ...]
    cells: Mapping[str, tuple[Cell, ...]]
    standings: Mapping[str, Mapping[str, Standing]]
    notes: Mapping[str, str]
    left_out: tuple[str, ...]

    @property
    def embedders(self) -> tuple[str, ...]:
        return tuple(self.cells)

    @cached_property
    def pages(self) -> Mapping[str, str]:
        """Embedder or task label to the name of its page, without folder and ending."""
        return slugs(self.embedders) | slugs(task.label for task in self.tasks)

    @cached_property
    def groups(self) -> tuple[Table, ...]:
        """For every suite the table of its groups of tasks (granularity and modality), in the order of `suites`."""
        return tuple(by_group(suite, tasks, self.results_of(tasks)) for suite, tasks in self.suites)

    @cached_property
    def rivals(self) -> tuple[Rivals, ...]:
        """For every suite and each of its kinds of task the two best embedders above the rule, by score."""
        return tuple(
            tuple(_two_best(table, column) for column in range(len(kinds(tasks))))
            for (_, tasks), table in zip(self.suites, self.groups, strict=True)
        )

    @cached_property
    def scores(self) -> Mapping[str, list[float]]:
        """Task label to the scores above chance of all embedders on it, ascending."""
        found: dict[str, list[float]] = {task.label: [] for task in self.tasks}
        for of in self.standings.values():
            for label, standing in of.items():
                found[label].append(standing.above_chance)
        return {label: sorted(scores) for label, scores in found.items()}

    def on(self, task: Task) -> dict[str, Standing]:
        """The embedders measured on a task."""
        return {name: of[task.label] for name, of in self.standings.items() if task.label in of}

    def results_of(self, tasks: Sequence[Task]) -> list[Result]:
        """Every result of these tasks."""
        labels = {task.label for task in tasks}
        return [s.result for of in self.standings.values() for label, s in of.items() if label in labels]


def collect(
    found: Sequence[tuple[Path, Result]], own_tasks: Sequence[str] = (), own_suites: Sequence[str] = ()
) -> Collected:
    """From results and their files. Without names of tasks and suites, everything that ships is known.

    Raises UsageError if there is no whole result of a known task, DataError if results of one task differ in data or
    protocol, or an embedder has two.
    """
    everything = not own_tasks and not own_suites
    suites = [(s, tuple(tasks_of(s))) for s in map(load_suite, suite_files() if everything else own_suites)]
    known = {task.label: task for _, tasks in suites for task in tasks}
    names = {result.task for _, result in found}
    more = [name for name in [*task_files(), *varied_tasks()] if name in names] if everything else own_tasks
    known |= {task.label: task for task in map(load_task, more)}

    whole = {(r.embedder, str(r.record["task"]["label"])): (path, r) for path, r in found if not r.record["partial"]}
    labels = {label for _, label in whole}
    tasks = tuple(task for label, task in known.items() if label in labels)
    inside = {task.label for _, of in suites for task in of}
    if others := tuple(task for task in tasks if task.label not in inside):
        named = Suite(name="other-tasks", title="Other tasks", tasks=[task.name for task in others], aggregate=False)
        suites.append((named, others))
    every = Suite(name="site", tasks=[task.name for task in tasks] or ["none"])
    table = by_task(every, tasks, (result for _, result in found), interval=True)
    cells = {row.name: row.cells for row in table.rows[:-1]}  # the last row holds chance
    standings = {
        name: {
            task.label: Standing(result, path, cell)
            for task, cell in zip(tasks, of, strict=True)
            if cell.value is not None
            for path, result in [whole[name, task.label]]
        }
        for name, of in cells.items()
    }
    left_out = tuple(sorted(labels - set(known)))
    return Collected(tasks, _distinct(suites, labels), cells, standings, table.notes, left_out)


def kinds(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Tasks by granularity and modality, named and ordered as the columns of `by_group`."""
    held: dict[str, list[Task]] = {}
    for task in tasks:
        held.setdefault(f"{task.granularity} {arrow(task)}", []).append(task)
    return held


def slugs(names: Iterable[str]) -> dict[str, str]:
    """Names as file names that differ even where case does not count; a digest tells apart what would be equal."""
    out: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        slug = re.sub(r"[^A-Za-z0-9._+-]+", "-", name)[:80].strip(".-") or "x"
        if slug != name.replace("@", "-").replace(":", "-") or slug.lower() in taken:
            slug = f"{slug}-{content_digest(name)[:8]}"
        taken.add(slug.lower())
        out[name] = slug
    return out


def _two_best(table: Table, column: int) -> list[tuple[float, str]]:
    cells = [(row.cells[column].value, row.name) for row in table.rows if not row.below_rule]
    return sorted(((value, name) for value, name in cells if value is not None), reverse=True)[:2]


def _distinct(
    suites: Sequence[tuple[Suite, tuple[Task, ...]]], labels: set[str]
) -> tuple[tuple[Suite, tuple[Task, ...]], ...]:
    """The suites with results; of several with the same tasks measured, the smallest. Those with a mean come first, then the
    largest."""
    held: dict[frozenset[str], tuple[Suite, tuple[Task, ...]]] = {}
    for suite, tasks in suites:
        measured = frozenset(task.label for task in tasks) & labels
        if measured and (measured not in held or len(tasks) < len(held[measured][1])):
            held[measured] = (suite, tasks)
    order = sorted(held.items(), key=lambda entry: (not entry[1][0].aggregate, -len(entry[0])))
    return tuple(entry for _, entry in order)
