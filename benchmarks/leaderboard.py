"""How long a large leaderboard takes: so many embedders by so many tasks, from files on disk to a printed table.

    python benchmarks/leaderboard.py [--embedders 200] [--tasks 200] [--runs 3]

The records are made up; each is a file of the size and shape that `run` writes. The fastest run counts, since a shared
machine only ever adds time; processor seconds say what an idle one would take.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from unite_bench import results
from unite_bench.results import Result, committed_root

TASK = """\
name: {name}
version: 1
granularity: {granularity}
source: {{kind: files, path: rows.jsonl}}
queries: {{modality: text, text: q}}
candidates: {{modality: text, text: c}}
qrels: by-row
metrics: [hit@1, hit@5, hit@10, mrr]
primary: hit@1
"""


def make(folder: Path, embedders: int, tasks: int) -> None:
    """Task files, a suite and one result per embedder and task, after a committed one."""
    names = [f"made-up-{n:03}" for n in range(tasks)]
    for n, name in enumerate(names):
        granularity = ("coarse", "fine", "instruction")[n % 3]
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, granularity=granularity))
    listed = "\n".join(f"  - {name}.yaml" for name in names)
    (folder / "suite.yaml").write_text(f"name: made-up\ntasks:\n{listed}\n")
    like = results.read(next((committed_root() / "random").glob("scenes-t2i@*.json")))
    values = random.Random(0)
    for e in range(embedders):
        own = folder / "results" / f"embedder-{e:03}"
        own.mkdir(parents=True)
        for name in names:
            result = _made_up(like, own.name, name, values.random())
            written = json.dumps({"record": result.record, "environment": result.environment}, indent=1, sort_keys=True)
            (own / f"{name}@1-{result.identity}.json").write_text(written)


def _made_up(like: Result, embedder: str, task: str, value: float) -> Result:
    record: dict[str, Any] = copy.deepcopy(dict(like.record))
    record["embedder"] |= {"name": embedder, "fingerprint": f"{hash(embedder):x}", "modalities": ["text"]}
    record["task"] |= {"name": task, "label": f"{task}@1"}
    for measure in record["measures"].values():
        measure |= {"value": value, "low": max(0.0, value - 0.02), "high": min(1.0, value + 0.02)}
    return Result(record, like.environment)


def timed(folder: Path, *options: str) -> dict[str, float]:
    """Seconds, processor seconds and peak memory of one `unite-bench leaderboard`, start of the program included."""
    command = "from unite_bench.cli import main; main()"
    call = [sys.executable, "-c", command, "leaderboard", "--results", str(folder / "results")]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*call, "--suite", str(folder / "suite.yaml"), *options], check=True, stdout=subprocess.DEVNULL)
    spent, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(spent, 2), "cpu_seconds": round(processor, 2), "peak_mb": after.ru_maxrss // 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedders", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    figures: dict[str, object] = dict(vars(options))
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary), options.embedders, options.tasks)
        for name, layout in (
            ("by granularity", ("--format", "markdown")),
            ("by task", ("--per-task", "--format", "html")),
        ):
            runs = [timed(Path(temporary), *layout) for _ in range(options.runs)]
            figures[name] = min(runs, key=lambda run: run["seconds"])
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
