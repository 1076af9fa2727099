"""The manifest: one Parquet file, one row a training pair, with digests and provenance; what `train` reads.

Columns are those of the pool (reference_model/curation/pool.py) and `query_digest`, `target_digest`: the hex of
`Item.content`, instruction not included. The file's own metadata say which recipe made it. `root`, where the paths of
the media start, is written relative to the manifest's folder, so that data and manifest can move together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reference_model.curation import pool
from reference_model.curation.pool import Numbers
from reference_model.curation.rows import Banks, Row, Stage, item_from_json, relative
from unite_bench.errors import DataError

VERSION = 1
KEY = b"unite-curation"
DIGESTS = [("query_digest", pa.string()), ("target_digest", pa.string())]
SCHEMA = pa.schema([*pool.SCHEMA, *(pa.field(name, kind) for name, kind in DIGESTS)])
GROUP = 4096  # rows of a row group: what one `row(i)` has to read


@dataclass(frozen=True)
class Manifest:
    """A manifest at `path`. `facts` are its metadata: name, recipe (digest), seed, schema, counts by stage."""

    path: Path
    root: Path
    facts: Mapping[str, Any]
    banks: Banks | None = None

    def __len__(self) -> int:
        return int(_opened(self.path).metadata.num_rows)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def rows(self, stage: Stage | None = None) -> Iterator[Row]:
        """All rows in order, or those of one stage; streamed. Media are not opened."""
        for group in range(_opened(self.path).metadata.num_row_groups):
            for cells in _group(self.path, group).to_pylist():
                if stage is None or cells["stage"] == stage:
                    yield self._row(cells)

    def row(self, number: int) -> Row:
        """One row by its number in the manifest, from 0. Raises IndexError beyond the end."""
        if not 0 <= number < len(self):
            raise IndexError(f"{self.path} has {len(self)} rows, and no row {number}")
        group, within = divmod(number, GROUP)
        (cells,) = _group(self.path, group).slice(within, 1).to_pylist()
        return self._row(cells)

    def numbers(self, stage: Stage) -> Numbers:
        """The numbers of the rows of a stage, ascending, (n,) int64."""
        stages = self.columns(["stage"])["stage"]
        return np.flatnonzero(np.asarray(pc.equal(stages, stage))).astype(np.int64)

    def blocks(self, names: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """The same columns a row group at a time, each with the number of its first row."""
        for group in range(_opened(self.path).metadata.num_row_groups):
            yield group * GROUP, _opened(self.path).read_row_group(group, columns=list(names), use_threads=False)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Whole columns of SCHEMA, for what needs no items: modalities, weights, digests."""
        return _opened(self.path).read(columns=list(names), use_threads=False)

    def _row(self, cells: Mapping[str, Any]) -> Row:
        def item(text: str, side: str) -> Any:
            return item_from_json(text, self.root, self.banks, f"{cells['id']} {side}")

        return Row(
            id=cells["id"],
            source=cells["source"],
            query=item(cells["query"], "query"),
            target=item(cells["target"], "target"),
            negatives=tuple(item(text, f"negative {n}") for n, text in enumerate(cells["negatives"])),
            granularity=cells["granularity"],
            topic=cells["topic"],
            weight=cells["weight"],
            unmasked=cells["unmasked"],
            both=cells["both"],
            stage=cells["stage"],
        )


def read_manifest(path: Path, banks: Banks | None = None) -> Manifest:
    """Open a manifest; rows are read when asked for. `banks` opens decoded banks by name, where rows point into some.

    Raises DataError if the file is missing, no manifest, or of another schema version.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as a manifest ({error}); `curate` writes one") from error
    if KEY not in metadata:
        raise DataError(f"{path}: a Parquet file, but no manifest; `python -m reference_model curate` writes one")
    facts = json.loads(metadata[KEY])
    if facts["schema"] != VERSION:
        raise DataError(f"{path}: a manifest of schema {facts['schema']}, this code reads {VERSION}; curate again")
    _opened.cache_clear()
    _group.cache_clear()
    return Manifest(path.resolve(), (path.parent / facts["root"]).resolve(), facts, banks)


def write_manifest(path: Path, tables: Iterator[pa.Table], root: Path, facts: Mapping[str, Any]) -> None:
    """Write tables of SCHEMA, one after the other; equal rows and facts give equal bytes.

    `facts` are plain data: name, recipe, seed, counts. The file appears under its name only when it is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {**facts, "schema": VERSION, "root": relative(root, path.parent)}
    schema = SCHEMA.with_metadata({KEY: json.dumps(said, sort_keys=True).encode()})
    unfinished = path.with_name(path.name + ".unfinished")
    with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
        for table in _regrouped(tables):
            writer.write_table(table.cast(schema), row_group_size=GROUP)
    unfinished.replace(path)


def _regrouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of GROUP rows each but the last."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while sum(part.num_rows for part in held) >= GROUP:
            joined = pa.concat_tables(held)
            yield joined.slice(0, GROUP).combine_chunks()
            held = [joined.slice(GROUP)]
    rest = [part for part in held if part.num_rows]
    if rest:
        yield pa.concat_tables(rest).combine_chunks()


@lru_cache(maxsize=8)
def _opened(path: Path) -> Any:
    return pq.ParquetFile(path)


@lru_cache(maxsize=4)
def _group(path: Path, group: int) -> pa.Table:
    return _opened(path).read_row_group(group, use_threads=False)
