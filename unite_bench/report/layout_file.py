"""Layouts as YAML files: those that ship under `report/layouts`, and one's own."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from unite_bench.errors import UsageError
from unite_bench.report.entries import Asked
from unite_bench.report.layout import Column, Layout
from unite_bench.spec.catalogue import entries_of, load_entry, load_suite, suite_files
from unite_bench.spec.measures import parse_measure
from unite_bench.spec.model import NAME
from unite_bench.spec.reader import checked
from unite_bench.spec.source_kinds import Strict
from unite_bench.spec.yaml_reader import read as read_yaml

Measure = Annotated[str, AfterValidator(lambda text: str(parse_measure(text)))]


class ColumnFile(Strict):
    """A column in a file. `tasks` may name suites; `of` names columns of this layout (`CLS`) or another (`mmeb/CLS`).

    The mean over `of` is over all of their tasks, or with `columns_of` over the columns.
    """

    name: str
    tasks: list[str] = Field(default=[])
    of: list[str] = Field(default=[])
    columns_of: list[str] = Field(default=[])
    total_of: list[str] = Field(default=[], description="columns whose values are added, * for all before it")
    measure: Measure | None = None
    less: list[str] = Field(default=[], description="controls: the score less the better of them")
    optional: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> ColumnFile:
        if sum(map(bool, (self.tasks or self.of, self.columns_of, self.total_of))) != 1:
            raise ValueError("give tasks or of, or else columns_of, or else total_of")
        return self


class Group(Strict):
    """Columns under one head: written out, or one task (or suite) under several measures, by the name of the column."""

    head: str = ""
    columns: list[ColumnFile] = Field(default=[])
    task: str | None = None
    each: str | None = Field(default=None, description="suite: one column a task")
    measures: dict[str, Measure] = Field(default={})

    @model_validator(mode="after")
    def _not_empty(self) -> Group:
        if sum(given is not None for given in (self.columns or None, self.task, self.each)) != 1:
            raise ValueError("give one of columns, task and each")
        return self


class LayoutFile(Strict):
    """A layout as a file."""

    name: str = Field(pattern=NAME)
    title: str
    measures: dict[str, Measure] = Field(default={}, description="measures of every group that names a task")
    groups: Annotated[list[Group], Field(min_length=1)]
    apart: list[str] = Field(default=[], description="embedders that stand below the rule")
    turned: bool = Field(default=False, description="embedders as columns")
    corrected: bool = False


@lru_cache(maxsize=1)
def layout_files() -> dict[str, Path]:
    """Name to file of every layout that ships."""
    root = Path(str(files("unite_bench"))) / "report" / "layouts"
    return {path.stem: path for path in sorted(root.glob("*.yaml"))}


@lru_cache(maxsize=32)
def load_layout(name: str) -> Layout:
    """A layout by name, or by the path of a file. Raises UsageError with a suggestion, or SpecError."""
    if not name.endswith((".yaml", ".yml")) and name not in layout_files():
        near = difflib.get_close_matches(name, layout_files(), n=1)
        hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(layout_files())}"
        raise UsageError(f"unknown layout {name!r}{hint}")
    file = checked(LayoutFile, read_yaml(layout_files().get(name, Path(name))))
    columns: list[Column] = []
    for group in file.groups:
        columns += _columns(group, file, columns)
    names = [column.full_name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"layout {file.name}: two columns are named {name!r}")
    return Layout(file.name, file.title, tuple(columns), file.corrected, tuple(file.apart), file.turned)


def _columns(group: Group, file: LayoutFile, before: Sequence[Column]) -> Iterator[Column]:
    """The columns of a group; `before` are those of the groups before it."""
    measures: Mapping[str, str | None] = group.measures or file.measures or {"": None}
    if group.task is not None:
        for name, measure in measures.items():
            yield Column(name, group.head, tuple(_asked(group.task)), measure)
    elif group.each is not None:
        for task in _asked(group.each):
            for name, measure in measures.items():
                yield Column(f"{task.name} {name}".strip(), group.head, (task,), measure)
    held = list(before)
    for spec in group.columns:
        below = [task for name in spec.tasks for task in _asked(name)]
        below += [task for name in spec.of for task in _named(name, held, group.head, file.name).all_tasks]
        parts = [_named(name, held, group.head, file.name) for name in spec.columns_of]
        if spec.total_of:
            wanted = [_named(name, held, group.head, file.name) for name in spec.total_of if name != "*"]
            parts = [*wanted, *(held if "*" in spec.total_of else [])]
        column = Column(
            spec.name,
            group.head,
            tuple(dict.fromkeys(below)),
            spec.measure,
            tuple(parts),
            bool(spec.total_of),
            tuple(task for name in spec.less for task in _asked(name)),
            spec.optional,
        )
        held.append(column)
        yield column


def _asked(name: str) -> list[Asked]:
    """The tasks of a suite, or one task, by name."""
    if name in suite_files():
        return [Asked.of(entry) for entry in entries_of(load_suite(name))]
    return [Asked.of(load_entry(name))]


def _named(name: str, held: Sequence[Column], head: str, file: str) -> Column:
    """A column by name: of this group, of this layout, or of another (`mmeb/CLS`)."""
    if "/" in name:
        other, _, name = name.partition("/")
        held, head = load_layout(other).columns, ""
    found = {column.full_name: column for column in held}
    for full in (f"{head} {name}".strip(), name):
        if full in found:
            return found[full]
    raise UsageError(f"layout {file}: no column {name!r} before this one; there are {', '.join(found) or 'none'}")
