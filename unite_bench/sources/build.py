"""From a task and its tables to what is measured: items, judgements, pools. The last stop before encoding."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError
from unite_bench.items import (
    Blob,
    ClipProgram,
    File,
    Image,
    Item,
    Part,
    Role,
    StillProgram,
    Text,
    Video,
    content_digest,
    modality,
)
from unite_bench.ragged import Ragged
from unite_bench.sources.judgements import Judgements, read_grade, read_qrels
from unite_bench.sources.opening import media_folder, open_side, qrels_file
from unite_bench.sources.tables import Table
from unite_bench.spec.model import Column, PerQuery, QrelsFile, Side, Task

MAX_FINDINGS = 20


@dataclass(frozen=True)
class TaskData:
    """Everything a task measures: `qrels`, `pools` and `excluded` hold positions in `candidates`, one row a query.

    `broken` names the rows (by role and id) that could not be made into an item, with the reason; such an item has no
    parts. It is empty unless `build` was told to skip them.
    """

    queries: tuple[Item, ...]
    candidates: tuple[Item, ...]
    qrels: Ragged
    pools: Ragged | None
    excluded: Ragged
    target_modality: tuple[str, ...] | None
    quartets: tuple[str, ...] | None
    slices: Mapping[str, tuple[str, ...]]
    clusters: tuple[str, ...] | None
    duplicates: int
    broken: Mapping[tuple[Role, str], str]
    digest: str

    def broken_of(self, role: Role) -> dict[str, str]:
        """Reason by id of the broken rows of one side."""
        return {identity: reason for (side, identity), reason in self.broken.items() if side == role}

    def head(self, queries: int) -> TaskData:
        """The same data with only the first `queries` queries; the pool stays whole."""
        n = min(queries, len(self.queries))
        kept = {query.id for query in self.queries[:n]}
        return TaskData(
            queries=self.queries[:n],
            candidates=self.candidates,
            qrels=self.qrels.head(n),
            pools=self.pools.head(n) if self.pools else None,
            excluded=self.excluded.head(n),
            target_modality=self.target_modality[:n] if self.target_modality else None,
            quartets=self.quartets[:n] if self.quartets else None,
            slices={name: values[:n] for name, values in self.slices.items()},
            clusters=self.clusters[:n] if self.clusters else None,
            duplicates=self.duplicates,
            broken={k: v for k, v in self.broken.items() if k[0] == "candidate" or k[1] in kept},
            digest=content_digest(self.digest, f"first {n} queries"),
        )


def build(task: Task, skip_broken: bool = False) -> TaskData:
    """Read the task's tables and check them.

    With `skip_broken`, a row without its text or medium is kept as an item without parts, to be counted as failed;
    a fault in the structure (columns, ids, judgements) is an error all the same.
    Raises DataError with all findings (up to MAX_FINDINGS), one a line.
    """
    query_table = open_side(task, task.queries, "queries")
    corpora = [(side, open_side(task, side, "candidates")) for side in task.corpora]
    findings = list(_missing_columns(task, query_table, corpora))
    _raise_if(findings)
    findings = list(_missing_cells(task, query_table, corpora))
    _raise_if(findings)

    broken: dict[tuple[Role, str], str] = {}
    queries = _items(task, task.queries, query_table, "query", broken)
    _unique([q.id for q in queries], query_table, findings)
    rows: list[Item] = []
    for side, table in corpora:
        part = _items(task, side, table, "candidate", broken)
        _unique([c.id for c in part], table, findings, already={c.id for c in rows})
        rows += part
    findings += [] if skip_broken else broken.values()
    _raise_if(findings)

    judged = _judgements(task, queries, query_table, rows, findings)
    merged, position = _merge(rows, task.duplicates == "merge")
    qrels = _qrels(queries, query_table, judged, position, findings)
    pools = _pools(task, query_table, position, findings)
    _raise_if(findings)
    _positives_in_pool(qrels, pools, queries, findings)
    _whole_quartets(task, query_table, qrels, pools, findings)
    _raise_if(findings)
    return TaskData(
        queries=tuple(queries),
        candidates=tuple(merged),
        qrels=qrels,
        pools=pools,
        excluded=_excluded(task, queries, merged, qrels, pools),
        target_modality=_target(task, query_table),
        quartets=tuple(str(row[task.quartets.column]) for row in query_table.rows) if task.quartets else None,
        slices={name: tuple(str(row.get(name)) for row in query_table.rows) for name in task.slices},
        clusters=tuple(str(row[task.clusters]) for row in query_table.rows) if task.clusters else None,
        duplicates=len(rows) - len(merged),
        broken=broken,
        digest=_digest(task, query_table, queries, merged, qrels, pools),
    )


def _raise_if(findings: Sequence[str]) -> None:
    if findings:
        more = [f"... and {len(findings) - MAX_FINDINGS} more"] if len(findings) > MAX_FINDINGS else []
        raise DataError("\n".join([*findings[:MAX_FINDINGS], *more]))


def _missing_columns(task: Task, queries: Table, corpora: Sequence[tuple[Side, Table]]) -> Iterable[str]:
    wanted = list(task.queries.columns) + list(task.slices) + ([task.clusters] if task.clusters else [])
    wanted += [task.qrels.column] if isinstance(task.qrels, Column) else []
    wanted += [task.pool.per_query] if isinstance(task.pool, PerQuery) else []
    wanted += [c.column for c in (task.target_modality, task.quartets) if c is not None]
    for columns, table in [(wanted, queries), *((side.columns, table) for side, table in corpora)]:
        for column in dict.fromkeys(columns):
            if column not in table.columns:
                near = difflib.get_close_matches(column, table.columns, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(table.columns)}"
                yield f"{table.name}: no column {column!r}; {hint}"


def _missing_cells(task: Task, queries: Table, corpora: Sequence[tuple[Side, Table]]) -> Iterable[str]:
    """Structure must be whole in every row; a missing text or medium is the row's own fault and found later."""
    needed = [c.column for c in (task.target_modality, task.quartets) if c is not None]
    needed += [task.clusters] if task.clusters else []
    needed += [task.qrels.column] if isinstance(task.qrels, Column) else []
    needed += [task.pool.per_query] if isinstance(task.pool, PerQuery) else []
    for side, wanted, table in [(task.queries, needed, queries), *((side, [], table) for side, table in corpora)]:
        columns = wanted + ([side.id] if side.id else [])
        columns += [side.modality.column] if isinstance(side.modality, Column) else []
        if not table.rows:
            yield f"{table.name}: has no rows"
        for number, row in enumerate(table.rows):
            for column in columns:
                if row.get(column) is None:
                    yield f"{table.where(number)}: column {column!r} is empty in this row"


