"""From a source as declared in a task to its table: one function per kind of source."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

from unite_bench.errors import DataError
from unite_bench.sources.files import open_table as open_file
from unite_bench.sources.hub import beir_judgements, open_beir, open_rows
from unite_bench.sources.hub_store import Dataset, datasets_of, manifest, unpacked
from unite_bench.sources.judgements import Judgements, read_qrels
from unite_bench.sources.layouts import read_rows
from unite_bench.sources.mmeb import open_mmeb
from unite_bench.sources.tables import Table
from unite_bench.spec.model import Side, Task
from unite_bench.spec.source_kinds import (
    HUB_SOURCES,
    BeirSource,
    FilesSource,
    HubBeirSource,
    HubSource,
    MmebSource,
    ScenesSource,
)

SideName = Literal["queries", "candidates"]


def open_side(task: Task, side: Side, name: SideName) -> Table:
    """The table that one side of a task reads."""
    source = task.source_of(side)
    if isinstance(source, FilesSource):
        return read_rows(source.rows, open_file(task.folder / source.path), name)
    if isinstance(source, BeirSource):
        return _beir(task.folder / source.path, name, source.split)
    if isinstance(source, ScenesSource):
        from unite_bench.sources.scenes import table

        return table(source.table, seed=source.seed, part=source.part, count=source.count)
    if isinstance(source, MmebSource):
        return _within(side, open_mmeb(source, name))
    if isinstance(source, HubBeirSource):
        return _within(side, open_beir(source, name))
    read = read_rows(source.rows, open_rows(source), name)
    stems = source.archive is not None and source.archive.names == "stem"
    return _within(side, _stems(side, read) if stems else read)


def _stems(side: Side, table: Table) -> Table:
    """The cells of media columns cut down to the last part of their path, without its suffix."""
    rows = [
        {
            **row,
            **{name: PurePosixPath(str(row[name])).stem for name in side.media_columns if row.get(name) is not None},
        }
        for row in table.rows
    ]
    return Table(table.name, table.columns, rows, table.lines)


def _within(side: Side, table: Table) -> Table:
    """The table of a dataset that somebody else made: raises DataError if a path in it leads out of the dataset."""
    for number, row in enumerate(table.rows):
        for name in side.media_columns:
            cell = row.get(name)
            if isinstance(cell, str) and (cell.startswith("/") or ".." in PurePosixPath(cell).parts):
                raise DataError(f"{table.where(number)}: column {name!r}: {cell!r} climbs out of the dataset; not read")
    return table


def media_folder(task: Task, side: Side) -> Path:
    """The folder that relative media paths in the side's table start from: the table's own."""
    source = task.source_of(side)
    if isinstance(source, FilesSource | BeirSource):
        path = task.folder / source.path
        return path if path.is_dir() else path.parent
    if isinstance(source, HubSource | MmebSource) and source.archive is not None:
        return unpacked(datasets_of(source)[-1], source.archive)
    return task.folder  # programs and media within tables name no paths


def source_judgements(task: Task) -> Judgements:
    """The judgements that come with the queries' source (`qrels: source`). Raises DataError if it has none."""
    source = task.source_of(task.queries)
    if isinstance(source, BeirSource):
        return read_qrels(_beir_qrels(task.folder / source.path, source.split))
    if isinstance(source, HubBeirSource):
        return beir_judgements(source)
    raise DataError(f"{task.name}: qrels: source needs a source of kind beir or hub-beir; name a column or a file")


def missing_datasets(task: Task) -> list[Dataset]:
    """The datasets of the hub that the task needs and that are not (wholly) on this machine."""
    needed = [d for s in task.sources if isinstance(s, HUB_SOURCES) for d in datasets_of(s)]
    return [dataset for dataset in dict.fromkeys(needed) if manifest(dataset) is None]


def _beir_qrels(folder: Path, split: str) -> Path:
    return folder / "qrels" / f"{split}.tsv"


def _beir(folder: Path, name: SideName, split: str) -> Table:
    """BEIR keeps ids in `_id` and a document's title apart (`full_text` is both, joined by a space).

    Its queries.jsonl holds the queries of all splits; those without a judgement in this split are not its queries.
    """
    table = open_file(folder / ("queries.jsonl" if name == "queries" else "corpus.jsonl"))
    rows = [{**row, "full_text": f"{row.get('title') or ''} {row.get('text') or ''}".strip()} for row in table.rows]
    lines = list(table.lines or range(len(rows)))
    if name == "queries":
        judged = read_qrels(_beir_qrels(folder, split))
        kept = [i for i, row in enumerate(rows) if str(row.get("_id")) in judged]
        rows, lines = [rows[i] for i in kept], [lines[i] for i in kept]
    return Table(table.name, (*table.columns, "full_text"), rows, lines)
