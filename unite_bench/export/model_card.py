"""An embedder's results as a section of a model card: the `model-index` of its YAML header, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from unite_bench.report.entries import IN_DOMAIN, NOTES, UNKNOWN
from unite_bench.report.formats import markdown
from unite_bench.report.protocols import named_protocol, one_protocol
from unite_bench.report.table import Cell, Row, Table
from unite_bench.results import Result

MARKS = {"clean": (), "in-domain": (IN_DOMAIN,), "unknown": (UNKNOWN,)}


def model_card(results: Sequence[Result], name: str | None = None) -> str:
    """Header and section for one model; `name` is what the card calls it (default: the embedder's name).

    Raises DataError if the results are of different protocols.
    """
    header = yaml.safe_dump({"model-index": model_index(results, name)}, sort_keys=False, allow_unicode=True)
    version = ", ".join(sorted({str(result.record["unite_bench"]) for result in results}))
    return "\n".join(
        [
            "---",
            f"{header}---",
            "",
            "## Evaluation",
            "",
            markdown(_table(results)),
            "",
            f"Measured with unite-bench {version}: exact ranks, ties as expectations, 95 % intervals for new queries. "
            "Each task's version, data and protocol are in the records that these numbers come from.",
            "",
        ]
    )


def model_index(results: Sequence[Result], name: str | None = None) -> list[dict[str, Any]]:
    """One entry a task with every measure of it, as the hub's `model-index` has it."""
    return [{"name": name or results[0].embedder, "results": [_entry(result) for result in results]}]


def _entry(result: Result) -> dict[str, Any]:
    record = result.record
    task = record["task"]
    return {
        "task": {"type": "retrieval", "name": f"{'/'.join(task['queries'])} to {'/'.join(task['candidates'])}"},
        "dataset": {
            "name": task["title"] or task["name"],
            "type": task["label"],
            "config": named_protocol(result),
            "split": "test",
            "revision": record["data"]["digest"],
        },
        "metrics": [
            {"type": name, "name": name, "value": round(float(measured["value"]), 6)}
            for name, measured in record["measures"].items()
        ],
    }


def _table(results: Sequence[Result]) -> Table:
    rows = tuple(Row(str(result.record["task"]["label"]), _cells(result)) for result in results)
    used = {mark for row in rows for cell in row.cells for mark in cell.marks}
    caption = "Primary measure of each task (in percent, but for ranks), with its 95 % interval and what chance gives."
    caption += one_protocol(results)
    notes = {mark: said for mark, said in NOTES.items() if mark in used}
    return Table(caption, "task", ("measure", "value", "95 %", "chance"), rows, notes)


def _cells(result: Result) -> tuple[Cell, ...]:
    record = result.record
    primary = record["task"]["primary"]
    scale = 1 if primary == "median_rank" else 100
    value, low, high, chance = (
        f"{scale * record['measures'][primary][key]:.1f}" for key in ("value", "low", "high", "chance")
    )
    marked = Cell(value, marks=MARKS[record["contamination"]])
    return Cell(primary), marked, Cell(f"[{low}, {high}]"), Cell(chance)
