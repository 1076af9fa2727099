"""`unite-bench run`: measure one embedder on tasks or suites."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unite_bench.cli import app

if TYPE_CHECKING:
    from unite_bench.running import Outcome
    from unite_bench.spec.model import Task


class Instructions(StrEnum):
    TASK = "task"
    NONE = "none"
    MODEL = "model"
    PUBLISHED = "published"


class Frames(StrEnum):
    CONTROLLED = "controlled"
    NATIVE = "native"


class Reader(StrEnum):
    PYAV = "pyav"
    DECORD = "decord"


class Dtype(StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Compat(StrEnum):
    NONE = "none"
    MMEB = "mmeb"
    TREC = "trec"


class OnError(StrEnum):
    FAIL = "fail"
    SKIP = "skip"


@app.command()
def run(
    model: Annotated[str, typer.Option(help="NAME[:ARG], a model file .yaml, file.py:Class or module:Class")],
    model_arg: Annotated[
        list[str] | None, typer.Option(help="key=value for the model's constructor; may be repeated")
    ] = None,
    suite: Annotated[list[str] | None, typer.Option(help="suite name or file; may be repeated")] = None,
    task: Annotated[list[str] | None, typer.Option(help="task name or file; may be repeated")] = None,
    results: Annotated[Path, typer.Option(help="where results are written")] = Path("unite-bench-results"),
    store: Annotated[Path | None, typer.Option(help="vector store [default: $UNITE_BENCH_STORE or user cache]")] = None,
    instructions: Annotated[
        Instructions, typer.Option(help="the task's wording, none, the model's own, or the published texts")
    ] = Instructions.TASK,
    frames: Annotated[
        Frames, typer.Option(help="of clips: the task's, or those of the model's card")
    ] = Frames.CONTROLLED,
    reader: Annotated[Reader, typer.Option(help="what decodes clips")] = Reader.PYAV,
    compat: Annotated[Compat, typer.Option(help="ranks as MMEB's code or trec_eval counts them")] = Compat.NONE,
    dual_softmax: Annotated[
        float | None, typer.Option(metavar="TEMPERATURE", help="scores times their softmax over all queries")
    ] = None,
    on_error: Annotated[OnError, typer.Option(help="stop at, or count, items that cannot be encoded")] = OnError.FAIL,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N queries; marked partial")] = None,
    first: Annotated[int, typer.Option(min=1, help="candidates of each query kept in its row")] = 10,
    fuse: Annotated[bool, typer.Option(help="lift a single-modality model to fused items and clips")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1")] = "cpu",
    dtype: Annotated[Dtype, typer.Option(help="of the model's weights and arithmetic")] = Dtype.FLOAT32,
    download: Annotated[bool, typer.Option("--download", help="fetch missing data first, without asking")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a task on standard output")] = False,
) -> None:
    """Measure one embedder and print a table of every task."""
    from unite_bench.cli.data import fetch
    from unite_bench.cli.progress import Reporter
    from unite_bench.embedders.fusion import FusedEmbedder
    from unite_bench.embedders.oracle import OracleEmbedder
    from unite_bench.errors import UsageError
    from unite_bench.protocol import Settings
    from unite_bench.registry import load_embedder
    from unite_bench.running import run as run_tasks
    from unite_bench.sources.opening import missing_datasets

    chosen = chosen_tasks(suite or [], task or [])
    if download:
        fetch(list(dict.fromkeys(dataset for task in chosen for dataset in missing_datasets(task))), ask=False)
    tasks = [task for task in chosen if not missing_datasets(task)]
    if not tasks:
        raise UsageError(f"none of the {len(chosen)} tasks has its data on this machine; {_cure(suite, task)}")
    embedder = load_embedder(model, model_arg or ())
    if fuse and isinstance(embedder, OracleEmbedder):
        raise UsageError("the oracle takes every modality as it is; leave --fuse out")
    settings = Settings(
        instructions=instructions.value,
        frames=frames.value,
        reader=reader.value,
        compat=compat.value,
        dual_softmax=dual_softmax,
        on_error=on_error.value,
        limit=limit,
        first=first,
        device=device,
        dtype=dtype.value,
    )
    outcomes: list[Outcome] = []
    with Reporter(len(tasks), quiet=as_json) as reporter:
        embedder = FusedEmbedder(embedder) if fuse else embedder
        for outcome in run_tasks(
            embedder, tasks, settings, results_root=results, store=store, progress=reporter.progress
        ):
            outcomes.append(outcome)
            reporter.finished(outcome)
            if as_json:
                typer.echo(json.dumps(_summary(outcome)))
    if not as_json:
        from unite_bench.report.run_table import run_table

        typer.echo(run_table(outcomes))
        if len(tasks) < len(chosen):
            typer.echo(f"left out: {len(chosen) - len(tasks)} tasks whose data is not here; {_cure(suite, task)}")
        if incomplete := _incomplete(suite or []):
            typer.echo(
                f"left out: {incomplete} incomplete tasks; `unite-bench list tasks --status incomplete` names them"
            )
        typer.echo(f"\nResults: {results}")
    raise typer.Exit(1 if any(outcome.status == "failed" for outcome in outcomes) else 0)


def _cure(suites: list[str] | None, tasks: list[str] | None) -> str:
    return f"`unite-bench data get {' '.join([*(suites or []), *(tasks or [])])}` fetches it"


def chosen_tasks(suites: list[str], tasks: list[str]) -> list[Task]:
    """The tasks named, those of the suites first, each once. Raises UsageError if none is named."""
    from unite_bench.errors import UsageError
    from unite_bench.spec.catalogue import load_suite, load_task, tasks_of

    chosen = [task for suite in suites for task in tasks_of(load_suite(suite))] + [load_task(name) for name in tasks]
    if not chosen and suites:
        raise UsageError(f"nothing to run: all {_incomplete(suites)} tasks of {', '.join(suites)} are incomplete")
    if not chosen:
        raise UsageError("nothing to run: give --suite or --task; `unite-bench list` shows both")
    return [task for n, task in enumerate(chosen) if task not in chosen[:n]]


def _incomplete(suites: list[str]) -> int:
    """How many tasks of these suites cannot run, since something about them is not known."""
    from unite_bench.spec.catalogue import entries_of, load_suite
    from unite_bench.spec.model import PlannedTask

    entries = [entry for suite in suites for entry in entries_of(load_suite(suite))]
    return len({entry.name for entry in entries if isinstance(entry, PlannedTask)})


def _summary(outcome: Outcome) -> dict[str, object]:
    summary: dict[str, object] = {"task": outcome.task.label, "status": outcome.status, "reason": outcome.reason}
    if outcome.result is not None:
        summary["measures"] = outcome.result.record["measures"]
    return summary
