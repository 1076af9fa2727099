"""What a score owes to reading the instruction: the mean over wordings, the worst of them, and the fall under a wrong one.

A task whose queries come in several wordings has a slice by `wording`; its control asks the same queries, with the same
positives, by an instruction for something else. The ceiling is what an embedder can reach at most that ignores
instructions: it gives the same query one ranking, whatever is asked.
"""

from __future__ import annotations

from collections.abc import Iterable

from unite_bench.errors import UsageError
from unite_bench.report.leaderboard import percent
from unite_bench.report.protocols import one_protocol
from unite_bench.report.table import MISSING, Cell, Row, Table
from unite_bench.report.temporal import controls_of
from unite_bench.results import Result

COLUMNS = ("task", "mean", "worst wording", "wrong instruction", "drop", "ceiling if ignored", "chance")


def instructions_table(results: Iterable[Result]) -> Table:
    """One row per embedder and task with wordings, in percent. Raises UsageError if no result has any."""
    whole = {(r.embedder, r.task): r for r in results if not r.record["partial"]}
    protocol = one_protocol(whole.values())
    controls = controls_of(whole.values())
    rows = [
        Row(embedder, (Cell(task), *_cells(result, controls.get((embedder, task), {}).get("wrong-instruction"))))
        for (embedder, task), result in sorted(whole.items())
        if "wording" in result.record["slices"] and result.record["task"]["control"] is None
    ]
    if not rows:
        raise UsageError("no result has wordings; `unite-bench run --task scenes-instruction` makes one")
    caption = (
        "hit@1 by instruction, in percent. drop: the mean less the score under a wrong instruction, which should fall."
        + protocol
    )
    return Table(caption, "embedder", COLUMNS, tuple(rows))


def _cells(result: Result, wrong: Result | None) -> tuple[Cell, ...]:
    worst = min(of["value"] for of in result.record["slices"]["wording"].values())
    chance = result.record["measures"][result.record["task"]["primary"]]["chance"]
    misled = (_cell(wrong.primary), _cell(result.primary - wrong.primary)) if wrong else (MISSING, MISSING)
    ceiling = _cell(result.record["instruction_blind_ceiling"])
    return _cell(result.primary), _cell(worst), *misled, ceiling, _cell(chance)


def _cell(value: float | None) -> Cell:
    return MISSING if value is None else Cell(percent(value), value, ranked=False)
