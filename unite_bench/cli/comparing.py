"""`unite-bench compare`: embedders against each other over the same queries."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unite_bench.cli import app
from unite_bench.cli.reporting import Format


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
    from unite_bench.report.comparing import compare as compare_results
    from unite_bench.report.formats import FORMATS
    from unite_bench.results import roots

    folders = roots(results, committed)
    found = compare_results(folders, embedders, suites=suite, tasks=task, correction=correction.value)
    typer.echo("\n\n".join(FORMATS[format_.value](table) for table in found.tables(margin, moved)))
