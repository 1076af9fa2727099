"""Which tables a leaderboard shows: from the name of a layout and folders of results to tables without a format."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from unite_bench.errors import UsageError
from unite_bench.published import Published, all_published, published_files
from unite_bench.report.ablation import ablation_table
from unite_bench.report.arrange import chosen
from unite_bench.report.badges import badges_table
from unite_bench.report.entries import Asked, Entry, measured, published
from unite_bench.report.instructions import instructions_table
from unite_bench.report.layout import Layout, by_group_layout, by_task_layout
from unite_bench.report.layout_file import layout_files, load_layout
from unite_bench.report.leaderboard import layout_table
from unite_bench.report.mean_intervals import mean_intervals
from unite_bench.report.modality_matrix import modality_matrix
from unite_bench.report.protocols import by_protocol, named_protocol
from unite_bench.report.significance import with_significance
from unite_bench.report.table import Table
from unite_bench.report.temporal import temporal_table
from unite_bench.results import Result, paths, read, roots
from unite_bench.spec.catalogue import load_suite, load_task, tasks_of
from unite_bench.spec.model import Suite, Task
from unite_bench.submissions import submissions

OF_SUITES = {"embedded": by_group_layout, "by-task": by_task_layout}
OF_RESULTS: dict[str, Callable[[Sequence[Result]], Table]] = {
    "temporal": temporal_table,
    "instructions": instructions_table,
}
TITLES = {
    "embedded": "a suite by granularity and modality, above chance",
    "by-task": "a suite by task, raw scores and chance",
    "modality-matrix": "query modality against candidate modality, above chance",
    "ablation": "a baseline and its variants (--variants FILE)",
    "temporal": "tasks over clips less their controls",
    "badges": "who measured, how complete the records are, who has made them again",
    "instructions": "scores over the wordings of instructions, and under wrong ones",
}
DEFAULT_SUITES = ("embedded-sanity", "embedded-scenes")


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line. Without suites and tasks, the embedded ones that have results."""

    layout: str = "embedded"
    folders: tuple[Path, ...] = ()
    committed: bool = False
    suites: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    per_task: bool = False
    intervals: bool = False
    against: str | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    variants: Path | None = None
    digits: int = 1

    @property
    def roots(self) -> tuple[Path, ...]:
        return () if self.published and not (self.folders or self.committed) else roots(self.folders, self.committed)


def layout_titles() -> dict[str, str]:
    """Every layout that has a name, with what it shows."""
    return TITLES | {name: load_layout(name).title for name in layout_files()}


def boards(wanted: Wanted) -> Iterator[Table]:
    """The tables, with the columns that were asked for, else those that are not optional; a set of them for each protocol.

    Raises UsageError for an unknown name, or where there is nothing to show.
    """
    is_file = wanted.layout.endswith((".yaml", ".yml"))
    names = [*TITLES, *layout_files()]
    if not is_file and wanted.layout not in names:
        near = difflib.get_close_matches(wanted.layout, names, n=1)
        hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"
        raise UsageError(f"unknown layout {wanted.layout!r}{hint}")
    found_at = list(paths(wanted.roots))
    found = list(map(read, found_at))
    if not found and not wanted.published:
        raise UsageError(f"no results in {', '.join(map(str, wanted.roots))}; `unite-bench run` writes them")
    if wanted.layout == "badges":
        yield badges_table(found_at)
        return
    if wanted.layout in OF_RESULTS:
        yield from _wherever_any(OF_RESULTS[wanted.layout], found)
        return
    everywhere = {result.record["task"]["label"] for result in found}
    for name in by_protocol(found) or {"": []}:
        own = [n for n, result in enumerate(found) if named_protocol(result) == name]
        yield from _of_protocol(wanted, is_file, [found[n] for n in own], [found_at[n] for n in own], everywhere)


def _wherever_any(build: Callable[[Sequence[Result]], Table], found: Sequence[Result]) -> list[Table]:
    """One table for each protocol that has something to table. Raises UsageError if none has."""
    tables, reasons = [], []
    for of in by_protocol(found).values():
        try:
            tables.append(build(of))
        except UsageError as reason:
            reasons.append(reason)
    if not tables:
        raise reasons[0]
    return tables


