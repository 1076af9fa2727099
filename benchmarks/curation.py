"""Curation of generated rows: time, and peak memory, which must not grow as the rows do but by a few bytes each.

    python benchmarks/curation.py [--rows 10000000] [--work FOLDER]

Half of the rows stand in one JSON array as UNITE's training data do, half in a Parquet file; one in ten repeats another.
They are read, exact duplicates dropped, topics balanced within a budget of half the rows, and the manifest written, all in
a process of its own, whose peak resident memory is told beside what it had before it began. `--work` takes about 400
bytes a row.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOPICS = 50
PIECE = 50_000
RECIPE = """\
name: generated
seed: 1
sources:
  - {{kind: unite, name: array, path: array.json}}
  - {{kind: table, name: table, path: table.parquet, query: {{text: question}}, target: {{text: answer}},
     topic: {{column: topic}}, granularity: instruction}}
steps:
  - {{kind: duplicates}}
  - {{kind: balance, by: topic, alpha: 0.5, total: {budget}}}
"""


def rows(start: int, stop: int) -> Iterator[tuple[str, str, str]]:
    """(question, answer, topic); every tenth repeats the one before it, and topics are of very different sizes."""
    for number in range(start, stop):
        n = number - (number % 10 == 9)
        yield (
            f"what is told of subject {n} under heading {n * 7919 % 104_729}?",
            f"of subject {n} it is told that {n * 31 % 9973} of its {n * 17 % 99_991} parts are known",
            f"topic {min(n * 2654435761 % 4096 % TOPICS, n % TOPICS)}",
        )


def generate(folder: Path, count: int) -> None:
    """Write the sources and the recipe."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (folder / "array.json").open("w", encoding="utf-8") as file:
        file.write("[")
        for at, (question, answer, _) in enumerate(rows(0, count // 2)):
            file.write(("," if at else "") + json.dumps({"query": {"text": question}, "candidate": {"text": answer}}))
        file.write("]")
    schema = pa.schema([(name, pa.string()) for name in ("question", "answer", "topic")])
    with pq.ParquetWriter(folder / "table.parquet", schema) as writer:
        for start in range(count // 2, count, PIECE):
            piece = zip(*rows(start, min(start + PIECE, count)), strict=True)
            writer.write_table(pa.table(list(map(list, piece)), schema=schema))
    (folder / "recipe.yaml").write_text(RECIPE.format(budget=count // 2), encoding="utf-8")


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(folder: Path) -> dict[str, Any]:
    """The curation, in this process, after its libraries are loaded."""
    import pyarrow.parquet as pq

    from reference_model.curation.pipeline import curate
    from reference_model.curation.recipe import read_recipe

    plan = read_recipe(folder / "recipe.yaml")
    pq.read_schema(folder / "table.parquet")
    before, wall, cpu = peak(), time.perf_counter(), time.process_time()
    done = curate(plan, folder / "curated", folder / "work", note=lambda line: print(line, file=sys.stderr))
    return {
        "read": sum(done.found.values()),
        "kept": sum(done.kept.values()),
        "dropped": {reason: n for step in done.taken for reason, n in step.dropped.items()},
        "wall_seconds": round(time.perf_counter() - wall, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "parts": {"read": done.seconds["read"], **{s.kind: s.seconds for s in done.taken}, **done.seconds},
        "before_mb": round(before),
        "peak_mb": round(peak()),
        "manifest_mb": round(done.manifest.stat().st_size / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--work", type=Path, help="else a temporary folder")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one)))
        return
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        generate(Path(folder), options.rows)
        call = [sys.executable, __file__, "--one", folder]
        measured = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout)
    measured["parts"] = {name: round(seconds, 1) for name, seconds in measured["parts"].items()}
    rate = measured["read"] / measured["cpu_seconds"]
    extra = (measured["peak_mb"] - measured["before_mb"]) * 2**20 / measured["read"]
    figures = {
        **measured,
        "rows_per_cpu_second": round(rate),
        "rows_per_wall_second": round(measured["read"] / measured["wall_seconds"]),
        "extra_bytes_a_row": round(extra, 1),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
