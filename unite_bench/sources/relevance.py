"""Who is relevant to whom, and who competes: judgements and pools as positions, with everything wrong about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unite_bench.errors import DataError
from unite_bench.items import Item
from unite_bench.ragged import Ragged
from unite_bench.sources.judgements import Judgements, read_grade, read_qrels
from unite_bench.sources.opening import source_judgements
from unite_bench.sources.tables import Table
from unite_bench.spec.model import Column, PerQuery, QrelsFile, Task


def judgements_of(
    task: Task, queries: Sequence[Item], table: Table, rows: Sequence[Item], findings: list[str]
) -> Judgements:
    if task.qrels == "by-row":
        if len(queries) != len(rows):
            findings.append(f"{table.name}: qrels by-row, but {len(queries)} queries and {len(rows)} candidates")
        return {query.id: {row.id: 1.0} for query, row in zip(queries, rows, strict=False)}
    if task.qrels == "source":
        return source_judgements(task)
    if isinstance(task.qrels, QrelsFile):
        return read_qrels(task.folder / task.qrels.file)
    assert isinstance(task.qrels, Column)
    judged: Judgements = {}
    for number, query in enumerate(queries):
        try:
            judged[query.id] = _grades(table.rows[number][task.qrels.column])
        except DataError as error:
            findings.append(f"{table.where(number)}: {error}")
    return judged


def _grades(cell: Any) -> dict[str, float]:
    """One id, a list of ids, or a mapping from id to grade; grades of 0 or less are not relevant."""
    if isinstance(cell, Mapping):
        grades = {str(key): read_grade(grade) for key, grade in cell.items()}
        return {key: grade for key, grade in grades.items() if grade > 0}
    return {str(key): 1.0 for key in (cell if isinstance(cell, list) else [cell])}


def qrels_of(
    queries: Sequence[Item], table: Table, judged: Judgements, position: Mapping[str, int], findings: list[str]
) -> Ragged:
    rows: list[list[int]] = []
    grades: list[list[float]] = []
    known = {query.id for query in queries}
    findings += [f"qrels name query {q!r}, which does not exist" for q in judged if q not in known]
    for number, query in enumerate(queries):
        best: dict[int, float] = {}
        for candidate, grade in judged.get(query.id, {}).items():
            if candidate not in position:
                findings.append(f"{table.where(number)}: qrels point at candidate {candidate!r}, which does not exist")
                continue
            best[position[candidate]] = max(grade, best.get(position[candidate], 0.0))
        if not judged.get(query.id):
            findings.append(f"{table.where(number)}: query {query.id!r} has no positive; drop the row or judge it")
        rows.append(list(best))
        grades.append(list(best.values()))
    return Ragged.of(rows, grades)


def pools_of(task: Task, table: Table, position: Mapping[str, int], findings: list[str]) -> Ragged | None:
    if not isinstance(task.pool, PerQuery):
        return None
    rows: list[list[int]] = []
    for number, row in enumerate(table.rows):
        cell = row[task.pool.per_query]
        ids = [str(i) for i in cell] if isinstance(cell, list) else [str(cell)]
        lost = [i for i in ids if i not in position]
        findings += [f"{table.where(number)}: the pool names candidate {i!r}, which does not exist" for i in lost]
        rows.append(sorted({position[i] for i in ids if i in position}))
    return Ragged.of(rows)


def check_positives_in_pool(qrels: Ragged, pools: Ragged | None, queries: Sequence[Item], findings: list[str]) -> None:
    if pools is None:
        return
    for number, query in enumerate(queries):
        lost = set(qrels[number].tolist()) - set(pools[number].tolist())
        if lost:
            findings.append(f"query {query.id!r}: {len(lost)} of its positives are not in its pool")


def check_whole_quartets(task: Task, table: Table, qrels: Ragged, pools: Ragged | None, findings: list[str]) -> None:
    """A quartet is two queries that share a pool of two candidates, one of them positive for each, not the same."""
    if task.quartets is None or pools is None:
        return
    members: dict[str, list[int]] = {}
    for number, row in enumerate(table.rows):
        members.setdefault(str(row[task.quartets.column]), []).append(number)
    for name, rows in members.items():
        shared = {tuple(pools[n].tolist()) for n in rows}
        positives = {tuple(qrels[n].tolist()) for n in rows}
        if len(rows) != 2 or len(shared) != 1 or len(next(iter(shared))) != 2 or {len(p) for p in positives} != {1}:
            findings.append(
                f"{table.where(rows[0])}: quartet {name!r} is not two queries with one pool of two candidates"
            )
        elif len(positives) != 2:
            findings.append(f"{table.where(rows[0])}: both queries of quartet {name!r} have the same positive")
