"""`unite-bench leaderboard`: results as tables."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unite_bench.cli import app


class Format(StrEnum):
    MARKDOWN = "markdown"
    CSV = "csv"
    LATEX = "latex"
    HTML = "html"


@app.command()
def leaderboard(
    results: Annotated[list[Path] | None, typer.Option(help="folder of results; may be repeated")] = None,
    suite: Annotated[list[str] | None, typer.Option(help="suite to tabulate; may be repeated")] = None,
    task: Annotated[list[str] | None, typer.Option(help="task name or file, tabulated together")] = None,
    committed: Annotated[bool, typer.Option("--committed", help="read the results that ship with the package")] = False,
    per_task: Annotated[bool, typer.Option("--per-task", help="one column a task, raw scores")] = False,
    intervals: Annotated[bool, typer.Option("--intervals", help="with --per-task: 95 % intervals")] = False,
    temporal: Annotated[bool, typer.Option("--temporal", help="tasks over clips less their controls")] = False,
    by_instruction: Annotated[
        bool, typer.Option("--instructions", help="scores over the wordings of instructions, and under wrong ones")
    ] = False,
    transpose: Annotated[bool, typer.Option("--transpose", help="embedders as columns")] = False,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.MARKDOWN,
) -> None:
    """Print embedders by granularity and modality, or by task. Real data and scenes are never averaged together."""
    from unite_bench.errors import UsageError
    from unite_bench.report.formats import FORMATS
    from unite_bench.report.instructions import instructions_table
    from unite_bench.report.leaderboard import by_group, by_task
    from unite_bench.report.temporal import temporal_table
    from unite_bench.results import committed_root, read_all
    from unite_bench.spec.catalogue import load_suite, load_task, tasks_of
    from unite_bench.spec.model import Suite

    folders = [*(results or []), *([committed_root()] if committed else [])] or [Path("unite-bench-results")]
    found = list(read_all(folders))
    if not found:
        raise UsageError(f"no results in {', '.join(map(str, folders))}; `unite-bench run` writes them")
    write = FORMATS[format_.value]
    if temporal or by_instruction:
        typer.echo(write(temporal_table(found) if temporal else instructions_table(found)))
        return
    named = [(s, tasks_of(s)) for s in map(load_suite, suite or [])]
    if task:
        named.append((Suite(name="tasks", title="Chosen tasks", tasks=task), [load_task(name) for name in task]))
    if not named:
        defaults = map(load_suite, ("embedded-sanity", "embedded-scenes"))
        named = [(s, tasks_of(s)) for s in defaults]
    if not suite and not task:  # by default, whichever of the two there are results for
        there = {result.record["task"]["label"] for result in found}
        named = [(s, tasks) for s, tasks in named if any(t.label in there for t in tasks)]
    tables = [by_task(s, tasks, found, intervals) if per_task else by_group(s, tasks, found) for s, tasks in named]
    typer.echo("\n\n".join(write(table.transposed() if transpose else table) for table in tables))
