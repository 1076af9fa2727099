"""A result says everything: the numbers, and whatever shaped them.

One JSON per (embedder fingerprint, task, data digest, protocol digest), with a `record` that is byte-equal on rerun and an
`environment` for times, memory and versions. Beside it a Parquet file with one row a query. Everything later reads these
two and encodes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from unite_bench.encode.store import publish
from unite_bench.errors import StoreError
from unite_bench.items import content_digest

SCHEMA = 1


@dataclass(frozen=True)
class Result:
    """`record` and `environment` as written; `rows` holds one mapping a query (empty when read without them)."""

    record: Mapping[str, Any]
    environment: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = ()

    @property
    def embedder(self) -> str:
        return str(self.record["embedder"]["name"])

    @property
    def task(self) -> str:
        return str(self.record["task"]["name"])

    @property
    def identity(self) -> str:
        """Short digest of what this is a result of: fingerprint, task, data and protocol."""
        r = self.record
        digests = (r["embedder"]["fingerprint"], r["task"]["label"], r["data"]["digest"], r["protocol"]["digest"])
        return content_digest(*digests)[:16]

    @property
    def primary(self) -> float:
        return float(self.record["measures"][self.record["task"]["primary"]]["value"])

    def __getitem__(self, measure: str) -> float:
        """The value of a measure by name, as in `result["hit@1"]`."""
        return float(self.record["measures"][measure]["value"])


def roots(folders: Iterable[Path] | None, committed: bool) -> tuple[Path, ...]:
    """The folders of results that are asked for, with the committed ones or not; `unite-bench-results` where none is."""
    return (*(folders or ()), *((committed_root(),) if committed else ())) or (Path("unite-bench-results"),)


def committed_root() -> Path:
    """The results that ship with the package."""
    return Path(str(files("unite_bench"))) / "leaderboards" / "results"


def write(result: Result, root: Path) -> Path:
    """Write both files atomically under `root/<embedder>/`; returns the JSON's path."""
    folder = root / re.sub(r"[^\w.+-]", "-", result.embedder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.record['task']['label']}-{result.identity}.json"
    _write_rows(path.with_suffix(".parquet"), result.rows)
    text = json.dumps({"record": result.record, "environment": result.environment}, indent=1, sort_keys=True)
    publish(path, text.encode() + b"\n")
    return path


def read(path: Path) -> Result:
    """Read one JSON (without its rows). Raises StoreError if it is damaged or of another schema."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        record = data["record"]
        if record["schema"] != SCHEMA:
            raise StoreError(
                f"{path}: written under schema {record['schema']}, this version reads {SCHEMA}; run it again"
            )
        return Result(record, data["environment"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a readable result ({error}); delete it and run the task again") from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The per-query rows beside a result's JSON. Raises StoreError if they are missing or damaged."""
    import pyarrow.parquet as pq

    beside = path.with_suffix(".parquet")
    try:
        rows: list[dict[str, Any]] = pq.read_table(beside).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these
        raise StoreError(f"{beside}: not readable rows of a result ({error}); run the task again") from error
    return rows


def paths(roots: Sequence[Path]) -> Iterator[Path]:
    """The JSON of every result under some folders, in order of path within each."""
    for root in roots:
        yield from sorted(root.glob("*/*.json"))


def read_all(roots: Sequence[Path]) -> Iterator[Result]:
    """All results under some folders, in order of path."""
    return map(read, paths(roots))


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), sink, compression="zstd")
    publish(path, sink.getvalue().to_pybytes())
