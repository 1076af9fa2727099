"""Writes the whole site into a folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unite_bench.errors import UsageError
from unite_bench.report.previews import Previews
from unite_bench.report.site.board import board
from unite_bench.report.site.collect import collect
from unite_bench.report.site.comparisons import pair_data
from unite_bench.report.site.embedder_page import embedder_page
from unite_bench.report.site.examples import examples_of
from unite_bench.report.site.pages import Writer
from unite_bench.report.site.queries import Queries, read_queries
from unite_bench.report.site.task_page import task_page
from unite_bench.results import Result

MOST_READ = 2000  # results up to which the rows of queries are read, unless asked for otherwise


@dataclass(frozen=True)
class Built:
    """What was written, and the labels of results that were left out for want of their task file."""

    index: Path
    embedders: int
    tasks: int
    results: int
    pairs: int
    left_out: tuple[str, ...]


def write_site(
    found: Sequence[tuple[Path, Result]],
    out: Path,
    *,
    tasks: Sequence[str] = (),
    suites: Sequence[str] = (),
    examples: int = 3,
    queries: bool | None = None,
) -> Built:
    """Write the site of some results (each with the file it was read from) into the folder `out`, which may hold an older
    one. Pages show `examples` queries of every task whose data lies here.

    `queries` says whether to read the rows of queries, from which distributions of ranks and comparisons are made; None
    reads them if there are MOST_READ results at most. Raises UsageError if `out` holds something else, and whatever
    `collect` and `read_queries` raise.
    """
    _cleared(out)
    collected = collect(found, tasks, suites)
    read = queries if queries is not None else len(found) <= MOST_READ
    rows = read_queries(collected) if read else Queries({}, {}, {})
    data = board(collected)
    writer = Writer(out)
    writer.assets()
    writer.piece("board", data)
    writer.piece("pairs", [f"{collected.pages[a]}~{collected.pages[b]}" for a, b in rows.tasks])
    for pair in rows.tasks:
        writer.piece(f"pairs/{collected.pages[pair[0]]}~{collected.pages[pair[1]]}", pair_data(collected, rows, pair))
    said = {"embedders": len(collected.embedders), "tasks": len(collected.tasks), "read": read}
    writer.page("index.html", "index.html", {"board": data, "said": said})
    writer.page("compare.html", "compare.html", {"board": data, "said": said})
    writer.page("tasks.html", "tasks.html", {"board": data, "suites": collected.suites})
    previews = Previews(out / "media")
    for task in collected.tasks:
        shown = examples_of(task, previews, examples)
        writer.page("task.html", f"tasks/{collected.pages[task.label]}.html", task_page(collected, task, rows, shown))
    for name in collected.embedders:
        page = collected.pages[name]
        held = collected.standings[name]
        writer.page("embedder.html", f"embedders/{page}.html", embedder_page(collected, name))
        writer.piece(f"records/{page}", {label: s.result.record for label, s in held.items()})
    results = sum(map(len, collected.standings.values()))
    return Built(
        out / "index.html",
        len(collected.embedders),
        len(collected.tasks),
        results,
        len(rows.tasks),
        collected.left_out,
    )


def _cleared(out: Path) -> None:
    """Remove the pages of an older site; media are named by content and stay. Raises UsageError if it is not one."""
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / "data" / "board.js").is_file():
        raise UsageError(f"{out} holds something other than a site; name a new or an empty folder")
    for inner in ("assets", "data", "embedders", "tasks"):
        shutil.rmtree(out / inner, ignore_errors=True)
