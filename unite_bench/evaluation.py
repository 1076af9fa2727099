"""From a task to its result: build, encode, rank, measure, record. The whole story of a number is in this file."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from unite_bench import environment, media, recording
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.oracle import OracleEmbedder
from unite_bench.encode.run import Encoder, Progress
from unite_bench.errors import DataError, UsageError
from unite_bench.measuring import measure
from unite_bench.protocol import Settings
from unite_bench.ranking import rank
from unite_bench.results import Result
from unite_bench.sources.build import TaskData, build
from unite_bench.spec.model import Task


def evaluate(
    embedder: Embedder | Encoder,
    task: Task,
    settings: Settings | None = None,
    *,
    store: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Measure one embedder on one task.

    `store` is the root of the vector store; an `Encoder` in place of the embedder brings its own, and keeps the model
    loaded from task to task. Raises UsageError if the embedder lacks a modality of the task, DataError for wrong data,
    ItemFailed or ModelError if the embedder breaks its contract. What was encoded before an error stays in the store.
    """
    settings, phases = settings or Settings(), environment.Phases()
    task = settings.read(task)
    media.read_with(settings.reader)
    inner = embedder.embedder if isinstance(embedder, Encoder) else embedder
    card = inner.card
    if reason := not_for(inner, task, settings):
        raise UsageError(f"{task.name}: {reason}")
    with phases.phase("build"):
        data = _shown(build(task, skip_broken=settings.on_error == "skip"), task, settings, card)
    with tempfile.TemporaryDirectory() as scratch:
        encoder = _encoder(embedder, data, settings, store, Path(scratch))
        missing = unsupported(encoder.embedder, data)
        if missing:
            raise UsageError(f"{encoder.embedder.card.name} does not declare {missing}, which {task.name} needs")
        with phases.phase("encode"):
            how: Any = {"on_error": settings.on_error, "progress": progress}
            candidates = encoder.encode(data.candidates, "candidate", broken=data.broken_of("candidate"), **how)
            queries = encoder.encode(data.queries, "query", broken=data.broken_of("query"), **how)
    for side, total in ((candidates, len(data.candidates)), (queries, len(data.queries))):
        if len(side.failed) > settings.most_failed * total:
            name, reason = next(iter(side.failed.items()))
            raise DataError(f"{task.name}: {len(side.failed)} of {total} items failed; the first, {name!r}: {reason}")
    with phases.phase("rank"):
        ranked = rank(data, queries, candidates, encoder.embedder.card.similarity, settings)
    with phases.phase("measure"):
        measured = measure(task, data, ranked)
    record = recording.record(
        encoder, task, data, settings, {"query": queries, "candidate": candidates}, ranked, measured
    )
    computed, reused = queries.computed + candidates.computed, queries.reused + candidates.reused
    return Result(record, environment.describe(phases, computed, reused), recording.rows(data, ranked, measured))


def unsupported(embedder: Embedder, data: TaskData) -> str:
    """Modalities of the task's items that the embedder does not declare, or "". With any, the cell reads n/a."""
    wanted = {item.modality for item in (*data.queries, *data.candidates) if item.parts}
    return ", ".join(sorted(wanted - embedder.card.modalities))


def not_for(embedder: Embedder, task: Task, settings: Settings) -> str:
    """Why an embedder that knows certain tasks alone (precomputed vectors) cannot be run on this one, or why nobody can
    under this protocol; "" if nothing stands against it."""
    tasks = embedder.card.tasks
    if tasks is None or task.name in tasks:
        return settings.not_for(task, embedder.card)
    return f"{embedder.card.name} has vectors for {', '.join(sorted(tasks)) or 'no task'} only"


def _shown(data: TaskData, task: Task, settings: Settings, card: EmbedderCard) -> TaskData:
    """The data as the protocol shows it: whose instructions or none, whose frames, all queries or the first."""
    data = data if settings.limit is None else data.head(settings.limit)
    own = settings.own_wording(task, card)
    queries = tuple(settings.shown(item, card.frames, own) for item in data.queries)
    candidates = tuple(settings.shown(item, card.frames) for item in data.candidates)
    return replace(data, queries=queries, candidates=candidates)


def _encoder(
    embedder: Embedder | Encoder, data: TaskData, settings: Settings, store: Path | None, scratch: Path
) -> Encoder:
    """The encoder as given, or a new one; the oracle alone is told the answers, and its vectors are thrown away."""
    inner = embedder.embedder if isinstance(embedder, Encoder) else embedder
    if isinstance(inner, OracleEmbedder):
        grades = [dict(zip(data.qrels[n], data.qrels.values_of(n), strict=True)) for n in range(len(data.queries))]
        return Encoder(inner.told(data.candidates, list(zip(data.queries, grades, strict=True))), scratch)
    if isinstance(embedder, Encoder):
        return embedder
    return Encoder(embedder, store, settings.device, settings.dtype)
