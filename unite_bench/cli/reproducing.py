"""`unite-bench reproduce`: which protocol gives a published number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unite_bench.cli import app
from unite_bench.cli.measuring import Dtype, Reader
from unite_bench.cli.reporting import Format


@app.command()
def reproduce(
    model: Annotated[str, typer.Argument(help="NAME[:ARG], a model file .yaml, file.py:Class or module:Class")],
    task: Annotated[str, typer.Argument(help="task that the number was published of")],
    model_arg: Annotated[
        list[str] | None, typer.Option(help="key=value for the model's constructor; may be repeated")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="name of the published row's checkpoint [default: the model's name]")
    ] = None,
    published: Annotated[
        list[str] | None, typer.Option(help="published scores: a name or a file; may be repeated [default: all]")
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="a number in percent, as a paper prints it, in place of a row")
    ] = None,
    measure: Annotated[str | None, typer.Option(help="with --score [default: the task's primary measure]")] = None,
    also: Annotated[
        list[str] | None, typer.Option(help="another reading of the task, as a task; may be repeated")
    ] = None,
    encode: Annotated[bool, typer.Option("--encode", help="encode what the store lacks")] = False,
    store: Annotated[Path | None, typer.Option(help="vector store [default: $UNITE_BENCH_STORE or user cache]")] = None,
    reader: Annotated[Reader, typer.Option(help="what decodes clips")] = Reader.PYAV,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1")] = "cpu",
    dtype: Annotated[Dtype, typer.Option(help="of the model's weights and arithmetic")] = Dtype.FLOAT32,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.MARKDOWN,
) -> None:
    """Score every plausible reading of a task, and say which of them give a published number.

    Vectors come from the store; run the model on the task first, or give --encode.
    """
    from unite_bench.encode.run import Encoder
    from unite_bench.errors import UsageError
    from unite_bench.protocol import Settings
    from unite_bench.published import load_published
    from unite_bench.registry import load_embedder
    from unite_bench.report.formats import FORMATS
    from unite_bench.report.reproduction_table import reproduction_table
    from unite_bench.reproduction import as_printed, attempts, printed_scores
    from unite_bench.sources.opening import missing_datasets
    from unite_bench.spec.catalogue import load_task

    asked = [load_task(name) for name in (task, *(also or ()))]
    embedder = load_embedder(model, model_arg or ())
    name = checkpoint or embedder.card.name
    if score is not None:
        found = [as_printed(score, measure or asked[0].primary, name)]
    else:
        found = printed_scores(load_published(published or ()), asked[0].name, name)
    if absent := [of.name for of in asked if missing_datasets(of)]:
        raise UsageError(
            f"data of {', '.join(absent)} are not here; `unite-bench data get {' '.join(absent)}` fetches them"
        )
    settings = Settings(reader=reader.value, device=device, dtype=dtype.value)
    encoder = Encoder(embedder, store, device, dtype.value, may_encode=encode)
    tables = []
    for of in dict.fromkeys(printed.measure for printed in found):
        tried = list(attempts(encoder, asked, of, settings))
        tables += [reproduction_table(printed, tried) for printed in found if printed.measure == of]
    typer.echo("\n\n".join(map(FORMATS[format_.value], tables)))
