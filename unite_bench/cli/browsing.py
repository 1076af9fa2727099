"""`unite-bench report`: the queries of a result as pages to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unite_bench.cli import app


@app.command()
def report(
    results_or_embedders: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULT...", help="one or two: the .json of a result, or an embedder's name with --task"
        ),
    ],
    out: Annotated[Path, typer.Option(help="folder that the pages are written to")],
    task: Annotated[
        str | None, typer.Option(help="task name or file; needed for a task of your own, and to name embedders")
    ] = None,
    results: Annotated[list[Path] | None, typer.Option(help="folder of results; may be repeated")] = None,
    committed: Annotated[bool, typer.Option("--committed", help="find results that ship with the package")] = False,
    thumbnail: Annotated[int, typer.Option(min=16, max=4096, help="longest side of pictures, in pixels")] = 320,
) -> None:
    """Write pages on which every query of a result can be read: what was asked, the ranks of the positives, the first hits.

    With two results of one task they stand side by side. Results of other data or protocols are refused.
    """
    from unite_bench.cli.progress import counting
    from unite_bench.report.browser.page import write_browser
    from unite_bench.report.browser.reading import find, open_results
    from unite_bench.results import roots
    from unite_bench.spec.catalogue import load_task

    folders = roots(results, committed)
    chosen = load_task(task) if task else None
    reading = open_results(find(results_or_embedders, chosen, folders), chosen)
    if reading.unchecked:
        typer.echo(f"warning: {reading.unchecked}", err=True)
    with counting("queries") as progress:
        page = write_browser(reading, out, thumbnail, progress)
    typer.echo(f"{page}: {len(reading.rows[0])} queries")
