"""`unite-bench figure`: results as pictures for papers."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unite_bench.cli import app

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Kind(StrEnum):
    RADAR = "radar"
    BARS = "bars"
    FOREST = "forest"
    COST = "cost"
    HEAT_MAP = "heat-map"
    SIMPLEX = "simplex"
    SCALING = "scaling"
    TRAINING = "training"


class CostOf(StrEnum):
    ENCODE = "encode"
    DIMENSION = "dimension"


@app.command()
def figure(
    kind: Annotated[Kind, typer.Argument(help="what to draw")],
    out: Annotated[Path, typer.Option(help="the file to write, a .pdf or a .png")],
    results: Annotated[list[Path] | None, typer.Option(help="folder of results; may be repeated")] = None,
    committed: Annotated[bool, typer.Option("--committed", help="read the results that ship with the package")] = False,
    suite: Annotated[str | None, typer.Option(help="the suite to draw")] = None,
    task: Annotated[list[str] | None, typer.Option(help="task name or file, drawn together; may be repeated")] = None,
    embedder: Annotated[
        list[str] | None, typer.Option(help="embedder to draw, in this order; may be repeated [default: all]")
    ] = None,
    cost: Annotated[CostOf, typer.Option(help="cost: what the x axis is")] = CostOf.ENCODE,
    margin: Annotated[float | None, typer.Option(min=0.0, help="forest: shade this margin, as a share of 1")] = None,
    data: Annotated[Path | None, typer.Option(help="simplex, scaling, training: a CSV file (docs/figures.md)")] = None,
    caption: Annotated[
        str | None, typer.Option(help="caption in place of the default; empty for none in the picture")
    ] = None,
) -> None:
    """Draw a figure of page width, with its caption.

    radar, bars, forest, cost and heat-map read results and need --suite or --task; simplex, scaling and training read
     --data.
    """
    from unite_bench.errors import UsageError
    from unite_bench.report.comparing import compare
    from unite_bench.report.figures import from_results, from_tables
    from unite_bench.report.figures.style import captioned, save
    from unite_bench.results import roots

    from_csv: dict[Kind, Callable[..., Figure]] = {
        Kind.SIMPLEX: from_tables.simplex_of,
        Kind.SCALING: from_tables.scaling_of,
        Kind.TRAINING: from_tables.training_of,
    }
    from_suite: dict[Kind, Callable[..., Figure]] = {
        Kind.RADAR: from_results.radar_of,
        Kind.BARS: from_results.bars_of,
        Kind.HEAT_MAP: from_results.heat_map_of,
        Kind.COST: partial(from_results.cost_of, by=cost.value),
    }
    folders = roots(results, committed)
    if kind in from_csv:
        if data is None:
            raise UsageError(f"{kind.value} is drawn from a CSV file: --data FILE")
        drawn = from_csv[kind](data)
    elif not suite and not task:
        raise UsageError(f"{kind.value} draws a suite or some tasks: --suite NAME, or --task NAME once or more often")
    elif kind is Kind.FOREST:
        found = compare(folders, embedder, suites=[suite] if suite else [], tasks=task or [])
        drawn = from_results.forest_of(found, margin)
    else:
        drawn = from_suite[kind](*from_results.chosen(folders, suite, task or [], embedder))
    save(drawn if caption is None else captioned(drawn, caption), out)
    typer.echo(f"{out}: {' '.join(drawn.get_supxlabel().split())}".rstrip(": "))
