"""`ub.compare` and `unite-bench compare`: which results are compared, and all that is found out about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from unite_bench.errors import UsageError
from unite_bench.report.comparison import Difference, Standing, standings, suite_differences, task_differences
from unite_bench.report.comparison_tables import moved_table, standings_table, suite_table, task_table
from unite_bench.report.formats import markdown
from unite_bench.report.pairing import Paired, paired
from unite_bench.report.table import Table
from unite_bench.results import Result, paths, read
from unite_bench.spec.catalogue import load_suite, load_task, tasks_of
from unite_bench.spec.model import Suite, Task

DEFAULT_SUITES = ("embedded-sanity", "embedded-scenes")
Correction = Literal["holm", "benjamini-hochberg"]


@dataclass(frozen=True)
class Comparison:
    """Two or more embedders over the same queries. `str` gives all tables in Markdown.

    `tasks` and `suites` hold one difference for each task or suite and pair of embedders, `standings` the embedders of each
    suite by score if there are more than two. A suite stands here if all its tasks have results and may be averaged.
    `paired` holds the values behind them, query by query; `left_out` counts tasks that were asked for and lack a result.
    """

    embedders: tuple[str, ...]
    tasks: tuple[Difference, ...]
    suites: tuple[Difference, ...]
    standings: Mapping[str, tuple[Standing, ...]]
    paired: tuple[Paired, ...]
    correction: Correction
    left_out: int

    def tables(self, margin: float | None = None, moved: int = 0) -> list[Table]:
        """What was found as tables. With a `margin` (a share of 1), the equivalence test that differences lie within it;
        with `moved`, that many queries of each pair that moved most.

        Raises UsageError if the margin is not positive.
        """
        if margin is not None and margin <= 0.0:
            raise UsageError("a margin must be positive: an equivalence test needs a difference that would not matter")
        tables = [task_table(self.tasks, self.left_out, self.correction, margin)]
        if self.suites:
            tables.append(suite_table(self.suites, self.correction, margin))
        tables += [standings_table(name, held) for name, held in self.standings.items()]
        if moved:
            tables.append(moved_table(self.paired, self.embedders, moved))
        return [replace(table, caption=table.caption + self.paired[0].protocol) for table in tables]

    def __str__(self) -> str:
        return "\n\n".join(map(markdown, self.tables()))


def compare(
    results: Iterable[Result | Path | str],
    embedders: Sequence[str] | None = None,
    *,
    suites: Sequence[Suite | str] | None = None,
    tasks: Sequence[Task | str] | None = None,
    correction: Correction = "holm",
) -> Comparison:
    """Compare embedders by task and by suite: differences with intervals, paired tests, rank sets.

    `results` are folders of results, or results of `evaluate`; `embedders` the names to compare, in this order (all there
    are results of, unless given). Without `suites` and `tasks`: every task that all have results for, and the suites of the
    package. p-values are corrected over all pairs and tasks, and over all pairs and suites.

    Raises UsageError if there are not two embedders or no task is shared, DataError if results are of different task
    versions, data, protocols or queries.
    """
    held = list(_single(results))
    names = list(dict.fromkeys(_embedder(result) for result in held) if embedders is None else embedders)
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(f"name two or more different embedders; these are {', '.join(names) or 'none'}")
    everything = not suites and not tasks
    named = [(suite, [task.label for task in tasks_of(suite)]) for suite in _suites(suites, everything)]
    chosen = [label for _, of in named for label in of]
    chosen += [(load_task(task) if isinstance(task, str) else task).label for task in tasks or []]
    wanted = None if everything else list(dict.fromkeys(chosen))
    found = paired(held, names, wanted)
    by_label = {of.label: of for of in found}
    whole = [
        (suite.title or suite.name, [by_label[label] for label in of])
        for suite, of in named
        if suite.aggregate and all(label in by_label for label in of)
    ]
    return Comparison(
        embedders=tuple(names),
        tasks=tuple(task_differences(found, names, correction)),
        suites=tuple(suite_differences(whole, names, correction)) if whole else (),
        standings={name: tuple(standings(of, names)) for name, of in whole} if len(names) > 2 else {},
        paired=tuple(found),
        correction=correction,
        left_out=0 if wanted is None else len(wanted) - len(found),
    )


def _single(results: Iterable[Result | Path | str]) -> Iterable[Result | Path]:
    """Results as they are, folders as the JSON of each result in them."""
    for given in results:
        if isinstance(given, Result):
            yield given
        else:
            yield from paths([Path(given)])


def _embedder(result: Result | Path) -> str:
    return result.embedder if isinstance(result, Result) else read(result).embedder


def _suites(suites: Sequence[Suite | str] | None, everything: bool) -> list[Suite]:
    given = DEFAULT_SUITES if everything else suites or ()
    return [load_suite(suite) if isinstance(suite, str) else suite for suite in given]
