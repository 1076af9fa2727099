"""From a task and its tables to what is measured: items, judgements, pools. The last stop before encoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unite_bench.errors import DataError
from unite_bench.items import Item, Role, content_digest, modality
from unite_bench.ragged import Ragged
from unite_bench.sources.captions import Pairs, check_captions, paired
from unite_bench.sources.opening import open_side
from unite_bench.sources.relevance import (
    check_positives_in_pool,
    check_whole_quartets,
    judgements_of,
    pools_of,
    qrels_of,
)
from unite_bench.sources.rows import items_of, missing_cells, missing_columns
from unite_bench.sources.tables import Table
from unite_bench.spec.model import Task

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

    @property
    def rows(self) -> int:
        """Candidates before equal ones were merged."""
        return len(self.candidates) + self.duplicates

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
    findings = list(missing_columns(task, query_table, corpora))
    _raise_if(findings)
    findings = list(missing_cells(task, query_table, corpora))
    _raise_if(findings)
    pairs = None
    if task.captions is not None and task.qrels == "by-row":
        pairs = paired(task, query_table, corpora[0][1])
        query_table, corpora = pairs.queries, [(corpora[0][0], pairs.candidates)]

    broken: dict[tuple[Role, str], str] = {}
    by_name = task.duplicates == "by-name"
    queries = items_of(task, task.queries, query_table, "query", broken)
    _unique([q.id for q in queries], query_table, findings)
    rows: list[Item] = []
    for side, table in corpora:
        part = items_of(task, side, table, "candidate", broken)
        if not by_name:
            _unique([c.id for c in part], table, findings, already={c.id for c in rows})
        rows += part
    findings += [] if skip_broken else broken.values()
    _raise_if(findings)

    judged = pairs.judgements(queries, rows) if pairs else judgements_of(task, queries, query_table, rows, findings)
    if task.captions is not None and pairs is None:
        check_captions(task, judged, findings)
    merged, position = _merge(rows, task.duplicates == "merge")
    qrels = qrels_of(queries, query_table, judged, position, findings)
    pools = pools_of(task, query_table, position, findings)
    _raise_if(findings)
    check_positives_in_pool(qrels, pools, queries, findings)
    check_whole_quartets(task, query_table, qrels, pools, findings)
    if task.expected is not None and task.expected.status == "verified":
        findings += unexpected(task, len(queries), len(rows))
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
        clusters=_clusters(task, query_table, pairs),
        duplicates=len(rows) - len(merged),
        broken=broken,
        digest=_digest(task, query_table, queries, merged, qrels, pools),
    )


def unexpected(task: Task, queries: int, candidates: int) -> list[str]:
    """Where the numbers of rows are not those that the task file expects (before equal candidates are merged)."""
    found = []
    for what, count in (("queries", queries), ("candidates", candidates)):
        wanted = None if task.expected is None else getattr(task.expected, what)
        if wanted not in (None, count):
            found.append(
                f"{task.name}: {count} {what}, but the task file expects {wanted}; fetch the data again or correct it"
            )
    return found


def _raise_if(findings: Sequence[str]) -> None:
    if findings:
        more = [f"... and {len(findings) - MAX_FINDINGS} more"] if len(findings) > MAX_FINDINGS else []
        raise DataError("\n".join([*findings[:MAX_FINDINGS], *more]))


def _unique(ids: Sequence[str], table: Table, findings: list[str], already: Iterable[str] = ()) -> None:
    seen = set(already)
    for number, identity in enumerate(ids):
        if identity in seen:
            findings.append(f"{table.where(number)}: id {identity!r} stands a second time; ids are unique in a pool")
        seen.add(identity)


def _merge(rows: Sequence[Item], merge: bool) -> tuple[list[Item], dict[str, int]]:
    """Candidates with equal content become one (the first); `position` says where every id went. Without `merge`, only
    those of equal id do."""
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


def _clusters(task: Task, table: Table, pairs: Pairs | None) -> tuple[str, ...] | None:
    """The column that the task names; without one, captions that ask for the same medium, or are asked for by it."""
    if task.clusters is not None:
        return tuple(str(row[task.clusters]) for row in table.rows)
    return pairs.clusters if pairs is not None and len(set(pairs.clusters)) < len(pairs.clusters) else None


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
