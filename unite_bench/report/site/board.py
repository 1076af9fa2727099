"""The data behind the leaderboard page: tasks, embedders, their cells, and a view for every suite."""

from __future__ import annotations

import re
from typing import Any

from unite_bench.report.catalogue import asks
from unite_bench.report.site.collect import Collected, kinds
from unite_bench.report.table import NOT_APPLICABLE, Cell, Table
from unite_bench.spec.model import Suite, Task


def board(collected: Collected) -> dict[str, Any]:
    """Plain data for `assets/board.js`.

    A cell is [text, value] and, where they say something, whether it may be best and its marks; a missing one None, one
    that is not applicable 0. Rows of a suite name embedders and tasks by position.
    """
    at = {task.label: n for n, task in enumerate(collected.tasks)}
    return {
        "embedders": [_embedder(collected, name) for name in collected.embedders],
        "tasks": [_task(collected, task) for task in collected.tasks],
        "cells": [[_packed(cell) for cell in cells] for cells in collected.cells.values()],
        "suites": [
            _view(collected, suite, tasks, table, at)
            for (suite, tasks), table in zip(collected.suites, collected.groups, strict=True)
        ],
        "notes": dict(collected.notes),
    }


def _embedder(collected: Collected, name: str) -> dict[str, Any]:
    records = [standing.result for standing in collected.standings[name].values()]
    card = records[0].record["embedder"]
    return {
        "name": name,
        "page": collected.pages[name],
        "modalities": card["modalities"],
        "dim": card["dim"],
        "size": parameters(card.get("size")),
        "date": max(str(result.environment["finished"])[:10] for result in records),
    }


def parameters(size: str | None) -> float | None:
    """A size as papers write it ("7B", "1.1 B", "300M") as a number; None where it is not known or not of that form."""
    match = re.fullmatch(r"([0-9.]+) ?([MB])", size or "")
    return float(match[1]) * (1e6 if match[2] == "M" else 1e9) if match else None


def _task(collected: Collected, task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "title": task.title or task.name,
        "page": collected.pages[task.label],
        "granularity": task.granularity,
        "asks": asks(task),
        "modalities": _forms(collected, task),
        "measure": task.primary,
    }


def _forms(collected: Collected, task: Task) -> list[str]:
    """What the items of either side hold, by the first result there is: a set of text, image and video."""
    said = next(of[task.label] for of in collected.standings.values() if task.label in of).result.record["task"]
    return sorted({kind for side in ("queries", "candidates") for form in said[side] for kind in form.split("+")})


def _view(
    collected: Collected, suite: Suite, tasks: tuple[Task, ...], table: Table, at: dict[str, int]
) -> dict[str, Any]:
    """A suite: its groups of tasks, their means, and the mean of all, as its table has them."""
    position = {name: n for n, name in enumerate(collected.embedders)}
    return {
        "name": suite.name,
        "title": suite.title or suite.name,
        "caption": table.caption,
        "tasks": [at[task.label] for task in tasks if task.label in at],
        "unmeasured": sum(task.label not in at for task in tasks),
        "groups": [
            {"name": name, "tasks": [at[task.label] for task in of if task.label in at]}
            for name, of in kinds(tasks).items()
        ],
        "rows": [
            {"embedder": position[row.name], "below": row.below_rule, "cells": [_packed(cell) for cell in row.cells]}
            for row in table.rows
        ],
    }


def _packed(cell: Cell) -> Any:
    if cell.value is None:
        return 0 if cell == NOT_APPLICABLE else None
    packed: list[Any] = [cell.text, round(cell.value, 6)]
    if cell.marks or not cell.ranked:
        packed += [int(cell.ranked), "".join(cell.marks)]
    return packed
