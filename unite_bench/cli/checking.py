"""`unite-bench check`: hold an embedder to the conformance kit."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated

import typer

from unite_bench.cli import app
from unite_bench.cli.measuring import Dtype

SHOWN = {"passed": "passed", "failed": "FAILED", "expected": "expected", "n/a": "n/a"}


@app.command()
def check(
    model: Annotated[str, typer.Argument(help="NAME[:ARG], a model file .yaml, file.py:Class or module:Class")],
    model_arg: Annotated[
        list[str] | None, typer.Option(help="key=value for the model's constructor; may be repeated")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="name of a check; may be repeated")] = None,
    fuse: Annotated[bool, typer.Option(help="lift a single-modality model to fused items and clips")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1")] = "cpu",
    dtype: Annotated[Dtype, typer.Option(help="of the model's weights and arithmetic")] = Dtype.FLOAT32,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a check on standard output")] = False,
) -> None:
    """Check that an embedder keeps its contract and does what its card says. Exit code 1 if a check fails."""
    from unite_bench.embedders.fusion import FusedEmbedder
    from unite_bench.registry import load_embedder
    from unite_bench.testing.checks import run_checks

    embedder = load_embedder(model, model_arg or ())
    embedder = FusedEmbedder(embedder) if fuse else embedder
    counts: Counter[str] = Counter()
    for name, verdict in run_checks(embedder, only or (), device, dtype.value):
        counts[verdict.status] += 1
        if as_json:
            typer.echo(json.dumps({"check": name, "status": verdict.status, "said": verdict.said}))
        else:
            typer.echo(f"{SHOWN[verdict.status]:<9} {name:<20} {verdict.said}")
    if not as_json:
        typer.echo(
            f"\n{embedder.card.name}: {counts['passed']} passed, {counts['failed']} failed, "
            f"{counts['expected']} expected failures, {counts['n/a']} not applicable"
        )
    raise typer.Exit(1 if counts["failed"] else 0)