def _items(task: Task, side: Side, table: Table, role: Role, broken: dict[tuple[Role, str], str]) -> list[Item]:
    folder = media_folder(task, side)
    items = []
    for number, row in enumerate(table.rows):
        identity = str(row[side.id]) if side.id else str(number)
        try:
            items.append(_item(side, row, identity, folder))
        except DataError as error:
            broken[role, identity] = f"{table.where(number)}: {error}"
            items.append(Item((), id=identity))
    return items


def _item(side: Side, row: Mapping[str, Any], identity: str, folder: Path) -> Item:
    """One row as an item: parts in the order image, video, text."""
    declared = str(row[side.modality.column]) if isinstance(side.modality, Column) else side.modality
    parts: list[Part] = []
    if side.image is not None and "image" in declared:
        parts.append(Image(_still(row.get(side.image), side.image, folder)))
    if side.video is not None and "video" in declared:
        start, end = (_seconds(row, column) for column in (side.start, side.end))
        parts.append(Video(_clip(row.get(side.video), side.video, folder), start, end, side.frame_policy))
    if side.text is not None and "text" in declared:
        parts.append(Text(_string(row.get(side.text), side.text)))
    found = modality(part.kind for part in parts)
    if found != modality(declared.split("+")):
        raise DataError(f"the row declares modality {declared!r} but its columns give {found or 'nothing'!r}")
    instruction = side.instruction
    if isinstance(instruction, Column):
        instruction = _string(row.get(instruction.column), instruction.column)
    return Item(tuple(parts), instruction, identity)


def _string(cell: Any, column: str) -> str:
    if not isinstance(cell, str) or not cell.strip():
        raise DataError(f"column {column!r}: expected a text that is not empty, found {reprlib.repr(cell)}")
    try:
        cell.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"column {column!r}: the text is not valid Unicode ({error.reason})") from error
    return cell


def _seconds(row: Mapping[str, Any], column: str | None) -> float | None:
    cell = row.get(column) if column else None
    if cell is None:
        return None
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise DataError(f"column {column!r}: expected seconds, found {cell!r}") from error


def _medium(cell: Any, column: str, folder: Path) -> File | Blob:
    """A path relative to the table, bytes, or the {bytes, path} that Parquet files of media carry."""
    if isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes):
        return Blob(cell["bytes"], str(cell.get("path") or column))
    if isinstance(cell, bytes):
        return Blob(cell, column)
    path = folder / _string(cell, column)
    if not path.is_file():
        raise DataError(f"column {column!r}: no file {path}")
    return File(path)


