"""Running a suite: one embedder, many tasks, each result written as soon as it is there. One failed task stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unite_bench import recording, results
from unite_bench.embedders.base import Embedder
from unite_bench.encode.run import Encoder, Progress
from unite_bench.errors import UniteBenchError, UsageError
from unite_bench.evaluation import evaluate, not_for
from unite_bench.protocol import Settings
from unite_bench.results import Result
from unite_bench.spec.model import Task

DEFAULT_RESULTS = Path("unite-bench-results")


@dataclass(frozen=True)
class Outcome:
    """What became of one task: a result, or the reason why there is none."""

    task: Task
    status: Literal["done", "n/a", "failed"]
    result: Result | None = None
    reason: str = ""


def run(
    embedder: Embedder,
    tasks: Sequence[Task],
    settings: Settings | None = None,
    *,
    results_root: Path = DEFAULT_RESULTS,
    store: Path | None = None,
    progress: Callable[[Task], Progress | None] = lambda task: None,
) -> Iterator[Outcome]:
    """Evaluate task by task, writing each result under `results_root`; yields every outcome as it comes.

    A task that needs a modality the embedder does not declare is "n/a". Errors of one task are its outcome; a defect of
    the harness itself is not caught.
    """
    settings = settings or Settings()
    try:
        results_root.mkdir(parents=True, exist_ok=True)
        encoder = Encoder(embedder, store, settings.device, settings.dtype)
        encoder.store.describe(recording.describe_embedder(encoder, settings))
    except OSError as error:
        raise UsageError(f"cannot write to the folder for results or vectors: {error}") from error
    for task in tasks:
        if reason := not_for(embedder, task, settings):
            yield Outcome(task, "n/a", reason=reason)
            continue
        wanted = declared(settings.read(task))
        if wanted - embedder.card.modalities:
            yield Outcome(task, "n/a", reason=f"needs {', '.join(sorted(wanted - embedder.card.modalities))}")
            continue
        try:
            result = evaluate(encoder, task, settings, progress=progress(task))
            results.write(result, results_root)
            yield Outcome(task, "done", result)
        except UniteBenchError as error:
            yield Outcome(task, "failed", reason=str(error))


def declared(task: Task) -> set[str]:
    """The modalities that the task file declares; those in a column are known only once its rows are read."""
    return {side.modality for side in (task.queries, *task.corpora) if isinstance(side.modality, str)}
