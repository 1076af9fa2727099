"""What the rows of queries add: where the best positive stands, and embedders against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unite_bench.report.comparison import CORRECTIONS, Difference, suite_differences, task_differences
from unite_bench.report.pairing import Paired, Rows, pair_of
from unite_bench.report.site.collect import Collected
from unite_bench.spec.model import Task

CORRECTION = "holm"
PLACES = (1, 5, 10, 100)  # the last place of each bin of ranks; what stands behind them is a bin of its own
Pair = tuple[str, str]


@dataclass(frozen=True)
class Queries:
    """`places` holds (task label, embedder) to the share of queries in each bin of PLACES; `tasks` and `suites` the
    differences of every pair of embedders that can be compared."""

    places: Mapping[tuple[str, str], tuple[float, ...]]
    tasks: Mapping[Pair, Sequence[Difference]]
    suites: Mapping[Pair, Sequence[Difference]]


def read_queries(collected: Collected) -> Queries:
    """Read the rows of all results. Raises DataError or StoreError as `unite-bench compare` does."""
    paired = {task.label: _of_task(collected, task) for task in collected.tasks}
    places = {
        (label, name): best_places(rows)
        for label, (names, of) in paired.items()
        for name, rows in zip(names, of.rows, strict=True)
    }
    by_task = [d for names, of in paired.values() for d in task_differences([of], names, CORRECTION)]
    suites = [d for suite, tasks in collected.suites if suite.aggregate for d in _of_suite(suite.name, tasks, paired)]
    return Queries(places, _by_pair(by_task), _by_pair(suites))


def best_places(rows: Rows) -> tuple[float, ...]:
    """Share of the queries whose best positive stands in each bin. A place shared by several is spread evenly over the
    places that they fill; a lost positive stands behind all."""
    edges = np.array([0, *PLACES])
    counts = np.zeros(len(PLACES) + 1)
    for row in rows:
        above, tied = min(zip(row["above"], row["tied"], strict=True), default=(int(row["pool"]), 1))
        inside = np.clip(edges, above, above + tied)  # places up to each edge that the best positive may fill
        shares = np.diff(inside) / tied
        counts[:-1] += shares
        counts[-1] += 1.0 - shares.sum()
    return tuple(np.round(counts / len(rows), 6).tolist())


def _of_task(collected: Collected, task: Task) -> tuple[list[str], Paired]:
    """The embedders on a task, in the order of the leaderboard's rows, and their rows side by side."""
    held = collected.on(task)
    return list(held), pair_of(task.label, list(held), [(s.path, s.result) for s in held.values()])


def _of_suite(name: str, tasks: Sequence[Task], paired: Mapping[str, tuple[list[str], Paired]]) -> Iterable[Difference]:
    """Differences over a suite between the embedders that have a result for all of its tasks."""
    if any(task.label not in paired for task in tasks):
        return []
    whole = [e for e in paired[tasks[0].label][0] if all(e in paired[task.label][0] for task in tasks)]
    of = [_only(*paired[task.label], whole) for task in tasks]
    return suite_differences([(name, of)], whole, CORRECTION) if len(whole) > 1 else []


def _only(names: Sequence[str], of: Paired, kept: Sequence[str]) -> Paired:
    columns = [names.index(name) for name in kept]
    return replace(of, values=of.values[:, columns], rows=tuple(of.rows[column] for column in columns))


def _by_pair(differences: Iterable[Difference]) -> dict[Pair, list[Difference]]:
    """By pair of embedders, p-values corrected over what one pair is compared on: the family of one page."""
    grouped: dict[Pair, list[Difference]] = {}
    for difference in differences:
        grouped.setdefault(difference.pair, []).append(difference)
    for pair, of in grouped.items():
        corrected = CORRECTIONS[CORRECTION](np.array([d.test.p for d in of]))
        grouped[pair] = [replace(d, corrected=float(p)) for d, p in zip(of, corrected, strict=True)]
    return grouped