def _of_protocol(
    wanted: Wanted, is_file: bool, found: Sequence[Result], found_at: Sequence[Path], everywhere: AbstractSet[str]
) -> Iterator[Table]:
    """The tables of one protocol. What has results under another protocol alone (`everywhere` is the labels of all) is left
    out."""
    here = {result.record["task"]["label"] for result in found}

    def told_elsewhere(tasks: Iterable[Task | Asked]) -> bool:
        labels = {task.label for task in tasks}
        return not labels & here and bool(labels & everywhere)

    if is_file or wanted.layout in layout_files():
        layout = load_layout(wanted.layout)
        if not told_elsewhere(layout.tasks):
            yield _laid(wanted, layout.per_task() if wanted.per_task else layout, layout, found, found_at)
        return
    for suite, tasks in _suites(wanted, found):
        if told_elsewhere(tasks):
            continue
        if wanted.layout == "modality-matrix":
            yield modality_matrix(suite, tasks, found, wanted.digits)
        elif wanted.layout == "ablation":
            if wanted.variants is None:
                raise UsageError(
                    "an ablation needs --variants FILE: embedders with the parts that each has, baseline first"
                )
            yield ablation_table(wanted.variants, suite, tasks, found_at, digits=wanted.digits)
        else:
            layout = OF_SUITES[wanted.layout](suite, tasks)
            yield _laid(wanted, layout, layout, found, found_at)


def _laid(wanted: Wanted, layout: Layout, whole: Layout, found: Sequence[Result], found_at: Sequence[Path]) -> Table:
    """The table of a layout; `whole` is the layout before it was spread by task, whose means are those printed."""
    labels = {task.label for task in layout.tasks}
    ours = [result for result in found if result.record["task"]["label"] in labels]
    entries: list[Entry] = []
    if ours or not wanted.published:
        told = submissions(path.parent for path in found_at)
        entries += measured(layout.tasks, ours, told)
    if wanted.published:
        tasks = {task.name: task for task in whole.tasks}
        entries += published(_files(wanted.published), tasks, {} if wanted.per_task else whole.means)
        if not entries:
            raise UsageError(f"no score of layout {whole.name!r} in the results or in {', '.join(wanted.published)}")
    if wanted.rows:  # before any test, so that its family holds what is shown
        kept = (*wanted.rows, *(() if wanted.against is None else (wanted.against,)))
        entries = [entry for entry in entries if any(fnmatchcase(entry.name, pattern) for pattern in kept)]
    if not layout.turned:  # likewise; and the caption counts what is shown
        layout = _shown(layout, wanted.columns)
    of_means = None
    if wanted.intervals:
        files = {
            (result.embedder, str(result.record["task"]["label"])): path
            for result, path in zip(found, found_at, strict=True)
            if not result.record["partial"]
        }
        of_means = mean_intervals(layout, entries, files)
    table = layout_table(layout, entries, wanted.digits, wanted.intervals, of_means)
    if wanted.against is not None:
        table = with_significance(table, layout, found_at, wanted.against)
    return table.transposed() if layout.turned else table


def _shown(layout: Layout, columns: Sequence[str]) -> Layout:
    """The layout with the columns that were asked for, else with those that are not optional."""
    held = layout.columns
    asked = [n for n, column in enumerate(held) if not column.optional]
    if columns:
        asked = chosen(columns, [column.full_name for column in held], "column", [column.name for column in held])
    return replace(layout, columns=tuple(held[n] for n in asked))


def _suites(wanted: Wanted, found: Sequence[Result]) -> list[tuple[Suite, list[Task]]]:
    """The suites asked for with their tasks; the tasks asked for as one suite."""
    named = [(suite, tasks_of(suite)) for suite in map(load_suite, wanted.suites)]
    if wanted.tasks:
        chosen = Suite(name="tasks", title="Chosen tasks", tasks=list(wanted.tasks))
        named.append((chosen, [load_task(name) for name in wanted.tasks]))
    if named:
        return named
    there = {result.record["task"]["label"] for result in found}
    defaults = [(suite, tasks_of(suite)) for suite in map(load_suite, DEFAULT_SUITES)]
    return [(s, tasks) for s, tasks in defaults if any(task.label in there for task in tasks)]


def _files(names: Sequence[str]) -> list[Published]:
    held = {file.name: file for file in all_published()}
    for name in names:
        if name != "all" and name not in held:
            raise UsageError(f"no published scores {name!r}; there are {', '.join(published_files())}")
    return list(held.values()) if "all" in names else [held[name] for name in names]
