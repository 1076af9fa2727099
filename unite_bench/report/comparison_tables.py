"""The tables of a comparison: tasks, suites, standings, and the queries that moved most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from unite_bench.report.comparison import Difference, Standing
from unite_bench.report.leaderboard import TARGET, percent
from unite_bench.report.pairing import Paired
from unite_bench.report.table import MISSING, Cell, Row, Table
from unite_bench.stats.bootstrap import Interval

CORRECTED = {"holm": "Holm", "benjamini-hochberg": "Benjamini-Hochberg"}


def task_table(differences: Sequence[Difference], left_out: int, correction: str, margin: float | None) -> Table:
    """One row per task and pair, scores and differences of the primary measure in percent."""
    tasks, pairs = _counted(differences, "task")
    caption = (
        f"Primary measure of each task, first embedder less second, in percent. {TARGET} "
        f"p: sign flips by cluster, corrected by {CORRECTED[correction]} over {pairs} x {tasks}. "
        "win / tie / loss: queries. d: difference over the standard deviation of the queries' differences. "
        "detectable: smallest true difference found with a chance of 80 %."
    )
    if left_out:
        caption += (
            f" Tasks without a result of all of them are left out: {left_out}; a suite that lacks one has no mean."
        )
    return _table(caption, "task", differences, margin, ("d",))


def suite_table(differences: Sequence[Difference], correction: str, margin: float | None) -> Table:
    """One row per suite and pair, scores above chance in percent."""
    suites, pairs = _counted(differences, "suite")
    caption = (
        "Mean over granularities of the mean over tasks of (score - chance) / (1 - chance), first embedder less second, in "
        f"percent. {TARGET} other tasks: interval for other tasks like these, where each granularity has two or more. "
        f"p: sign flips by cluster over all tasks, corrected by {CORRECTED[correction]} over {pairs} x {suites}. "
        "win / tie / loss: tasks."
    )
    return _table(caption, "suite", differences, margin, ("other tasks",))


def standings_table(name: str, held: Sequence[Standing]) -> Table:
    """Embedders by their score over a suite, with the ranks that are left open and Borda points, in percent."""
    caption = (
        f"{name}: score above chance in percent. ranks: all true ranks lie in these sets at once with a chance of 95 % "
        "(simultaneous pairwise differences). Borda: mean share of the others that one beats on a task; it depends on which "
        "embedders are compared, and the score comes first."
    )
    rows = [
        Row(
            s.embedder,
            (
                Cell(percent(s.score), s.score),
                Cell(str(s.ranks[0]) if s.ranks[0] == s.ranks[1] else f"{s.ranks[0]} to {s.ranks[1]}"),
                Cell(percent(s.borda), s.borda, ranked=False),
            ),
        )
        for s in held
    ]
    return Table(caption, "embedder", ("score", "ranks", "Borda"), tuple(rows))


def moved_table(tasks: Sequence[Paired], embedders: Sequence[str], count: int) -> Table:
    """The `count` queries of each pair whose values differ most; among equals, those whose best positive moved furthest."""
    rows = []
    for a, b in combinations(range(len(embedders)), 2):
        moved = [
            (
                -abs(task.values[n, a] - task.values[n, b]),
                -_distance(task.rows[a][n], task.rows[b][n]),
                task.label,
                n,
                task,
            )
            for task in tasks
            for n in range(len(task.values))
            if task.values[n, a] != task.values[n, b]
        ]
        for *_, label, n, task in sorted(moved, key=lambda entry: entry[:4])[:count]:
            values = (Cell(f"{task.values[n, e]:.3f}") for e in (a, b))
            ranks = (Cell(_rank(task.rows[e][n])) for e in (a, b))
            pair = Cell(_pair((embedders[a], embedders[b])))
            rows.append(Row(str(task.rows[a][n]["query"]), (Cell(label), pair, *values, *ranks)))
    caption = (
        "Queries that moved most, by the difference in the task's primary measure, then by how far the best positive moved. "
        "rank: places that the best positive shares, from the first to the last."
    )
    return Table(caption, "query", ("task", "pair", "first", "second", "rank first", "rank second"), tuple(rows))


def _table(
    caption: str, name: str, differences: Sequence[Difference], margin: float | None, own: tuple[str, ...]
) -> Table:
    columns = ["pair", "first", "second", "difference", "95 % interval", *own]
    columns += ["p", "mid-p", "p corrected", "win / tie / loss", "detectable"]
    if margin is not None:
        columns.append("p equivalent")
        caption += f" p equivalent: two one-sided tests that the difference lies within ±{percent(margin)}."
    rows = [Row(d.where, _cells(d, own, margin)) for d in differences]
    return Table(caption, name, tuple(columns), tuple(rows))


def _cells(d: Difference, own: tuple[str, ...], margin: float | None) -> tuple[Cell, ...]:
    shown = {
        "d": MISSING if d.standardised is None else Cell(f"{d.standardised:.2f}".replace("-0.00", "0.00")),
        "other tasks": MISSING if d.other_tasks is None else Cell(_interval(d.other_tasks)),
    }
    return (
        Cell(_pair(d.pair)),
        Cell(percent(d.scores[0])),
        Cell(percent(d.scores[1])),
        Cell(percent(d.difference)),
        Cell(_interval(d.interval)),
        *(shown[name] for name in own),
        Cell(p_value(d.test.p)),
        Cell(p_value(d.test.mid_p)),
        Cell(p_value(d.corrected)),
        Cell(" / ".join(map(str, d.win_tie_loss))),
        Cell(percent(d.detectable)),
        *(() if margin is None else (Cell(p_value(d.equivalent(margin))),)),
    )


def _counted(differences: Sequence[Difference], what: str) -> tuple[str, str]:
    """How many tests the family holds, in words."""

    def words(count: int, noun: str) -> str:
        return f"{count} {noun}{'s' if count != 1 else ''}"

    return words(len({d.where for d in differences}), what), words(len({d.pair for d in differences}), "pair")


def _pair(pair: tuple[str, str]) -> str:
    return f"{pair[0]} - {pair[1]}"


def _interval(interval: Interval) -> str:
    return f"[{percent(interval[0])}, {percent(interval[1])}]"


def p_value(p: float) -> str:
    """Three digits, or the power of ten below that."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _best(row: Mapping[str, Any]) -> tuple[int, int] | None:
    """Candidates above the best positive, and those of its score with itself; None if it was lost."""
    return min(zip(row["above"], row["tied"], strict=True), default=None)


def _rank(row: Mapping[str, Any]) -> str:
    best = _best(row)
    if best is None:
        return "-"
    above, tied = best
    return str(above + 1) if tied == 1 else f"{above + 1} to {above + tied}"


def _distance(row: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """How far the best positive moved, on a logarithmic scale of ranks; a lost one counts as last."""
    places = [_best(r) or (int(r["pool"]), 1) for r in (row, other)]
    return abs(math.log((places[0][0] + 1) / (places[1][0] + 1)))
