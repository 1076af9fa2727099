"""Writing down what shaped a number: the record of a result and its row per query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unite_bench import __version__, media
from unite_bench.embedders.base import Embedder
from unite_bench.encode.run import Encoded, Encoder
from unite_bench.items import Video
from unite_bench.measuring import Measured, Ranked, instruction_blind_ceiling
from unite_bench.protocol import Settings
from unite_bench.rank.maxsim import MaxSim, Tokens
from unite_bench.results import SCHEMA
from unite_bench.sources.build import TaskData, unexpected
from unite_bench.sources.hub_store import revisions_read
from unite_bench.spec.model import Task
from unite_bench.stats.intervals import interval

TIES = {
    "none": "expectation over random order",
    "mmeb": "positives first (MMEB)",
    "trec": "descending id (trec_eval)",
}
COUPLED = ", as if dual softmax did not couple the queries"
COLLAPSED = 1e-5  # a spread of scores below this means that the vectors hardly differ
SCORES = {
    "cosine": "cosine, exact on a grid of 2^-26",
    "dot": "dot, exact on a grid of 2^-26",
    "maxsim": "maxsim, exact: tokens on a grid of 2^-26, their maxima on one of 2^-40",
}


def record(
    encoder: Encoder,
    task: Task,
    data: TaskData,
    settings: Settings,
    encoded: Mapping[str, Encoded],
    ranked: Ranked,
    measured: Mapping[str, Measured],
) -> dict[str, Any]:
    """The part of a result that is byte-equal on rerun."""
    embedder = encoder.embedder
    return {
        "schema": SCHEMA,
        "unite_bench": __version__,
        "task": _task(task, data),
        "data": _data(task, data),
        "embedder": describe_embedder(encoder, settings),
        "contamination": contamination(embedder, task),
        "protocol": _protocol(embedder, task, settings, data),
        "counts": {
            "failed_queries": len(encoded["query"].failed),
            "failed_candidates": len(encoded["candidate"].failed),
            "tied_positives": int((ranked.counts.tied > ranked.counts.positives_tied).sum()),
            **_tokens(ranked),
        },
        "failed": {role: dict(sorted(encoded[role].failed.items())) for role in ("query", "candidate")},
        "warnings": _warnings(ranked) + ([] if settings.limit else unexpected(task, len(data.queries), data.rows)),
        "measures": {
            name: {
                "value": m.value,
                "low": m.interval[0],
                "high": m.interval[1],
                "interval": f"95 %, {m.method}{COUPLED if settings.dual_softmax else ''}",
                "chance": m.chance,
            }
            for name, m in measured.items()
        },
        "instruction_blind_ceiling": instruction_blind_ceiling(data) if task.primary == "hit@1" else None,
        "slices": _slices(data, measured[task.primary]),
        "partial": settings.limit is not None,
    }


def describe_embedder(encoder: Encoder, settings: Settings) -> dict[str, Any]:
    """The card and the fingerprint as plain data."""
    card = encoder.embedder.card
    return {
        "name": card.name,
        "fingerprint": encoder.fingerprint,
        "revision": card.revision,
        "dim": card.dim,
        "similarity": card.similarity,
        "modalities": sorted(card.modalities),
        "prompt": card.prompt,
        "fusion": card.fusion,
        "max_frames": card.max_frames,
        "role_matters": card.role_matters,
        "instruction_matters": card.instruction_matters,
        "arguments": dict(encoder.embedder.arguments),
        "dtype": settings.dtype,
        "device": settings.device.split(":")[0],
        "training_sets": None if card.training_sets is None else sorted(card.training_sets),
        **{name: text for name, text in (("backbone", card.backbone), ("size", card.size)) if text is not None},
        **({"settings": dict(sorted(card.settings.items()))} if card.settings else {}),
    }


def contamination(embedder: Embedder, task: Task) -> str:
    """Whether the model was trained on what the task is made from. Silence is unknown, never clean."""
    if embedder.card.training_sets is None:
        return "unknown"
    return "in-domain" if embedder.card.training_sets & set(task.trained_on) else "clean"


def rows(data: TaskData, ranked: Ranked, measured: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """One row a query: its cluster (itself if it shares no medium), counts of its positives, every measure, the first
    candidates with their exact scores."""
    counts = ranked.counts
    held = np.flatnonzero(ranked.held)
    out = []
    for n, query in enumerate(data.queries):
        pairs = slice(int(counts.qrels.starts[n]), int(counts.qrels.starts[n + 1]))
        ranked_positives = counts.qrels[n]
        places = ranked.places[n]
        shown = places[places >= 0]
        out.append(
            {
                "query": query.id,
                "cluster": data.clusters[n] if data.clusters else query.id,
                "encoded": bool(ranked.asked[n]),
                "positives": [data.candidates[held[i]].id for i in ranked_positives],
                "grades": counts.qrels.values_of(n).tolist(),
                "lost_positives": len(data.qrels[n]) - len(ranked_positives),
                "above": counts.above[pairs].tolist(),
                "tied": counts.tied[pairs].tolist(),
                "pool": int(counts.pool[n]),
                **{name: float(m.values[n]) for name, m in measured.items()},
                "first": [data.candidates[i].id for i in shown],
                "scores": ranked.scores[n][places >= 0].tolist(),
            }
        )
    return out


def _task(task: Task, data: TaskData) -> dict[str, Any]:
    def forms(items: Any) -> list[str]:
        return sorted({item.modality for item in items if item.parts})

    return {
        "name": task.name,
        "label": task.label,
        "title": task.title,
        "granularity": task.granularity,
        "queries": forms(data.queries),
        "candidates": forms(data.candidates),
        "primary": task.primary,
        "control": task.control and task.control.model_dump(),
        "status": task.protocol.status,
    }


def _data(task: Task, data: TaskData) -> dict[str, Any]:
    return {
        "revisions": revisions_read(task.sources),
        "digest": data.digest,
        "queries": len(data.queries),
        "candidates": len(data.candidates),
        "positives": int(data.qrels.indices.size),
        "duplicates_merged": data.duplicates,
    }


def _protocol(embedder: Embedder, task: Task, settings: Settings, data: TaskData) -> dict[str, Any]:
    pool = task.pool if isinstance(task.pool, str) else "per-query"
    items = (*data.queries, *data.candidates)
    policies = sorted({repr(part.policy) for item in items for part in item.parts if isinstance(part, Video)})
    limit = embedder.card.max_frames
    return {
        "digest": settings.digest(task.protocol_digest),
        "task": task.protocol_digest[:12],
        "instructions": settings.instructions,
        "instruction_text": sorted({q.instruction for q in data.queries if q.instruction})[:20],
        "frames": settings.frames,
        "frame_policies": policies,
        "thinned_to": limit if policies else None,
        "reader": settings.reader,
        "decoder": media.decoder() if policies else None,
        "pool": pool,
        "duplicates": task.duplicates,
        "captions": task.captions,
        "exclude_self": task.exclude_self,
        "compat": settings.compat,
        "ties": TIES[settings.compat],
        "score": SCORES[embedder.card.similarity],
        "dual_softmax": settings.dual_softmax,
        "on_error": settings.on_error,
        "most_failed": settings.most_failed,
        "limit": settings.limit,
    }


def _warnings(ranked: Ranked) -> list[str]:
    found = []
    if _spread(ranked) < COLLAPSED:
        found.append(f"collapsed: scores of a sample of pairs span less than {COLLAPSED:g}")
    if not ranked.held.all() or not ranked.asked.all():
        found.append("some items could not be encoded and count as missed")
    return found


def _tokens(ranked: Ranked) -> dict[str, dict[str, float]]:
    """With late interaction: how many tokens the encoded queries and candidates have."""
    queries, candidates = ranked.queries[ranked.asked], ranked.candidates
    if not isinstance(queries, Tokens) or not isinstance(candidates, Tokens):
        return {}
    return {
        f"{side}_tokens": {"mean": float(counts.mean()), "max": int(counts.max())}
        for side, counts in (("query", queries.counts), ("candidate", candidates.counts))
        if counts.size
    }


def _spread(ranked: Ranked) -> float:
    """Range of cosine scores over up to 64 queries and 256 candidates, evenly spaced; with late interaction, of the mean
    over tokens, over up to 8 and 32."""
    queries, candidates = ranked.queries[ranked.asked], ranked.candidates
    if isinstance(queries, Tokens) and isinstance(candidates, Tokens):
        few = [x[slice(None, None, max(1, len(x) // n))] for x, n in ((queries, 8), (candidates, 32))]
        scores = MaxSim(*few).against(np.arange(len(few[0])), slice(0, len(few[1]))) / few[0].counts[:, None]
        return float(np.ptp(scores)) if scores.size else 0.0
    sample = [np.asarray(x[:: max(1, len(x) // n)], dtype=np.float64) for x, n in ((queries, 64), (candidates, 256))]
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in sample]
    scores = units[0] @ units[1].T
    return float(np.ptp(scores)) if scores.size else 0.0


def _slices(data: TaskData, primary: Measured) -> dict[str, dict[str, dict[str, float]]]:
    """The primary measure within each value of each declared slice, with its interval."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    clusters = None if data.clusters is None else np.array(data.clusters)
    for name, values in data.slices.items():
        labels = np.array(values)
        out[name] = {}
        for label in sorted(set(values)):
            inside = labels == label
            (low, high), _ = interval(primary.values[inside], None if clusters is None else clusters[inside].tolist())
            mean = float(primary.values[inside].mean())
            out[name][label] = {"queries": int(inside.sum()), "value": mean, "low": low, "high": high}
    return out
