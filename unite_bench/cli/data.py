"""`unite-bench data`: fetch, verify, find and make data. Nothing is downloaded by any other command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unite_bench.cli import app

if TYPE_CHECKING:
    from unite_bench.sources.hub_store import Dataset
    from unite_bench.spec.model import Task
    from unite_bench.validation import Report

data = typer.Typer(help="Fetch, verify, find and make data.", no_args_is_help=True)
app.add_typer(data, name="data")
NAMES = "suites or tasks, by name or file"


@data.command("get")
def data_get(
    names: Annotated[list[str], typer.Argument(help=NAMES)],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before downloading")] = False,
) -> None:
    """Download what these need and is not here yet; size and licence are shown first, rows are counted afterwards."""
    from unite_bench.sources.hub_store import manifest

    missing = [dataset for dataset in _datasets(names) if manifest(dataset) is None]
    if not missing:
        typer.echo("Everything these need is on this machine.")
        return
    refused = fetch(missing, ask=not yes)
    faults = [fault for name in names for task in _fetched(name) if (fault := _counted(task))]
    if refused:
        typer.echo(f"not fetched: {refused} of {len(missing)} datasets, for the reasons above", err=True)
    if faults or refused:
        raise typer.Exit(1)


def fetch(datasets: list[Dataset], ask: bool) -> int:
    """Say what each download would bring, ask if wanted, and fetch one after the other.

    Returns how many the hub does not give: they are named with the cure, and keep none of the others back.
    """
    from unite_bench.errors import NotOffered
    from unite_bench.fetching import download, offer

    offers, refused = [], 0
    for dataset in datasets:
        try:
            offers.append(offer(dataset))
            typer.echo(str(offers[-1]), err=True)
        except NotOffered as error:
            refused += 1
            typer.echo(str(error), err=True)
    total = f"{sum(one.size for one in offers) / 1e6:,.1f} MB"
    if ask and offers:
        typer.confirm(f"Download {total}?", abort=True)
    for number, one in enumerate(offers, start=1):
        typer.echo(f"[{number}/{len(offers)}] {one.dataset.name}", err=True)
        try:
            typer.echo(f"{one.dataset.name}: {download(one)}", err=True)
        except NotOffered as error:
            refused += 1
            typer.echo(str(error), err=True)
    return refused


def _fetched(name: str) -> list[Task]:
    """The tasks of a suite, or the task, that read datasets of the hub and have them all."""
    from unite_bench.sources.opening import missing_datasets
    from unite_bench.spec.catalogue import tasks_named
    from unite_bench.spec.source_kinds import HUB_SOURCES

    of_the_hub = [t for t in tasks_named(name) if any(isinstance(source, HUB_SOURCES) for source in t.sources)]
    return [task for task in of_the_hub if not missing_datasets(task)]


def _counted(task: Task) -> str:
    """Count the rows of a task against those that its file expects; what is wrong with it, or ""."""
    from unite_bench.errors import DataError
    from unite_bench.sources.build import build, unexpected

    try:
        data = build(task)
    except DataError as error:
        typer.echo(f"{task.name}: {error}", err=True)
        return str(error)
    typer.echo(f"{task.name}: {len(data.queries):,} queries, {data.rows:,} candidates")
    for warning in unexpected(task, len(data.queries), data.rows):
        typer.echo(f"  {warning}", err=True)
    return ""


@data.command("verify")
def data_verify(names: Annotated[list[str], typer.Argument(help=NAMES)]) -> None:
    """Compare the data of these, byte by byte, with what was downloaded, and unpacked media with their archives."""
    from unite_bench.fetching import changed_members
    from unite_bench.sources.hub_store import changed_files

    datasets = _datasets(names)
    findings = [f for dataset in datasets for f in (list(changed_files(dataset)) or changed_members(dataset))]
    for finding in findings:
        typer.echo(finding, err=True)
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{len(datasets)} datasets are as they were downloaded")


@data.command("path")
def data_path(names: Annotated[list[str], typer.Argument(help=NAMES)]) -> None:
    """Print where the data of these lie, or would lie."""
    from unite_bench.sources.hub_store import home, manifest, resolved

    for dataset in _datasets(names):
        folder = home(dataset) / (resolved(dataset) or "(revision not known before the first download)")
        typer.echo(f"{folder}{'' if manifest(dataset) else '  (not here)'}")


@data.command("fresh")
def data_fresh(
    seed: Annotated[int, typer.Option(min=0, help="of scenes that nobody has seen: 0 to 999999, but not 7001")],
    queries: Annotated[int, typer.Option(min=1, help="of each task, at most")] = 2000,
    out: Annotated[Path | None, typer.Option(help="suite file to write [default: scenes-SEED.yaml]")] = None,
) -> None:
    """Write a suite with every task of the procedural world, drawn from a seed of your own.

    The file is all there is to it: pictures and clips follow from the seed and are rendered as they are needed.
    """
    from unite_bench.fresh import write_fresh_suite

    path = out or Path(f"scenes-{seed}.yaml")
    tasks = write_fresh_suite(path, seed, queries)
    typer.echo(f"{path}: {tasks} tasks with at most {queries} queries each")
    typer.echo(f"Next: unite-bench run --model reference --suite {path}")


@data.command("import-beir")
def data_import_beir(
    folder: Annotated[Path, typer.Argument(help="with corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv")],
    name: Annotated[str | None, typer.Option(help="of the task [default: the folder's]")] = None,
    split: Annotated[str | None, typer.Option(help="of the judgements [default: test, or the only one]")] = None,
) -> None:
    """Write a task file into a BEIR folder, check it, and say how to run it."""
    from unite_bench.importing import import_beir

    _imported(*import_beir(folder, name, split))


@data.command("import-csv")
def data_import_csv(
    table: Annotated[Path, typer.Argument(help="CSV, JSONL or Parquet file")],
    query: Annotated[list[str] | None, typer.Option(help="KIND=COLUMN, as text=caption; may be repeated")] = None,
    candidate: Annotated[list[str] | None, typer.Option(help="KIND=COLUMN, as image=photo; may be repeated")] = None,
    name: Annotated[str | None, typer.Option(help="of the task [default: the file's]")] = None,
    relevant: Annotated[str | None, typer.Option(help="column with the ids of what is right [default: by row]")] = None,
    identity: Annotated[str | None, typer.Option("--id", help="column with unique ids [default: row number]")] = None,
    granularity: Annotated[str, typer.Option(help="coarse, fine or instruction")] = "coarse",
) -> None:
    """Write a task file beside a table, check it, and say how to run it."""
    from unite_bench.importing import import_table

    _imported(*import_table(table, query or [], candidate or [], name, relevant, identity, granularity))


def _imported(path: Path, report: Report) -> None:
    typer.echo(f"{path}: {report.summary}")
    typer.echo(f"Next: unite-bench run --model reference --task {path}")


def _datasets(names: list[str]) -> list[Dataset]:
    """The hub datasets of these suites and tasks, each once. Incomplete tasks are counted aloud, and refused if alone."""
    from unite_bench.errors import UsageError
    from unite_bench.sources.hub_store import datasets_of
    from unite_bench.spec.catalogue import entries_named
    from unite_bench.spec.model import PlannedTask, Task
    from unite_bench.spec.source_kinds import HUB_SOURCES

    entries = [entry for name in names for entry in entries_named(name)]
    tasks = [entry for entry in entries if isinstance(entry, Task)]
    incomplete = list(dict.fromkeys(entry.name for entry in entries if isinstance(entry, PlannedTask)))
    if incomplete:
        left_out = f"{len(incomplete)} tasks are incomplete, and their data not known"
        said = f"{left_out}; `unite-bench show {incomplete[0]}` says what is missing of the first"
        if not tasks:
            raise UsageError(said)
        typer.echo(said, err=True)
    sources = dict.fromkeys(source for task in tasks for source in task.sources if isinstance(source, HUB_SOURCES))
    return list(dict.fromkeys(dataset for source in sources for dataset in datasets_of(source)))
