"""What the page of an embedder tells: its card, its shape over kinds of tasks, where it is strong, and every result."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from statistics import median
from typing import Any

from markupsafe import Markup

from unite_bench.report.catalogue import asks
from unite_bench.report.site.collect import Collected, Rivals, Standing, kinds
from unite_bench.report.site.drawing import radar, whisker
from unite_bench.report.table import Table
from unite_bench.spec.model import Suite, Task

FEWEST_AXES = 3
FEWEST_OTHERS = 3  # embedders on a task, below which their median says little
SHOWN = 5  # strengths and weaknesses each
CARD = {
    "backbone": "backbone",
    "size": "size",
    "revision": "revision",
    "dim": "dimension",
    "similarity": "similarity",
    "prompt": "prompt",
    "fusion": "fusion",
    "max_frames": "frames at most",
    "role_matters": "role changes a vector",
    "instruction_matters": "instruction changes a vector",
    "dtype": "dtype",
    "device": "device",
    "modalities": "modalities",
    "training_sets": "training sets",
    "arguments": "arguments",
    "fingerprint": "fingerprint",
}


@dataclass(frozen=True)
class Shown:
    """A result on a page. `middle` is the median of the other embedders' scores above chance, None where they are few."""

    task: Task
    page: str
    asks: str
    standing: Standing
    middle: float | None
    place: str

    @property
    def title(self) -> str:
        return self.task.title or self.task.name

    @property
    def text(self) -> str:
        return self.standing.text

    @property
    def marks(self) -> tuple[str, ...]:
        return self.standing.cell.marks

    @property
    def interval(self) -> str:
        return self.standing.interval

    @property
    def whisker(self) -> Markup:
        return whisker(self.standing.measured)

    @property
    def above(self) -> float:
        return self.standing.above_chance

    @property
    def margin(self) -> float:
        return self.above - (self.middle or 0.0)

    @property
    def warnings(self) -> list[str]:
        return list(self.standing.result.record["warnings"])

    @property
    def finished(self) -> str:
        return str(self.standing.result.environment["finished"])[:10]


def embedder_page(collected: Collected, name: str) -> dict[str, Any]:
    """Everything that `templates/embedder.html` reads."""
    held = collected.standings[name]
    results = [_result(collected, task, held[task.label]) for task in collected.tasks if task.label in held]
    compared = sorted((r for r in results if r.middle is not None), key=lambda r: -r.margin)
    radars = [
        _radar(name, suite, tasks, table, rivals)
        for (suite, tasks), table, rivals in zip(collected.suites, collected.groups, collected.rivals, strict=True)
    ]
    card = next(iter(held.values())).result.record["embedder"]
    return {
        "name": name,
        "page": collected.pages[name],
        "card": [(said, _words(card[key])) for key, said in CARD.items() if key in card],
        "radars": [radar for radar in radars if radar is not None],
        "strengths": [r for r in compared[:SHOWN] if r.margin > 0],
        "weaknesses": [r for r in reversed(compared[-SHOWN:]) if r.margin < 0],
        "results": results,
        "notes": collected.notes,
        "lacking": [task for task in collected.tasks if task.label not in held],
    }


def _result(collected: Collected, task: Task, standing: Standing) -> Shown:
    scores, own = collected.scores[task.label], standing.above_chance
    at = bisect_left(scores, own)
    others = scores[:at] + scores[at + 1 :]
    return Shown(
        task,
        collected.pages[task.label],
        asks(task),
        standing,
        median(others) if len(others) >= FEWEST_OTHERS else None,
        f"{len(scores) - bisect_right(scores, own) + 1} of {len(scores)}",
    )


def _radar(name: str, suite: Suite, tasks: tuple[Task, ...], table: Table, rivals: Rivals) -> dict[str, Any] | None:
    """The embedder's groups of a suite that may be averaged, beside the best of the other embedders above the rule."""
    own = next((row for row in table.rows if row.name == name), None)
    if own is None or not suite.aggregate:
        return None
    names = list(kinds(tasks))
    cells = own.cells[: len(names)]  # the mean stands behind them
    values = [cell.value for cell in cells]
    if sum(value is not None for value in values) < FEWEST_AXES:
        return None
    best = [next((value for value, other in of if other != name), None) for of in rivals]
    return {
        "title": suite.title or suite.name,
        "chart": radar(names, values, best),
        "rows": list(zip(names, [cell.text for cell in cells], best, strict=True)),
    }


def _words(value: Any) -> str:
    """A value of a card in words; None is what the card leaves open."""
    if value is None:
        return "not declared"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {of}" for key, of in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
