"""All rows that the readers found, in one Parquet file of the work folder; steps look at it and never change it.

Rows are numbered from 0 in the order in which they were read. Everything is streamed: no method holds more than a few
thousand rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from reference_model.curation.digests import Digests
from reference_model.curation.digests import Numbers as Numbers
from reference_model.curation.rows import Banks, Row, item_from_json, item_to_json
from unite_bench.errors import StoreError
from unite_bench.items import Item

Side = Literal["query", "target"]

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # SOURCE:NUMBER
        ("source", pa.dictionary(pa.int32(), pa.string())),
        ("query", pa.string()),  # canonical JSON (reference_model/curation/rows.py)
        ("target", pa.string()),
        ("negatives", pa.list_(pa.string())),
        ("query_modality", pa.dictionary(pa.int32(), pa.string())),
        ("target_modality", pa.dictionary(pa.int32(), pa.string())),
        ("granularity", pa.dictionary(pa.int32(), pa.string())),
        ("topic", pa.dictionary(pa.int32(), pa.string())),
        ("stage", pa.dictionary(pa.int32(), pa.string())),
        ("weight", pa.float32()),
        ("unmasked", pa.bool_()),
        ("both", pa.bool_()),
        ("file", pa.dictionary(pa.int32(), pa.string())),  # where the row was read, from the root
        ("row", pa.int64()),  # its number there, from 0
    ]
)
BLOCK = 8192  # rows of a row group, and of what `batches` yields


@dataclass(frozen=True)
class Pool:
    """Rows at `path`; their paths start at `root`. `work` keeps what is computed of them once (digests)."""

    path: Path
    root: Path
    work: Path
    banks: Banks | None = None

    @cached_property
    def _file(self) -> Any:
        if not self.path.is_file():
            raise StoreError(f"{self.path}: no such file; read the sources again")
        return pq.ParquetFile(self.path)

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def batches(self, columns: Sequence[str], rows: Numbers | None = None) -> Iterator[tuple[Numbers, pa.Table]]:
        """Row numbers (n,) and a table (n rows, `columns` of SCHEMA), in order; of `rows` (ascending) or of all.

        n is at most BLOCK. Row groups without any of the rows are not read.
        """
        start = 0
        for group in range(self._file.metadata.num_row_groups):
            stop = start + self._file.metadata.row_group(group).num_rows
            if rows is None:
                yield np.arange(start, stop), self._group(group, columns)
            else:
                wanted = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
                if wanted.size == stop - start:
                    yield wanted, self._group(group, columns)
                elif wanted.size:
                    yield wanted, self._group(group, columns).take(pa.array(wanted - start))
            start = stop

    def items(self, rows: Numbers, side: Side) -> Iterator[Item]:
        """The items of one side of `rows` (ascending), in order; `Item.id` is the row's id. Media are not opened."""
        for _, table in self.batches(("id", side), rows):
            for identity, text in zip(table["id"].to_pylist(), table[side].to_pylist(), strict=True):
                yield item_from_json(text, self.root, self.banks, identity)

    def digests(self, rows: Numbers, side: Side) -> Iterator[tuple[Numbers, npt.NDArray[np.uint8]]]:
        """Row numbers (n,) and `Item.content` of the side as bytes (n, 32) uint8, for `rows` (ascending).

        Computed when first asked for, which reads every medium once, and kept in the work folder. The instruction is
        no part of it. Raises MediaError naming the row if a medium is missing: put the step `validity` first.
        """
        kept = Digests(self.work / f"{side}.digests", len(self))
        return kept.of(rows, lambda missing: self.items(missing, side))

    def _group(self, group: int, columns: Sequence[str]) -> pa.Table:
        return self._file.read_row_group(group, columns=list(columns), use_threads=False)


@dataclass(frozen=True)
class Placed:
    """A row and where it was read: the file, as written in manifests, and the row's number there, from 0."""

    row: Row
    file: str = ""
    at: int = 0


def write_pool(path: Path, rows: Iterable[Placed], root: Path) -> int:
    """Write all rows as a pool's file; returns their number. Holds BLOCK rows at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=1) as writer:
        waiting = iter(rows)
        while block := list(islice(waiting, BLOCK)):
            writer.write_table(_table(block, root), row_group_size=BLOCK)
            written += len(block)
    return written


def _table(block: Sequence[Placed], root: Path) -> pa.Table:
    rows = [placed.row for placed in block]
    columns = {
        "id": [row.id for row in rows],
        "source": [row.source for row in rows],
        "query": [item_to_json(row.query, root) for row in rows],
        "target": [item_to_json(row.target, root) for row in rows],
        "negatives": [[item_to_json(item, root) for item in row.negatives] for row in rows],
        "query_modality": [row.query.modality for row in rows],
        "target_modality": [row.target.modality for row in rows],
        "granularity": [row.granularity for row in rows],
        "topic": [row.topic for row in rows],
        "stage": [row.stage for row in rows],
        "weight": [row.weight for row in rows],
        "unmasked": [row.unmasked for row in rows],
        "both": [row.both for row in rows],
        "file": [placed.file for placed in block],
        "row": [placed.at for placed in block],
    }
    return pa.table(columns, schema=SCHEMA)
