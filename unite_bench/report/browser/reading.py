"""What the error browser reads: one result, or two of one task, with their rows and the data that they were measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError, UsageError
from unite_bench.items import Item
from unite_bench.ragged import Ragged
from unite_bench.report.pairing import pair_of
from unite_bench.results import Result, paths, read, read_rows
from unite_bench.sources.build import TaskData, build
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task

Row = Mapping[str, Any]
Rows = Sequence[Row]


class TablesGone(DataError):
    """The tables of a task, or media that they are made of, can no longer be read."""


@dataclass(frozen=True)
class Reading:
    """One or two results of a task over the same queries, one sequence of rows a result, and the task's data.

    `queries` and `candidates` give the position in the data of every id. `unchecked` says why the data could not be held
    against the digest in the record, or is empty.
    """

    results: tuple[Result, ...]
    rows: tuple[Rows, ...]
    task: Task
    data: TaskData
    queries: Mapping[str, int]
    candidates: Mapping[str, int]
    unchecked: str

    @property
    def names(self) -> list[str]:
        """The embedders; two of one name, such as checkpoints of one model, are told apart by their fingerprints."""
        names = [result.embedder for result in self.results]
        if len(set(names)) == len(names):
            return names
        return [f"{result.embedder} ({result.record['embedder']['fingerprint'][:6]})" for result in self.results]

    def items(self, row: Row) -> tuple[Item, list[Item], list[Item]]:
        """What a row names: the query, all its positives and its first candidates."""
        n, data = self.queries[row["query"]], self.data
        positives = [data.candidates[at] for at in data.qrels[n]]
        return data.queries[n], positives, [data.candidates[self.candidates[c]] for c in row["first"]]


def find(given: Sequence[str], task: Task | None, folders: Sequence[Path]) -> list[Path]:
    """The JSON of each result: given as such, or as the name of an embedder, whose whole result on `task` is taken.

    Raises UsageError if there is no such result, DataError if there are several.
    """
    return [_file(name) if name.endswith(".json") else _of_embedder(name, task, folders) for name in given]


def open_results(chosen: Sequence[Path], task: Task | None = None) -> Reading:
    """Read one or two results, and build the data of their task: the shipped one of that name unless it is given.

    Raises UsageError for another number of results or an unknown task, DataError if two results cannot be compared, or if
    the task or its data are no longer those of the record. Data that can no longer be read are no error.
    """
    if len(chosen) not in (1, 2):
        raise UsageError(f"name one result, or two to read side by side; these are {len(chosen)}")
    results = [read(path) for path in chosen]
    if len(results) == 2:
        labels = list(dict.fromkeys(str(result.record["task"]["label"]) for result in results))
        if len(labels) > 1:
            raise UsageError(f"two results are read side by side on one task; these are of {' and '.join(labels)}")
        names = [result.embedder for result in results]
        rows = pair_of(labels[0], names, list(zip(chosen, results, strict=True))).rows
    else:
        rows = (read_rows(chosen[0]),)
    task = task or _shipped(results[0])
    _same_version(task, results[0])
    try:
        data = _data(task, results[0])
        unchecked = _unchecked(data, results[0])
    except TablesGone as error:
        data = _ids_alone(rows)
        unchecked = f"The task's data can no longer be read, so ids and ranks are all that is shown. {error}"
    reading = Reading(
        tuple(results),
        rows,
        task,
        data,
        {query.id: n for n, query in enumerate(data.queries)},
        {candidate.id: n for n, candidate in enumerate(data.candidates)},
        unchecked,
    )
    _check_ids(reading)
    return reading


def _file(name: str) -> Path:
    if not Path(name).is_file():
        raise UsageError(
            f"no file {name}; `unite-bench run` writes results to unite-bench-results, a folder an embedder"
        )
    return Path(name)


def _of_embedder(name: str, task: Task | None, folders: Sequence[Path]) -> Path:
    if task is None:
        raise UsageError(f"{name!r} is no path of a result (.json); to name an embedder, say --task as well")
    found = {path: read(path) for path in paths(folders)}
    own = [path for path, r in found.items() if (r.embedder, r.record["task"]["label"]) == (name, task.label)]
    if not own:
        known = sorted({r.embedder for r in found.values() if r.record["task"]["label"] == task.label})
        raise UsageError(f"no result of {name!r} on {task.label}; there are some of {', '.join(known) or 'nobody'}")
    if len(own) > 1:
        raise DataError(f"{name} has several results on {task.label}; give the path of one: {', '.join(map(str, own))}")
    return own[0]


def _shipped(result: Result) -> Task:
    try:
        return load_task(result.task)
    except UsageError as error:
        raise UsageError(f"{error}. Of a task of your own, give the file with --task") from error


def _same_version(task: Task, result: Result) -> None:
    label = result.record["task"]["label"]
    if task.label != label:
        raise DataError(
            f"the result is of {label}, the task file of {task.label}; run the task again, or give its file"
        )


def _data(task: Task, result: Result) -> TaskData:
    """The task's data as the result was measured on them. Raises TablesGone if they cannot be built at all."""
    try:
        data = build(task, skip_broken=True)
    except DataError as error:
        raise TablesGone(str(error)) from error
    limit = result.record["protocol"]["limit"]
    return data if limit is None else data.head(limit)


def _ids_alone(rows: Sequence[Rows]) -> TaskData:
    """Data that hold the ids of the rows and nothing else."""
    queries = [str(row["query"]) for row in rows[0]]
    positives = [sorted({c for of in rows for c in of[n]["positives"]}) for n in range(len(queries))]
    shown = {c for of in rows for row in of for c in (*row["first"], *row["positives"])}
    places = {c: n for n, c in enumerate(sorted(shown))}
    return TaskData(
        queries=tuple(Item((), id=query) for query in queries),
        candidates=tuple(Item((), id=candidate) for candidate in places),
        qrels=Ragged.of([[places[c] for c in of] for of in positives]),
        pools=None,
        excluded=Ragged.of([[] for _ in queries]),
        target_modality=None,
        quartets=None,
        slices={},
        clusters=None,
        duplicates=0,
        broken={},
        digest="",
    )


def _unchecked(data: TaskData, result: Result) -> str:
    """Why the data may differ from the record's, or "". Raises DataError if they do and nothing is missing."""
    recorded = result.record["data"]["digest"]
    if data.digest == recorded:
        return ""
    if not data.broken:
        raise DataError(
            f"the data of {result.task} are no longer those of the result (digest {data.digest[:12]}, recorded "
            f"{recorded[:12]}); put the data back, or run the task again"
        )
    gone = f"{len(data.broken)} item{'s' if len(data.broken) > 1 else ''} can no longer be opened"
    first = next(iter(data.broken.values()))
    return f"{gone}, so the data could not be held against the digest in the record. The first: {first}"


def _check_ids(reading: Reading) -> None:
    for rows in reading.rows:
        for row in rows:
            unknown = [row["query"]] if row["query"] not in reading.queries else []
            unknown += [c for c in (*row["positives"], *row["first"]) if c not in reading.candidates]
            if unknown:
                raise DataError(
                    f"the data of {reading.task.label} no longer hold {unknown[0]!r}, which the result names; put the data "
                    "back, or run the task again"
                )
