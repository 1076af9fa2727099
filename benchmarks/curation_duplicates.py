"""Exact duplicates among many rows: time and peak memory of the step `duplicates` over a generated pool.

    python benchmarks/curation_duplicates.py --work SCRATCH [--rows 10000000]

The pool and its digests are written first, by another process (about 2 GB in SCRATCH for ten million rows); a tenth of
the rows repeats an earlier one. What is measured is the step alone, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reference_model.curation import pool as pools
from reference_model.curation.pool import Pool
from reference_model.curation.step import Context
from reference_model.curation.steps.duplicates import Settings, run

REPEATED = 10  # one row in so many repeats the row before it
CHUNK = 1 << 20


def write(folder: Path, rows: int) -> None:
    """A pool of short texts, and the digests that a first pass over it would leave."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        pq.ParquetWriter(folder / "pool.parquet", pools.SCHEMA) as writer,
        (folder / "query.digests").open("wb") as queries,
        (folder / "target.digests").open("wb") as targets,
    ):
        for start in range(0, rows, CHUNK):
            numbers = np.arange(start, min(start + CHUNK, rows))
            content = numbers - (numbers % REPEATED == REPEATED - 1)
            writer.write_table(table(numbers, content), row_group_size=pools.BLOCK)
            for file in (queries, targets):
                digests = rng.integers(0, 256, (numbers.size, 32), dtype=np.uint8)
                file.write(digests[content - start].tobytes())


def table(numbers: Any, content: Any) -> pa.Table:
    def same(value: Any, kind: pa.DataType) -> pa.Array:
        return pa.array([value], kind).take(pa.array(np.zeros(numbers.size, np.int32)))

    words = pc.cast(pa.array(content), pa.string())
    columns = {
        "id": pc.binary_join_element_wise("s", pc.cast(pa.array(numbers), pa.string()), ":"),
        "query": pc.binary_join_element_wise('{"parts":[{"text":"question ', words, '"}]}', ""),
        "target": pc.binary_join_element_wise('{"parts":[{"text":"answer ', words, '"}]}', ""),
        "row": pa.array(numbers),
    }
    given = {"weight": 1.0, "unmasked": False, "both": False, "negatives": [], "stage": "adaptation"}
    for field in pools.SCHEMA:
        if field.name not in columns:
            value = given.get(field.name, "text" if field.name.endswith("modality") else "s")
            plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            columns[field.name] = same(value, plain).cast(field.type)
    return pa.table({field.name: columns[field.name] for field in pools.SCHEMA}, schema=pools.SCHEMA)


def measure(folder: Path, send: Any) -> None:
    pool = Pool(folder / "pool.parquet", folder, folder)
    alive = np.arange(len(pool))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    decision = run(pool, alive, Settings(), Context(0, folder / "step", folder))
    send.send(
        {
            "rows": len(pool),
            "dropped": decision.facts["exact"],
            "seconds": round(time.monotonic() - started, 1),
            "MB before": round(before / 1024),
            "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    asked = parser.parse_args()
    folder = asked.work / f"rows-{asked.rows}"
    processes = multiprocessing.get_context("spawn")
    if not (folder / "target.digests").exists():
        writing = processes.Process(target=write, args=(folder, asked.rows))
        writing.start()
        writing.join()
    receive, send = processes.Pipe(duplex=False)
    working = processes.Process(target=measure, args=(folder, send))
    working.start()
    print(json.dumps(receive.recv()))
    working.join()


if __name__ == "__main__":
    main()
