"""The site at scale: 200 embedders x 200 tasks, from results on disk to pages, and sorting in a real browser.

    python benchmarks/site.py [--embedders 200] [--tasks 200] [--sorts 20] [--out benchmarks/figures/site.json]

Results are copies of a committed record with drawn scores, without rows of queries. `build` is the whole command
`unite-bench leaderboard --site`, reading included; its processor time says what an idle machine would take. `sort` is the
time from a click on a heading to the frame that shows the new order, with every task as a column; it needs the extra
`browser` and Debian's chromium.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from unite_bench.results import committed_root, paths, read

KINDS = ("image", "text", "video")
TASK = """\
name: {name}
version: 1
title: Drawn task {number}
granularity: {granularity}
source: {{kind: files, path: none.jsonl}}
queries: {{modality: {query}, {query}: a}}
candidates: {{modality: {candidate}, {candidate}: b}}
qrels: by-row
metrics: [hit@1]
primary: hit@1
"""
SORT = """async (at) => {
  const button = document.querySelectorAll("#board thead button")[at];
  await new Promise(requestAnimationFrame);
  const start = performance.now();
  button.click();
  await new Promise((shown) => requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel();
    port1.onmessage = shown; port2.postMessage(0); }));
  return performance.now() - start;
}"""


def tasks(folder: Path, count: int) -> Path:
    """Task files and a suite of them; returns the suite's file."""
    names = [f"drawn-{n}" for n in range(count)]
    for n, name in enumerate(names):
        granularity = ("coarse", "fine", "instruction")[n % 3]
        text = TASK.format(
            name=name, number=n, granularity=granularity, query=KINDS[n % 2], candidate=KINDS[n // 3 % 3]
        )
        (folder / f"{name}.yaml").write_text(text)
    suite = folder / "drawn.yaml"
    suite.write_text("name: drawn\ntasks:\n" + "".join(f"  - {name}.yaml\n" for name in names))
    return suite


def results(folder: Path, embedders: int, count: int) -> None:
    """One JSON per embedder and task, as `run` writes them."""
    drawn = random.Random(0)
    model = read(next(paths([committed_root()])))
    for e in range(embedders):
        (folder / f"model-{e}").mkdir()
        for n in range(count):
            record: dict[str, Any] = copy.deepcopy(dict(model.record))
            value = drawn.random()
            record["embedder"] |= {
                "name": f"model-{e}",
                "fingerprint": f"{e:064x}",
                "modalities": ["image", "text", "video"],
            }
            record["task"] |= {"name": f"drawn-{n}", "label": f"drawn-{n}@1", "primary": "hit@1", "control": None}
            record["data"]["digest"] = f"{n:064x}"
            measured = {
                "value": value,
                "low": value * 0.9,
                "high": value * 0.9 + 0.1,
                "chance": 0.01,
                "interval": "95 %",
            }
            record |= {"measures": {"hit@1": measured}, "partial": False, "slices": {}}
            text = json.dumps({"record": record, "environment": model.environment}, indent=1, sort_keys=True)
            (folder / f"model-{e}" / f"drawn-{n}@1-{e:08x}.json").write_text(text)


def command(folder: Path, suite: Path) -> dict[str, float]:
    """Seconds that the command takes, by the clock and of the processor."""
    line = [sys.executable, "-c", "from unite_bench.cli import main; main()", "leaderboard"]
    line += [
        "--results",
        str(folder / "results"),
        "--suite",
        str(suite),
        "--site",
        str(folder / "site"),
        "--examples",
        "0",
    ]
    start = time.perf_counter()
    subprocess.run(line, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "clock_s": round(time.perf_counter() - start, 2),
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_memory_mb": round(used.ru_maxrss / 1024),
    }


def sorting(site: Path, sorts: int) -> dict[str, Any]:
    """Milliseconds from click to frame, over `sorts` different columns."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("UNITE_BENCH_CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{site.resolve().as_uri()}/index.html#by=tasks")
        cells = page.locator("#board tbody td").count()
        taken = [page.evaluate(SORT, 2 + n) for n in range(sorts)]
        version = browser.version
        browser.close()
    return {
        "cells": cells,
        "sorts": sorts,
        "median_ms": round(statistics.median(taken), 1),
        "largest_ms": round(max(taken), 1),
        "chromium": version,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("embedders", 200), ("tasks", 200), ("sorts", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures" / "site.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        suite = tasks(folder, given.tasks)
        (folder / "results").mkdir()
        results(folder / "results", given.embedders, given.tasks)
        build = command(folder, suite)
        files = [path for path in (folder / "site").rglob("*") if path.is_file()]
        figures = {
            "embedders": given.embedders,
            "tasks": given.tasks,
            "build": build,
            "site": {"files": len(files), "megabytes": round(sum(p.stat().st_size for p in files) / 1e6, 1)},
            "sort": sorting(folder / "site", given.sorts),
            "cores": os.cpu_count(),
            "load_average": round(os.getloadavg()[0], 1),
        }
    given.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
