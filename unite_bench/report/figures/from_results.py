"""What is drawn of results: arrays, labels and captions for each kind of figure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from unite_bench.errors import UsageError
from unite_bench.report.comparing import Comparison
from unite_bench.report.comparison import Difference
from unite_bench.report.comparison_tables import CORRECTED
from unite_bench.report.entries import latest
from unite_bench.report.figures.bars import bars
from unite_bench.report.figures.cost import cost
from unite_bench.report.figures.forest import forest
from unite_bench.report.figures.heat_map import heat_map
from unite_bench.report.figures.radar import radar
from unite_bench.report.figures.style import Doubles
from unite_bench.report.leaderboard import TARGET, by_group, by_task
from unite_bench.report.table import Table
from unite_bench.results import Result, read_all
from unite_bench.spec.catalogue import load_suite, load_task, tasks_of
from unite_bench.spec.model import Suite, Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cost = Literal["encode", "dimension"]
NOT_MEASURED = "Gaps and n/a: not measured, or a modality that the embedder lacks."
LEVEL = 0.05  # of the tests whose markers are filled


def chosen(
    folders: Sequence[Path], suite: str | None, tasks: Sequence[str], embedders: Sequence[str] | None
) -> tuple[Suite, list[Task], list[Result]]:
    """The suite (or some tasks as one), its tasks, and the results of these embedders in this order (None: of all).

    Raises UsageError if a suite and tasks are named at once, or an embedder has no results.
    """
    if suite and tasks:
        raise UsageError("--suite and --task name what is drawn; give one of them")
    of = load_suite(suite) if suite else Suite(name="tasks", title="Chosen tasks", tasks=list(tasks))
    found = list(read_all(folders))
    known = dict.fromkeys(result.embedder for result in found)
    wanted = list(known if embedders is None else embedders)
    for name in wanted:
        if name not in known:
            raise UsageError(f"no results of {name!r}; there are some of {', '.join(known) or 'nobody'}")
    results = [result for name in wanted for result in found if result.embedder == name]
    return of, tasks_of(of) if suite else [load_task(name) for name in tasks], results


def radar_of(suite: Suite, tasks: Sequence[Task], results: Sequence[Result]) -> Figure:
    """Scores above chance by granularity and modality, as in the leaderboard."""
    table = by_group(suite, tasks, results)
    caption = f"{table.caption} The dark ring is chance. No intervals. {NOT_MEASURED}"
    return radar(table.columns[:-1], _names(table), _values(table)[:, :-1], _with_notes(caption, table))


def bars_of(suite: Suite, tasks: Sequence[Task], results: Sequence[Result]) -> Figure:
    """The primary measure of each task with its interval."""
    table, held = by_task(suite, tasks, results), latest(tasks, results)
    embedders = [row.name for row in table.rows[:-1]]

    def grid(of: Callable[[Result, Task], float]) -> Doubles:
        return np.array([[of(held[e][t.label], t) if t.label in held[e] else np.nan for t in tasks] for e in embedders])

    low = grid(lambda r, t: float(r.record["measures"][t.primary]["low"]))
    high = grid(lambda r, t: float(r.record["measures"][t.primary]["high"]))
    chance = np.nanmax(grid(lambda r, t: float(r.record["measures"][t.primary]["chance"])), axis=0)
    counts = [int(r.record["data"]["queries"]) for of in held.values() for r in of.values()]
    caption = (
        f"{table.caption} Whiskers: 95 % intervals for new queries on the same task and corpus ({_span(counts)} queries a "
        f"task). Dashed: chance. {NOT_MEASURED}"
    )
    names = [f"{task.name}\n{task.primary}" for task in tasks]
    return bars(names, _names(table)[:-1], _values(table)[:-1], low, high, chance, _with_notes(caption, table))


def heat_map_of(suite: Suite, tasks: Sequence[Task], results: Sequence[Result]) -> Figure:
    """The primary measure of each task under each embedder, chance last."""
    table = by_task(suite, tasks, results)
    caption = _with_notes(f"{table.caption} No intervals. {NOT_MEASURED}", table)
    return heat_map(table.columns, _names(table), _values(table).T, caption)


def forest_of(found: Comparison, margin: float | None = None) -> Figure:
    """Differences by task, and by suite below a rule."""
    parts: tuple[Sequence[Difference], ...] = (found.tasks, found.suites)
    pairs = list(dict.fromkeys(d.pair for d in found.tasks))
    columns = [[d for part in parts for d in part if d.pair == pair] for pair in pairs]

    def grid(of: Callable[[Difference], float]) -> Doubles:
        return np.array([[of(d) for d in column] for column in columns])

    caption = (
        "First embedder less second in percentage points: primary measure of each task"
        f"{', and suites (diamonds) as means of scores above chance' if found.suites else ''}. {TARGET} "
        f"{_span([len(task.values) for task in found.paired])} queries a task. Filled: p <= {LEVEL} by sign flips by "
        f"cluster, corrected by {CORRECTED[found.correction]} over all pairs and tasks, and all pairs and suites."
        f"{found.paired[0].protocol}"
    )
    if margin is not None:
        caption += f" Shaded: within the margin of {100 * margin:g} points."
    return forest(
        [d.where for d in columns[0]],
        pairs,
        grid(lambda d: d.difference),
        grid(lambda d: d.interval[0]),
        grid(lambda d: d.interval[1]),
        grid(lambda d: float(d.corrected <= LEVEL)),
        caption,
        len(found.suites) // len(pairs),
        margin,
    )


def cost_of(suite: Suite, tasks: Sequence[Task], results: Sequence[Result], by: Cost) -> Figure:
    """The suite's score against what encoding costs: milliseconds an item, or the dimension of a vector.

    Raises UsageError if no embedder has results on all tasks with the cost in them.
    """
    table, held = by_group(suite, tasks, results), latest(tasks, results)
    names, scores = _names(table), _values(table)[:, -1]
    price = _dimension if by == "dimension" else _milliseconds
    prices = np.array([price(held[row.name].values()) for row in table.rows])
    kept = np.flatnonzero(np.isfinite(scores) & np.isfinite(prices))
    if not kept.size:
        raise UsageError(
            "no embedder has a mean over these tasks and the cost in its results; for --cost encode, run the tasks again "
            "with a --store of their own, so that every item is encoded"
        )
    left = [name for n, name in enumerate(names) if n not in kept]
    label = "dimension of a vector" if by == "dimension" else "milliseconds to encode an item, loading included"
    caption = f"{table.caption} Over all granularities. Dotted: what no cheaper embedder reaches. No intervals." + (
        f" Without a mean or a cost: {', '.join(left)}." if left else ""
    )
    kept_names = [names[n] for n in kept]
    return cost(kept_names, prices[kept], scores[kept], label, _with_notes(caption, table))


def _dimension(results: Iterable[Result]) -> float:
    return float(next(iter(results)).record["embedder"]["dim"])


def _milliseconds(results: Iterable[Result]) -> float:
    """Over all tasks; NaN if the results do not say how many items were encoded, or none was."""
    seconds = items = 0.0
    for result in results:
        encoded = result.environment.get("encoded", {}).get("computed", 0)
        if encoded:
            items += encoded
            seconds += result.environment["seconds"]["encode"]
    return 1000 * seconds / items if items else float("nan")


def _names(table: Table) -> list[str]:
    """Embedders with the marks of their cells."""
    marks = [dict.fromkeys(mark for cell in row.cells for mark in cell.marks) for row in table.rows]
    return [row.name + "".join(of) for row, of in zip(table.rows, marks, strict=True)]


def _values(table: Table) -> Doubles:
    """(rows, columns), NaN where there is no value."""
    cells = [[np.nan if cell.value is None else cell.value for cell in row.cells] for row in table.rows]
    return np.array(cells, dtype=np.float64)


def _with_notes(caption: str, table: Table) -> str:
    return " ".join([caption, *(f"{mark} {text}" for mark, text in table.notes.items())])


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
