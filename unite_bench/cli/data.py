"""`unite-bench data`: fetch, verify, find and make data. Nothing is downloaded by any other command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unite_bench.cli import app

if TYPE_CHECKING:
    from unite_bench.sources.hub_store import Dataset

data = typer.Typer(help="Fetch, verify, find and make data.", no_args_is_help=True)
app.add_typer(data, name="data")
NAMES = "suites or tasks, by name or file"


@data.command("get")
def data_get(
    names: Annotated[list[str], typer.Argument(help=NAMES)],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask before downloading")] = False,
) -> None:
    """Download what these need and is not here yet; size and licence are shown first."""
    from unite_bench.fetching import download, offer
    from unite_bench.sources.hub_store import manifest

    missing = [dataset for dataset in _datasets(names) if manifest(dataset) is None]
    if not missing:
        typer.echo("Everything these need is on this machine.")
        return
    offers = [offer(dataset) for dataset in missing]
    for one in offers:
        typer.echo(f"{one.dataset.name}  {one.revision[:12]}  {one.size / 1e6:,.1f} MB  licence: {one.licence}")
    if not yes:
        typer.confirm(f"Download {sum(one.size for one in offers) / 1e6:,.1f} MB?", abort=True)
    for one in offers:
        typer.echo(f"{one.dataset.name}: {download(one)}")


@data.command("verify")
def data_verify(names: Annotated[list[str], typer.Argument(help=NAMES)]) -> None:
    """Compare the data of these, byte by byte, with what was downloaded."""
    from unite_bench.sources.hub_store import changed_files

    datasets = _datasets(names)
    findings = [finding for dataset in datasets for finding in changed_files(dataset)]
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


def _datasets(names: list[str]) -> list[Dataset]:
    """The hub datasets of these suites and tasks, each once."""
    from unite_bench.sources.hub_store import datasets_of
    from unite_bench.spec.catalogue import tasks_named
    from unite_bench.spec.source_kinds import HUB_SOURCES

    tasks = [task for name in names for task in tasks_named(name)]
    sources = dict.fromkeys(source for task in tasks for source in task.sources if isinstance(source, HUB_SOURCES))
    return list(dict.fromkeys(dataset for source in sources for dataset in datasets_of(source)))
