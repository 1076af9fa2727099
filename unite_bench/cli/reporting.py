"""`unite-bench leaderboard`: results as tables."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
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


class Highlight(StrEnum):
    BOTH = "both"
    BEST = "best"
    NONE = "none"


@app.command()
def leaderboard(
    results: Annotated[list[Path] | None, typer.Option(help="folder of results; may be repeated")] = None,
    suite: Annotated[list[str] | None, typer.Option(help="suite to tabulate; may be repeated")] = None,
    task: Annotated[list[str] | None, typer.Option(help="task name or file, tabulated together")] = None,
    committed: Annotated[bool, typer.Option("--committed", help="read the results that ship with the package")] = False,
    layout: Annotated[
        str, typer.Option(help="embedded (by granularity and modality), by-task, mmeb, ..., or a file; `list layouts`")
    ] = "embedded",
    per_task: Annotated[bool, typer.Option("--per-task", help="one column a task, raw scores")] = False,
    published: Annotated[
        list[str] | None, typer.Option(help="published scores beside the measured: a name, or `all`; may be repeated")
    ] = None,
    intervals: Annotated[bool, typer.Option("--intervals", help="with 95 % intervals")] = False,
    against: Annotated[
        str | None, typer.Option(help="mark what is significantly better or worse than this embedder")
    ] = None,
    variants: Annotated[Path | None, typer.Option(help="YAML file of an ablation, for --layout ablation")] = None,
    columns: Annotated[list[str] | None, typer.Option(help="column or pattern, in the order given")] = None,
    rows: Annotated[list[str] | None, typer.Option(help="embedder or pattern, in the order given")] = None,
    order: Annotated[str | None, typer.Option(help="column to sort by, best first, or `name`")] = None,
    group: Annotated[list[str] | None, typer.Option(help="rows by `backbone` or `size`; may be repeated")] = None,
    precision: Annotated[int, typer.Option(min=0, max=4, help="digits after the point")] = 1,
    highlight: Annotated[Highlight, typer.Option(help="best in bold and second best underlined")] = Highlight.BOTH,
    transpose: Annotated[bool, typer.Option("--transpose", help="embedders as columns")] = False,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.MARKDOWN,
    site: Annotated[Path | None, typer.Option("--site", help="write a static site into this folder instead")] = None,
    examples: Annotated[int, typer.Option(min=0, help="with --site: queries shown of each task")] = 3,
    queries: Annotated[
        bool | None,
        typer.Option(
            "--queries/--no-queries",
            help="with --site: compare embedders query by query [default: up to 2,000 results]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print embedders by granularity and modality, by task, or as a paper prints them. Real data and scenes are never
    averaged together."""
    from unite_bench.report.arrange import arranged
    from unite_bench.report.board import Wanted, boards
    from unite_bench.report.formats import FORMATS
    from unite_bench.results import roots

    if site is not None:
        from unite_bench.cli.site import write as write_site

        with _nothing_collected():
            write_site(roots(results, committed), site, task or [], suite or [], examples, queries)
        return
    wanted = Wanted(
        layout="by-task" if per_task and layout == "embedded" else layout,
        folders=tuple(results or ()),
        committed=committed,
        suites=tuple(suite or ()),
        tasks=tuple(task or ()),
        published=tuple(published or ()),
        per_task=per_task,
        intervals=intervals,
        against=against,
        columns=tuple(columns or ()),
        rows=tuple(rows or ()),
        variants=variants,
        digits=precision,
    )
    tables = []
    with _nothing_collected():
        for table in boards(wanted):
            laid = arranged(table, columns or (), rows or (), order, group or (), highlight.value)
            tables.append(laid.transposed() if transpose else laid)
        typer.echo("\n\n".join(map(FORMATS[format_.value], tables)))


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Everything that is read is kept to the end; looking through it again and again takes half of the time at 40,000
    results."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
