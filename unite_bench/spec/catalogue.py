"""The shipped tasks and suites, found by name; and names given by a user resolved to either, or to a file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path

from unite_bench.errors import UsageError
from unite_bench.spec.model import PlannedTask, Suite, Task
from unite_bench.spec.reader import read_entry, read_suite, read_task
from unite_bench.spec.yaml_reader import read


def tasks_root() -> Path:
    """The folder of shipped task files, in a checkout and in an installed wheel alike."""
    return Path(str(files("unite_bench"))) / "tasks"


@lru_cache(maxsize=1)
def task_files() -> dict[str, Path]:
    """Name to file of every shipped task; a file is named after its task."""
    return {p.stem: p for p in sorted(tasks_root().rglob("*.yaml")) if p.parent.name != "suites"}


@lru_cache(maxsize=1)
def suite_files() -> dict[str, Path]:
    """Name to file of every shipped suite."""
    return {p.stem: p for p in sorted((tasks_root() / "suites").glob("*.yaml"))}


@lru_cache(maxsize=1)
def varied_tasks() -> dict[str, Task]:
    """Name to task of what the shipped suites draw again under names of their own."""
    varied = [suite for suite in map(load_suite, suite_files()) if suite.variant is not None]
    return {task.name: task for suite in varied for task in tasks_of(suite) if task.name not in task_files()}


def load_task(name: str) -> Task:
    """A shipped task by name, or a task file by path. Raises UsageError with a suggestion, or SpecError."""
    entry = load_entry(name)
    return (
        entry if isinstance(entry, Task) else read_task(task_files().get(name, Path(name)))
    )  # which says what is missing


def load_entry(name: str) -> Task | PlannedTask:
    """Like `load_task`, but a task that is incomplete is given as such."""
    if name.endswith((".yaml", ".yml")):
        return read_entry(Path(name))
    if name in task_files():
        return _shipped(name)
    if name in varied_tasks():
        return varied_tasks()[name]
    raise UsageError(_unknown("task", name, [*task_files(), *varied_tasks()]))


@cache
def _shipped(name: str) -> Task | PlannedTask:
    """Suites name the same tasks many times over; their files do not change while we run."""
    return read_entry(task_files()[name])


def load_suite(name: str) -> Suite:
    """A shipped suite by name, or a suite file by path; task and suite files it names lie beside it."""
    if name.endswith((".yaml", ".yml")):
        suite, folder = read_suite(Path(name)), Path(name).parent

        def beside(names: list[str]) -> list[str]:
            return [str(folder / name) if name.endswith((".yaml", ".yml")) else name for name in names]

        return suite.model_copy(update={"tasks": beside(suite.tasks), "suites": beside(suite.suites)})
    found = suite_files().get(name)
    if found is None:
        raise UsageError(_unknown("suite", name, suite_files()))
    return read_suite(found)


def tasks_of(suite: Suite) -> list[Task]:
    """All complete tasks of a suite and of the suites it names, each once, in order. Raises UsageError on a cycle."""
    return [entry for entry in entries_of(suite) if isinstance(entry, Task)]


def entries_named(name: str) -> list[Task | PlannedTask]:
    """The entries of a suite, or one task, by name or file; a file that has no `queries` is a suite's.

    Raises UsageError for one task that is incomplete.
    """
    is_file = name.endswith((".yaml", ".yml"))
    if name in suite_files() or (is_file and "queries" not in read(Path(name)).data):
        return entries_of(load_suite(name))
    return [load_task(name)]


def tasks_named(name: str) -> list[Task]:
    """Those of `entries_named` that are complete."""
    return [entry for entry in entries_named(name) if isinstance(entry, Task)]


def entries_of(suite: Suite) -> list[Task | PlannedTask]:
    """Like `tasks_of`, with the incomplete ones in their places."""

    def visit(current: Suite, above: tuple[str, ...]) -> Iterator[Task | PlannedTask]:
        if current.name in above:
            raise UsageError(f"suite {current.name!r} contains itself: {' > '.join((*above, current.name))}")
        inner = [task for name in current.suites for task in visit(load_suite(name), (*above, current.name))]
        for entry in [*map(load_entry, current.tasks), *inner]:
            if current.variant is not None and isinstance(entry, Task):
                yield current.variant.of(entry)
            else:
                yield entry

    return list({entry.name: entry for entry in visit(suite, ())}.values())


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f", did you mean {near[0]!r}?" if near else "."
    return f"unknown {what} {name!r}{hint} `unite-bench list {what}s` shows all; a file is given by its path ending in .yaml"