def _still(cell: Any, column: str, folder: Path) -> File | Blob | StillProgram:
    return cell if isinstance(cell, StillProgram) else _medium(cell, column, folder)


def _clip(cell: Any, column: str, folder: Path) -> File | Blob | ClipProgram:
    return cell if isinstance(cell, ClipProgram) else _medium(cell, column, folder)


def _unique(ids: Sequence[str], table: Table, findings: list[str], already: Iterable[str] = ()) -> None:
    seen = set(already)
    for number, identity in enumerate(ids):
        if identity in seen:
            findings.append(f"{table.where(number)}: id {identity!r} stands a second time; ids are unique in a pool")
        seen.add(identity)


def _judgements(
    task: Task, queries: Sequence[Item], table: Table, rows: Sequence[Item], findings: list[str]
) -> Judgements:
    if task.qrels == "by-row":
        if len(queries) != len(rows):
            findings.append(f"{table.name}: qrels by-row, but {len(queries)} queries and {len(rows)} candidates")
        return {query.id: {row.id: 1.0} for query, row in zip(queries, rows, strict=False)}
    if task.qrels == "source":
        return read_qrels(qrels_file(task))
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


def _merge(rows: Sequence[Item], merge: bool) -> tuple[list[Item], dict[str, int]]:
    """Candidates with equal content become one (the first); `position` says where every id went."""
    kept: list[Item] = []
    by_content: dict[str, int] = {}
    position: dict[str, int] = {}
    for row in rows:
        key = content_digest(row.content, row.instruction or "") if merge and row.parts else f"id {row.id}"
        if key not in by_content:
            by_content[key] = len(kept)
            kept.append(row)
        position[row.id] = by_content[key]
    return kept, position


def _qrels(
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


def _pools(task: Task, table: Table, position: Mapping[str, int], findings: list[str]) -> Ragged | None:
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


def _positives_in_pool(qrels: Ragged, pools: Ragged | None, queries: Sequence[Item], findings: list[str]) -> None:
    if pools is None:
        return
    for number, query in enumerate(queries):
        lost = set(qrels[number].tolist()) - set(pools[number].tolist())
        if lost:
            findings.append(f"query {query.id!r}: {len(lost)} of its positives are not in its pool")


def _whole_quartets(task: Task, table: Table, qrels: Ragged, pools: Ragged | None, findings: list[str]) -> None:
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


def _excluded(
    task: Task, queries: Sequence[Item], candidates: Sequence[Item], qrels: Ragged, pools: Ragged | None
) -> Ragged:
    """With `exclude_self`, the candidates of a query's pool whose content equals its own and that are not positive."""
    if not task.exclude_self:
        return Ragged.of([[] for _ in queries])
    by_content: dict[str, list[int]] = {}
    for at, candidate in enumerate(candidates):
        by_content.setdefault(candidate.content, []).append(at)
    twins = [set(by_content.get(q.content, [])) - set(qrels[i].tolist()) for i, q in enumerate(queries)]
    return Ragged.of([sorted(t if pools is None else t & set(pools[i].tolist())) for i, t in enumerate(twins)])


def _target(task: Task, table: Table) -> tuple[str, ...] | None:
    if task.target_modality is None:
        return None
    return tuple(modality(str(row[task.target_modality.column]).split("+")) for row in table.rows)


def _digest(
    task: Task,
    table: Table,
    queries: Sequence[Item],
    candidates: Sequence[Item],
    qrels: Ragged,
    pools: Ragged | None,
) -> str:
    """Digest of whatever decides a figure: no id and no order of rows changes it, a cluster or a target form does."""
    columns = [c.column for c in (task.target_modality, task.quartets) if c is not None]
    columns += [*task.slices, *([task.clusters] if task.clusters else [])]
    content = [content_digest(c.content, c.instruction or "") for c in candidates]
    asked = []
    for number, query in enumerate(queries):
        judged = sorted(
            f"{content[i]}={g!r}" for i, g in zip(qrels[number], qrels.values_of(number).tolist(), strict=True)
        )
        pool = sorted(content[i] for i in pools[number]) if pools else []
        cells = [f"{column}={table.rows[number].get(column)}" for column in columns]
        asked.append(content_digest(query.content, query.instruction or "", *judged, "pool", *pool, *cells))
    return content_digest("data", *sorted(asked), "candidates", *sorted(content))
