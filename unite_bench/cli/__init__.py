"""The command line. Heavy imports live inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys

import typer

from unite_bench.errors import SpecError, UniteBenchError, UsageError

app = typer.Typer(
    name="unite-bench",
    help="Measure multimodal embedders: exact ranks, honest ties, intervals, one record per number.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def commands() -> typer.Typer:
    """The app with every command registered."""
    from unite_bench.cli import (  # noqa: F401  (registers commands)
        browsing,
        checking,
        comparing,
        data,
        drawing,
        exporting,
        inspecting,
        measuring,
        reporting,
        reproducing,
    )

    return app


def main() -> None:
    """Entry point. A user's error is one message and exit code 1 or 2; with `--debug` anywhere, a traceback.

    Exit codes: 0 done, 1 a task failed, 2 wrong use.
    """
    # Threads that spin while they wait starve each other on few cores: measured 3 to 12 times slower on 2. Must be set
    # before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        commands()()
    except UniteBenchError as error:
        if debug:
            raise
        typer.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError | SpecError) else 1)
