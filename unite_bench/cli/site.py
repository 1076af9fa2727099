"""`unite-bench leaderboard --site`: results as pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from unite_bench.errors import UsageError
from unite_bench.report.site import write_site
from unite_bench.results import paths, read


def write(
    folders: Sequence[Path], out: Path, tasks: Sequence[str], suites: Sequence[str], examples: int, queries: bool | None
) -> None:
    """Write the site of the results under `folders` into `out`, and say what is in it."""
    found = [(path, read(path)) for path in paths(folders)]
    if not found:
        raise UsageError(f"no results in {', '.join(map(str, folders))}; `unite-bench run` writes them")
    built = write_site(found, out, tasks=tasks, suites=suites, examples=examples, queries=queries)
    counts = f"{built.embedders} embedders, {built.tasks} tasks, {built.results} results, {built.pairs} comparisons"
    typer.echo(f"{built.index}: {counts}")
    if built.left_out:
        typer.echo(f"left out, for want of their task files: {', '.join(built.left_out)}; add --task FILE", err=True)
