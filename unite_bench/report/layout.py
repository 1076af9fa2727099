"""What a table shows, apart from whose scores: columns with their tasks and measures, as papers print them.

A layout is read from a file (`layout_file`), or made from the tasks of a suite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from unite_bench.report.entries import Asked
from unite_bench.spec.model import Side, Suite, Task

LETTERS = {"text": "T", "image": "I", "video": "V"}


@dataclass(frozen=True)
class Column:
    """One column: the mean over `tasks`, or over the columns `of`, or their `total`.

    `measure` is None for each task's primary. `less` are controls: the score less the better of them is shown.
    `optional` columns are shown only if asked for by name.
    """

    name: str
    head: str = ""
    tasks: tuple[Asked, ...] = ()
    measure: str | None = None
    of: tuple[Column, ...] = ()
    total: bool = False
    less: tuple[Asked, ...] = ()
    optional: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.head} {self.name}".strip()

    @cached_property
    def all_tasks(self) -> tuple[Asked, ...]:
        """The tasks below this column, each once."""
        return tuple(dict.fromkeys((*self.tasks, *(task for column in self.of for task in column.all_tasks))))

    def measure_of(self, task: Asked) -> str:
        return self.measure or task.primary

    @cached_property
    def shares(self) -> dict[tuple[Asked, str], float]:
        """How much of each task's measure is in the mean or total of this column, controls left out."""
        share = 1.0 if self.total else 1.0 / (len(self.tasks) + len(self.of))
        found: dict[tuple[Asked, str], float] = {}
        for key, own in chain(
            (((task, self.measure_of(task)), 1.0) for task in self.tasks),
            *(part.shares.items() for part in self.of),
        ):
            found[key] = found.get(key, 0.0) + share * own
        return found

    @cached_property
    def controlled(self) -> bool:
        """Whether controls are taken away, here or below."""
        return bool(self.less) or any(part.controlled for part in self.of)


@dataclass(frozen=True)
class Layout:
    """Columns in order. Scores are raw, or `corrected` for chance: (score - chance) / (1 - chance).

    `apart` names embedders that stand below the rule; with `turned`, embedders stand as columns; `chance` adds a row of it.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    corrected: bool = False
    apart: tuple[str, ...] = ()
    turned: bool = False
    chance: bool = False

    @cached_property
    def tasks(self) -> tuple[Asked, ...]:
        """The tasks of all columns, controls too, each once."""
        below = (task for column in self.columns for task in (*column.all_tasks, *column.less))
        return tuple(dict.fromkeys(below))

    @property
    def means(self) -> dict[str, tuple[Asked, ...]]:
        """The name by which published means belong to a column (`mmeb/CLS`) to the tasks of that column."""
        return {f"{self.name}/{column.full_name}": column.all_tasks for column in self.columns}

    def per_task(self) -> Layout:
        """One column a task: the appendix of this table."""
        spread: dict[tuple[Asked, str | None], Column] = {}
        for column in self.columns:
            for task in column.tasks:
                head = column.full_name if len(column.tasks) > 1 else column.head
                spread.setdefault((task, column.measure), replace(column, name=task.name, head=head, tasks=(task,)))
        return replace(self, title=f"{self.title}, by task", columns=tuple(spread.values()), chance=True)


def by_group_layout(suite: Suite, tasks: Sequence[Task]) -> Layout:
    """A suite by granularity and modality, corrected for chance; where the suite's tasks may be averaged, with the mean over
    granularities of the means over their tasks."""
    groups: dict[str, list[Asked]] = {}
    grains: dict[str, list[Asked]] = {}
    for task in tasks:
        asked = Asked.of(task)
        groups.setdefault(f"{task.granularity} {arrow(task)}", []).append(asked)
        grains.setdefault(task.granularity, []).append(asked)
    columns = [Column(name, tasks=tuple(of)) for name, of in groups.items()]
    if suite.aggregate:
        columns.append(Column("mean", of=tuple(Column(name, tasks=tuple(of)) for name, of in grains.items())))
    what = "mean of (score - chance) / (1 - chance) of each task's primary measure, in percent"
    return Layout(suite.name, f"{suite.title or suite.name}: {what}", tuple(columns), corrected=True)


def by_task_layout(suite: Suite, tasks: Sequence[Task]) -> Layout:
    """One column a task, raw scores, and chance as a row."""
    columns = tuple(Column(f"{task.name} {task.primary}", tasks=(Asked.of(task),)) for task in tasks)
    return Layout(
        suite.name, f"{suite.title or suite.name}: primary measure of each task, in percent", columns, chance=True
    )


def arrow(task: Task) -> str:
    """The modalities of a task as papers write them: T→I, I+T→T, T→any for a mixed pool."""
    return "→".join(forms(task))


def forms(task: Task) -> tuple[str, str]:
    """What a task asks with and what it asks for, in letters: `I+T`, or `any` for a mixed side."""

    def letters(sides: Sequence[Side]) -> str:
        named = {side.modality for side in sides}
        only = named.pop() if len(named) == 1 else None
        return "+".join(LETTERS[kind] for kind in only.split("+")) if isinstance(only, str) else "any"

    return letters([task.queries]), letters(task.corpora)
