"""`unite-bench compare`: embedders against each other over the same queries."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unite_bench.cli import app
from unite_bench.cli.reporting import Format

DEFAULT_SUITES = ("embedded-sanity", "embedded-scenes")


class Correction(StrEnum):
    HOLM = "holm"
    BENJAMINI_HOCHBERG = "benjamini-hochberg"


@app.command()
def compare(
    embedders: Annotated[list[str], typer.Argument(help="two or more names of embedders, as in their results")],
    results: Annotated[list[Path] | None, typer.Option(help="folder of results; may be repeated")] = None,
    committed: Annotated[bool, typer.Option("--committed", help="read the results that ship with the package")] = False,
    suite: Annotated[
        list[str] | None, typer.Option(help="suite to compare on; may be repeated [default: every task]")
    ] = None,
    task: Annotated[list[str] | None, typer.Option(help="task name or file; may be repeated")] = None,
    correction: Annotated[
        Correction, typer.Option(help="of p-values over all pairs and tasks of a table")
    ] = Correction.HOLM,
    margin: Annotated[
        float | None, typer.Option(min=0.0, help="test that differences lie within this, as a share of 1")
    ] = None,
    moved: Annotated[int, typer.Option(min=0, help="show this many queries of each pair that moved most")] = 0,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.MARKDOWN,
) -> None:
    """Print differences by task and by suite with intervals, p-values and wins.

    Without --suite and --task: every task that all have results for, and the suites of the package. Results of other
     task versions, data, protocols or queries are refused.
    """
    from unite_bench.errors import UsageError
    from unite_bench.report.comparison import standings, suite_differences, task_differences
    from unite_bench.report.comparison_tables import moved_table, standings_table, suite_table, task_table
    from unite_bench.report.formats import FORMATS
    from unite_bench.report.pairing import paired
    from unite_bench.results import committed_root, paths
    from unite_bench.spec.catalogue import load_suite, load_task, tasks_of

    if len(embedders) < 2 or len(set(embedders)) < len(embedders):
        raise UsageError("name two or more different embedders")
    if margin == 0.0:
        raise UsageError("--margin must be positive: an equivalence test needs a difference that would not matter")
    folders = [*(results or []), *([committed_root()] if committed else [])] or [Path("unite-bench-results")]
    everything = not suite and not task
    suites = [
        (s, [t.label for t in tasks_of(s)]) for s in map(load_suite, DEFAULT_SUITES if everything else suite or [])
    ]
    labels = [label for _, of in suites for label in of] + [load_task(name).label for name in task or []]
    chosen = None if everything else list(dict.fromkeys(labels))
    tasks = paired(paths(folders), embedders, chosen)

    held = {of.label: of for of in tasks}
    correct = correction.value
    left_out = 0 if chosen is None else len(chosen) - len(tasks)
    tables = [task_table(task_differences(tasks, embedders, correct), left_out, correct, margin)]
    # A suite has a mean where every task has a result and its tasks may be averaged at all.
    whole = [
        (s.title or s.name, [held[label] for label in of])
        for s, of in suites
        if s.aggregate and all(label in held for label in of)
    ]
    if whole:
        tables.append(suite_table(suite_differences(whole, embedders, correct), correct, margin))
    if len(embedders) > 2:
        tables += [standings_table(name, standings(of, embedders)) for name, of in whole]
    if moved:
        tables.append(moved_table(tasks, embedders, moved))
    typer.echo("\n\n".join(FORMATS[format_.value](table) for table in tables))
