"""The error browser of a large result: how long it takes to build, and how quick it is in Chromium when opened from a file.

    python benchmarks/error_browser.py [--queries 10000] [--pictures 2000]

Two random embedders side by side, texts to pictures. `again` is the build over media that are already there. The page's
times, in milliseconds, are medians over `--runs` fresh pages: `first_paint` and `ready` (list and first query in sight) from
the start of the navigation, the rest from the action to the frame that shows its outcome. Needs Playwright and
/usr/bin/chromium.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unite_bench import results
from unite_bench.embedders.baselines import RandomEmbedder
from unite_bench.evaluation import evaluate
from unite_bench.report.browser.page import write_browser
from unite_bench.report.browser.reading import open_results
from unite_bench.spec.reader import parse_task

TASK = """
name: large
version: 1
granularity: coarse
queries: {source: {kind: files, path: queries.jsonl}, modality: text, text: text}
candidates: {source: {kind: files, path: pictures.jsonl}, id: image, modality: image, image: image}
qrels: {column: positive}
metrics: [hit@1, hit@10, mrr]
primary: hit@1
slices: [kind]
"""
WORDS = (
    "red",
    "green",
    "blue",
    "small",
    "large",
    "round",
    "old",
    "new",
    "quiet",
    "bright",
    "wooden",
    "open",
    "full",
    "tall",
)
ACTIONS = {  # what is done, and what is true once its outcome is shown
    "next_piece": ("document.querySelector('#on').click()", "document.querySelector('#query').dataset.number === '50'"),
    "next_query": (
        "document.querySelector('#next').click()",
        "document.querySelector('#query').dataset.number === '51'",
    ),
    "filter": ("document.querySelector('[data-filter=near]').click()", "view.found.length < view.index.ids.length"),
    "first_search": (
        "(field => { field.value = 'wooden 77'; update(); })(document.querySelector('#search'))",
        "view.texts !== null && view.found.every((n) => view.texts[n].includes('77'))",
    ),
    "next_search": (
        "(field => { field.value = 'old tall'; update(); })(document.querySelector('#search'))",
        "view.found.every((n) => view.texts[n].includes('tall'))",
    ),
}


def make(folder: Path, queries: int, pictures: int) -> None:
    """Captions of 40 words at most over noisy pictures of 480 x 360."""
    random = np.random.default_rng(0)
    with open(folder / "pictures.jsonl", "w") as table:
        for n in range(pictures):
            coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), dtype=np.uint8))
            coarse.resize((480, 360), Image.Resampling.BICUBIC).save(folder / f"{n}.jpg", quality=90)
            table.write(json.dumps({"image": f"{n}.jpg"}) + "\n")
    with open(folder / "queries.jsonl", "w") as table:
        for n in range(queries):
            words = " ".join(random.choice(WORDS, random.integers(5, 40)))
            row = {"text": f"{words} {n}", "positive": f"{n % pictures}.jpg", "kind": WORDS[n % 5]}
            table.write(json.dumps(row) + "\n")


def build(folder: Path) -> dict[str, float]:
    task = parse_task((folder / "large.yaml").read_text(), folder=folder)
    embedders = [RandomEmbedder("0"), RandomEmbedder("1")]
    held = [results.write(evaluate(e, task, store=folder / "store"), folder / "results") for e in embedders]
    times = []
    for _ in range(2):
        start = time.perf_counter()
        write_browser(open_results(held, task), folder / "report")
        times.append(round(time.perf_counter() - start, 1))
    files = [path.stat().st_size for path in (folder / "report").rglob("*.*")]
    pieces = [path.stat().st_size for path in (folder / "report" / "data").glob("queries-*.js")]
    return {
        "build_seconds": times[0],
        "again_seconds": times[1],
        "files": len(files),
        "megabytes": round(sum(files) / 1e6, 1),
        "index_megabytes": round((folder / "report" / "data" / "index-0.js").stat().st_size / 1e6, 2),
        "median_piece_kilobytes": round(statistics.median(pieces) / 1e3, 1),
    }


def browse(report: Path, runs: int) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    told: dict[str, list[float]] = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for _ in range(runs):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto((report / "index.html").as_uri())
            page.wait_for_selector("body[data-ready]")
            for name, value in once(page).items():
                told.setdefault(name, []).append(value)
            page.context.close()
        version = browser.version
        browser.close()
    return {name: round(statistics.median(values), 1) for name, values in told.items()} | {"chromium": version}


def once(page: Any) -> dict[str, float]:
    """Times of one page in milliseconds."""
    told = page.evaluate(
        """() => ({
          first_paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
          ready: performance.getEntriesByName('ready')[0].startTime,
        })"""
    )
    for name, (act, shown) in ACTIONS.items():
        told[name] = page.evaluate(
            f"""() => new Promise((resolve) => {{
              const start = performance.now();
              const look = () => ({shown}) ? resolve(performance.now() - start) : requestAnimationFrame(look);
              {act};
              requestAnimationFrame(look);
            }})"""
        )
    return dict(told)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--pictures", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "figures" / "error_browser.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "large.yaml").write_text(TASK)
        make(Path(scratch), given.queries, given.pictures)
        figures = {"queries": given.queries, "pictures": given.pictures, "build": build(Path(scratch))}
        figures["page_milliseconds"] = browse(Path(scratch) / "report", given.runs)
    given.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
