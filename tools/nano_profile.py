"""nano by task, beside its backbone and its first stage: what docs/nano.md shows, from the committed results.

Paired tests over the same queries, corrected by Holm over the tasks; `unite-bench compare` prints the same differences.
"""

from __future__ import annotations

from collections.abc import Iterator

import unite_bench as ub
from unite_bench import results
from unite_bench.report.comparison import Difference
from unite_bench.results import Result, committed_root
from unite_bench.spec.catalogue import load_suite, tasks_of

ROW_0, STAGE_1, NANO = EMBEDDERS = ("reference:nano-backbone", "reference:nano-adaptation", "reference:nano")
SUITES = ("embedded-sanity", "embedded-scenes", "embedded-scenes-held-out")
LEVEL = 0.05


def profile() -> str:
    """Two Markdown tables: every task of the suite `embedded`, and the suites that have a mean."""
    labels = [task.label for task in tasks_of(load_suite("embedded"))]
    held = {name: _held(name) for name in EMBEDDERS}
    compared = {
        other: ub.compare([committed_root()], (NANO, other), suites=("embedded",)) for other in (STAGE_1, ROW_0)
    }
    found = {other: {d.where: d for d in comparison.tasks} for other, comparison in compared.items()}
    head = ("task", "measure", "chance", "row 0", "stage 1", "nano", "95 %", "nano − row 0", "nano − stage 1")
    rows = [
        _row([held[name][label] for name in EMBEDDERS], found[ROW_0][label], found[STAGE_1][label]) for label in labels
    ]
    return f"{_markdown(head, 2, rows)}\n\n{_markdown(('suite', *head[3:6], *head[7:]), 1, list(_suites()))}"


def _held(name: str) -> dict[str, Result]:
    found = (results.read(path) for path in results.paths([committed_root()]))
    return {result.record["task"]["label"]: result for result in found if result.embedder == name}


def _row(of: list[Result], since_row_0: Difference, since_stage_1: Difference) -> list[str]:
    record = of[-1].record
    measure = record["task"]["primary"]
    values = [result.record["measures"][measure]["value"] for result in of]
    own = record["measures"][measure]
    mark = "†" if record["contamination"] == "in-domain" else ""
    shown = [f"{100 * value:.1f}" for value in (own["chance"], *values)]
    interval = f"{100 * own['low']:.1f} to {100 * own['high']:.1f}"
    return [record["task"]["name"] + mark, measure, *shown, interval, *map(_gained, (since_row_0, since_stage_1))]


def _suites() -> Iterator[list[str]]:
    """Means above chance."""
    for suite in SUITES:
        (since_row_0,), (since_stage_1,) = (
            ub.compare([committed_root()], (NANO, other), suites=(suite,)).suites for other in (ROW_0, STAGE_1)
        )
        scores = (since_row_0.scores[1], since_stage_1.scores[1], since_row_0.scores[0])
        yield [suite, *(f"{100 * score:.1f}" for score in scores), _gained(since_row_0), _gained(since_stage_1)]


def _gained(found: Difference) -> str:
    """The difference with its interval, in bold where the corrected test finds one."""
    low, high = (100 * end for end in found.interval)
    shown = f"{100 * found.difference:+.1f} [{low:+.1f}, {high:+.1f}]"
    return f"**{shown}**" if found.corrected <= LEVEL else shown


def _markdown(head: tuple[str, ...], words: int, rows: list[list[str]]) -> str:
    """A table whose first columns hold words, and the others numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
