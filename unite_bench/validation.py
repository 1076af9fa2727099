"""Checking a task and its data before anything runs: schema, columns, ids, judgements and, if asked, every medium.

Imports no torch and downloads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unite_bench import media
from unite_bench.errors import DataError, MediaError, SpecError
from unite_bench.items import Item
from unite_bench.sources.build import TaskData, build
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task
from unite_bench.spec.yaml_reader import Path_, read


@dataclass(frozen=True)
class Report:
    """Every finding, each a line that says where; and one line about the data if there are none."""

    findings: tuple[str, ...]
    summary: str = ""


def validate(name: str, with_media: bool = False) -> Report:
    """Check a shipped task by name or a task file by path. Raises UsageError only for a name that is not known."""
    try:
        task = load_task(name)
    except SpecError as error:
        return Report(error.findings)
    try:
        data = build(task)
    except DataError as error:
        return Report(tuple(_placed(name, task, line) for line in str(error).splitlines()))
    findings = tuple(_unreadable(data)) if with_media else ()
    said = f"{len(data.queries)} queries, {len(data.candidates)} candidates, {data.qrels.indices.size} positives"
    return Report(findings, said + (f", {data.duplicates} duplicates merged" if data.duplicates else ""))


def _unreadable(data: TaskData) -> Iterator[str]:
    seen: set[str] = set()
    items: tuple[Item, ...] = (*data.queries, *data.candidates)
    for item in items:
        if item.digest not in seen:
            seen.add(item.digest)
            try:
                media.check(item)
            except MediaError as error:
                yield f"item {item.id!r}: {error}"


def _placed(name: str, task: Task, finding: str) -> str:
    """A finding about a column, with the place in the task file that names the column."""
    if "no column" not in finding or not name.endswith((".yaml", ".yml")):
        return finding
    column = finding.split("no column '")[1].split("'")[0]
    document = read(Path(name))

    def places(data: object, path: Path_) -> Iterator[Path_]:
        if isinstance(data, dict):
            for key, value in data.items():
                yield from places(value, (*path, key))
        elif isinstance(data, list):
            for number, value in enumerate(data):
                yield from places(value, (*path, number))
        elif data == column:
            yield path

    found = next(places(document.data, ()), ())
    return f"{document.at(found)}: {finding}"
