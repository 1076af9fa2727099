"""`list`, `show`, `validate`, `schema`, `store`: looking at tasks, models, data and vectors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unite_bench.cli import app

if TYPE_CHECKING:
    from unite_bench.items import Item


class Kind(StrEnum):
    ALL = "all"
    SUITES = "suites"
    TASKS = "tasks"
    EMBEDDERS = "embedders"


@app.command("list")
def list_(
    what: Annotated[Kind, typer.Argument(help="what to list")] = Kind.ALL,
    granularity: Annotated[str | None, typer.Option(help="tasks: coarse, fine or instruction")] = None,
    modality: Annotated[str | None, typer.Option(help="tasks with text, image or video on either side")] = None,
) -> None:
    """Suites, tasks and embedders that are known here."""
    from unite_bench.registry import problems, registered
    from unite_bench.report.catalogue import Filter, asks, data_of, protocol_of
    from unite_bench.spec.catalogue import entries_of, load_entry, load_suite, suite_files, task_files

    wanted = Filter(granularity, modality)
    if what in (Kind.ALL, Kind.SUITES):
        suites = [(suite, len(entries_of(suite))) for suite in map(load_suite, suite_files())]
        _listed("Suites", [(suite.name, f"{count:>3} tasks", suite.title or "") for suite, count in suites])
    if what in (Kind.ALL, Kind.TASKS):
        tasks = [entry for entry in map(load_entry, task_files()) if wanted.wants(entry)]
        _listed("Tasks", [(t.name, asks(t), t.granularity, protocol_of(t), data_of(t), t.title or "") for t in tasks])
    if what in (Kind.ALL, Kind.EMBEDDERS):
        broken = problems()
        known = sorted((name, entry.target) for name, entry in registered().items())
        _listed(
            "Embedders", [(name, f"BROKEN  {broken[name]}" if name in broken else target) for name, target in known]
        )


def _listed(heading: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Rows in columns as wide as they need to be."""
    if not rows:
        typer.echo(f"{heading}: none")
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    typer.echo(heading)
    for row in rows:
        typer.echo("  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


@app.command()
def show(
    task: Annotated[str, typer.Argument(help="task name or file")],
    item: Annotated[int, typer.Option(min=0, help="which query, counted from 0")] = 0,
) -> None:
    """Print exactly what a model gets for one query, its positives and the size of its pool."""
    from unite_bench.errors import UsageError
    from unite_bench.report.catalogue import in_words
    from unite_bench.sources.build import build
    from unite_bench.spec.catalogue import load_entry
    from unite_bench.spec.model import PlannedTask

    loaded = load_entry(task)
    if isinstance(loaded, PlannedTask):
        typer.echo("\n".join(in_words(loaded)))
        return
    data = build(loaded)
    if item >= len(data.queries):
        raise UsageError(f"{loaded.name} has {len(data.queries)} queries, counted from 0; there is no {item}")
    pool = len(data.pools[item]) if data.pools is not None else len(data.candidates)
    typer.echo(f"{loaded.label}: {loaded.title or ''}")
    typer.echo(f"query {item} of {len(data.queries)}, pool of {pool} candidates, {len(data.qrels[item])} positive\n")
    typer.echo("\n".join(_described(data.queries[item])))
    for at, grade in list(zip(data.qrels[item], data.qrels.values_of(item), strict=True))[:5]:
        typer.echo(f"\npositive, grade {grade:g}")
        typer.echo("\n".join(_described(data.candidates[at])))


def _described(item: Item) -> list[str]:
    """One line per part, as `media.resolve` leaves them for the model."""
    from unite_bench import media
    from unite_bench.items import Image, Text, Video

    lines = [f"  id           {item.id} (not shown to the model)", f"  modality     {item.modality}"]
    lines += [f"  instruction  {item.instruction!r}"] if item.instruction is not None else []
    for part in media.resolve(item).parts:
        if isinstance(part, Text):
            lines.append(f"  text         {part.text!r}")
        elif isinstance(part, Image):
            height, width = media.pixels(part).shape[:2]
            lines.append(f"  image        {part.medium.name}, {width} x {height}")
        elif isinstance(part, Video):
            clip = media.frames(part)
            height, width = clip.pixels.shape[1:3]
            times = ", ".join(f"{t:.2f}" for t in clip.times)
            lines.append(f"  video        {part.medium.name}, {len(clip.times)} frames of {width} x {height}")
            lines.append(f"               at seconds {times}")
    return lines


@app.command()
def validate(
    tasks: Annotated[list[str], typer.Argument(help="task files or names")],
    media: Annotated[bool, typer.Option("--media", help="decode every picture and clip as well")] = False,
) -> None:
    """Check task files and their data: schema, columns, ids, judgements, media. Every finding at once."""
    from unite_bench.validation import validate as check

    findings = 0
    for name in tasks:
        report = check(name, with_media=media)
        for finding in report.findings:
            typer.echo(finding, err=True)
        findings += len(report.findings)
        if not report.findings:
            typer.echo(f"{name}: valid, {report.summary}")
    if findings:
        typer.echo(f"{findings} findings", err=True)
        raise typer.Exit(1)


@app.command()
def schema(suite: Annotated[bool, typer.Option("--suite", help="of suite files")] = False) -> None:
    """Print the JSON Schema of task (or suite) files, for editors."""
    from unite_bench.spec.model import Suite, task_schema

    typer.echo(json.dumps(Suite.model_json_schema() if suite else task_schema(), indent=1))


store = typer.Typer(help="Look after the vector store.", no_args_is_help=True)
app.add_typer(store, name="store")


@store.command("info")
def store_info(root: Annotated[Path | None, typer.Option("--store", help="the vector store")] = None) -> None:
    """List the embedders whose vectors are stored, with counts and sizes."""
    from unite_bench.encode.store import default_root, inventory

    place = root or default_root()
    typer.echo(f"{place}")
    for entry in inventory(place):
        typer.echo(f"  {entry.name:<28}{entry.fingerprint[:12]}  {entry.shards:>6} shards  {entry.megabytes:>9.1f} MB")


@store.command("collect")
def store_collect(
    root: Annotated[Path | None, typer.Option("--store", help="the vector store")] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="remove shards that fail their checksum")] = False,
    fingerprint: Annotated[str | None, typer.Option(help="remove all vectors of this embedder (prefix)")] = None,
) -> None:
    """Free space: leftovers of killed runs always; damaged shards or one embedder's vectors if asked."""
    from unite_bench.encode.store import collect, default_root

    removed = collect(root or default_root(), damaged=damaged, fingerprint=fingerprint)
    typer.echo(f"removed {len(removed)} files")
