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
    MODELS = "models"
    LAYOUTS = "layouts"
    PUBLISHED = "published"


class Granularity(StrEnum):
    COARSE = "coarse"
    FINE = "fine"
    INSTRUCTION = "instruction"


class Modality(StrEnum):
    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"


class Status(StrEnum):
    OWN = "own"
    VERIFIED = "verified"
    RECONSTRUCTED = "reconstructed"
    UNVERIFIED = "unverified"
    INCOMPLETE = "incomplete"


@app.command("list")
def list_(
    what: Annotated[Kind, typer.Argument(help="what to list")] = Kind.ALL,
    granularity: Annotated[Granularity | None, typer.Option(help="tasks of this granularity")] = None,
    modality: Annotated[Modality | None, typer.Option(help="tasks with this on either side")] = None,
    status: Annotated[Status | None, typer.Option(help="tasks whose protocol is known this far")] = None,
) -> None:
    """Suites, tasks, embedders and model files that are known here; with a filter, the tasks that pass it; with a word,
    layouts of tables and published scores too."""
    from unite_bench.embedders.decoders.model_file import load_model_file, model_files
    from unite_bench.published import all_published
    from unite_bench.registry import problems, registered
    from unite_bench.report.board import layout_titles
    from unite_bench.report.catalogue import Filter, asks, counted, data_of, status_of
    from unite_bench.spec.catalogue import entries_of, load_entry, load_suite, suite_files, task_files

    wanted = Filter(granularity, modality, status)
    if wanted != Filter() and what is Kind.ALL:
        what = Kind.TASKS
    entries = [entry for entry in map(load_entry, task_files()) if wanted.wants(entry)]
    if what in (Kind.ALL, Kind.SUITES):
        rows = []
        for suite in map(load_suite, suite_files()):
            held = entries_of(suite)
            lacking = sum(status_of(entry) == "incomplete" for entry in held)
            said = f"{lacking:>3} incomplete" if lacking else ""
            rows.append((suite.name, f"{len(held):>3} tasks", said, suite.title or ""))
        _listed("Suites", rows)
    if what is Kind.TASKS:
        _listed("Tasks", [(t.name, asks(t), t.granularity, status_of(t), data_of(t), t.title or "") for t in entries])
        typer.echo(counted(map(status_of, entries)))
    if what is Kind.ALL:
        typer.echo(f"\n{counted(map(status_of, entries))}")
        typer.echo("`unite-bench list tasks --granularity fine --modality video` lists them, `unite-bench show TASK`")
        typer.echo("explains one, docs/catalogue.md has them all.\n")
    if what in (Kind.ALL, Kind.EMBEDDERS):
        broken = problems()
        known = sorted((name, entry.target) for name, entry in registered().items())
        _listed(
            "Embedders", [(name, f"BROKEN  {broken[name]}" if name in broken else target) for name, target in known]
        )
    if what in (Kind.ALL, Kind.MODELS):
        shipped = [load_model_file(path) for path in model_files().values()]
        _listed(
            "Models (--model vlm:NAME)", [(f.name, f.architecture, str(f.dim), f.title, f.obstacle) for f in shipped]
        )
    if what == Kind.LAYOUTS:
        _listed("Layouts", list(layout_titles().items()))
    if what == Kind.PUBLISHED:
        _listed("Published scores", [(f.name, f"{len(f.rows):>3} rows", f.title) for f in all_published()])


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
    item: Annotated[int | None, typer.Option(min=0, help="which query, counted from 0")] = None,
) -> None:
    """Explain a task in plain words; and, if its data are here, print exactly what a model gets for one query."""
    from unite_bench.errors import UsageError
    from unite_bench.report.explaining import in_words
    from unite_bench.sources.build import build
    from unite_bench.sources.opening import missing_datasets
    from unite_bench.spec.catalogue import load_entry
    from unite_bench.spec.model import PlannedTask

    loaded = load_entry(task)
    typer.echo("\n".join(in_words(loaded)))
    if isinstance(loaded, PlannedTask) or (item is None and missing_datasets(loaded)):
        return
    data, number = build(loaded), item or 0
    if number >= len(data.queries):
        raise UsageError(f"{loaded.name} has {len(data.queries)} queries, counted from 0; there is no {number}")
    pool = len(data.pools[number]) if data.pools is not None else len(data.candidates)
    right = len(data.qrels[number])
    typer.echo(f"\nquery {number} of {len(data.queries)}, pool of {pool} candidates, {right} positive\n")
    typer.echo("\n".join(_described(data.queries[number])))
    for at, grade in list(zip(data.qrels[number], data.qrels.values_of(number), strict=True))[:5]:
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
def schema(
    suite: Annotated[bool, typer.Option("--suite", help="of suite files")] = False,
    model: Annotated[bool, typer.Option("--model", help="of model files")] = False,
) -> None:
    """Print the JSON Schema of task (or suite, or model) files, for editors."""
    from unite_bench.embedders.decoders.model_file import ModelFile
    from unite_bench.spec.model import Suite, task_schema

    other = ModelFile if model else Suite if suite else None
    typer.echo(json.dumps(other.model_json_schema() if other else task_schema(), indent=1))


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
