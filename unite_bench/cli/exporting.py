"""`unite-bench export`: results in the formats of others. Nothing is encoded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unite_bench.cli import app

if TYPE_CHECKING:
    from unite_bench.results import Result

export = typer.Typer(help="Write results in the formats of others.", no_args_is_help=True)
app.add_typer(export, name="export")

Embedder = Annotated[str, typer.Argument(help="name of the embedder, as in its results")]
Results = Annotated[list[Path] | None, typer.Option(help="folder of results; may be repeated")]
Committed = Annotated[bool, typer.Option("--committed", help="read the results that ship with the package")]
SuiteNames = Annotated[list[str] | None, typer.Option("--suite", help="only its tasks; may be repeated")]
TaskNames = Annotated[list[str] | None, typer.Option("--task", help="only this task, by name or file; may be repeated")]


@export.command("trec")
def export_trec(
    embedder: Embedder,
    results: Results = None,
    committed: Committed = False,
    suite: SuiteNames = None,
    task: TaskNames = None,
    out: Annotated[Path, typer.Option(help="folder to write to")] = Path("unite-bench-trec"),
) -> None:
    """Write a run and qrels a task, as trec_eval reads them.

    A run has the candidates that were kept of each query: 10, or as many as `unite-bench run --first N` asked for.
    """
    from unite_bench.export.trec import write_trec

    for path, result in _chosen(embedder, results, committed, suite, task):
        for written in write_trec(path, result, out):
            typer.echo(str(written))


@export.command("mteb")
def export_mteb(
    embedder: Embedder,
    results: Results = None,
    committed: Committed = False,
    suite: SuiteNames = None,
    task: TaskNames = None,
    out: Annotated[Path, typer.Option(help="folder to write to")] = Path("unite-bench-mteb"),
) -> None:
    """Write one JSON a task, as mteb reads them."""
    from unite_bench.export.mteb import write_mteb

    for result in _whole(embedder, results, committed, suite, task):
        typer.echo(str(write_mteb(result, out)))


@export.command("card")
def export_card(
    embedder: Embedder,
    results: Results = None,
    committed: Committed = False,
    suite: SuiteNames = None,
    task: TaskNames = None,
    name: Annotated[str | None, typer.Option(help="of the model in the card [default: the embedder's]")] = None,
) -> None:
    """Print a section for the model's card: the `model-index` of its header, and a table."""
    from unite_bench.export.model_card import model_card

    typer.echo(model_card(_whole(embedder, results, committed, suite, task), name), nl=False)


def _chosen(
    embedder: str, results: list[Path] | None, committed: bool, suites: list[str] | None, tasks: list[str] | None
) -> list[tuple[Path, Result]]:
    from unite_bench.export.chosen import chosen
    from unite_bench.results import roots
    from unite_bench.spec.catalogue import load_suite, load_task, tasks_of

    folders = roots(results, committed)
    labels = [t.label for name in suites or [] for t in tasks_of(load_suite(name))]
    labels += [load_task(name).label for name in tasks or []]
    return chosen(folders, embedder, labels if suites or tasks else None)


def _whole(
    embedder: str, results: list[Path] | None, committed: bool, suites: list[str] | None, tasks: list[str] | None
) -> list[Result]:
    from unite_bench.export.chosen import whole

    return list(whole(_chosen(embedder, results, committed, suites, tasks)))
