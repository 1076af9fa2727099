"""From counts to measured values with intervals and chance levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from unite_bench.metrics.aggregate import over_queries
from unite_bench.metrics.measures import per_query
from unite_bench.metrics.quartets import QUARTET_CHANCE, quartet_values
from unite_bench.ragged import Ragged
from unite_bench.rank.counts import Counts, count, if_all_tied
from unite_bench.rank.grid import Similarity
from unite_bench.rank.maxsim import Tokens
from unite_bench.rank.top import pool_mask, share_within
from unite_bench.sources.build import TaskData
from unite_bench.spec.measures import Measure
from unite_bench.spec.model import Task
from unite_bench.stats.intervals import Interval, interval

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ranked:
    """What ranking gives: exact counts, the first candidates (positions, -1 for none) and the vectors they came from.

    `held` and `asked` mark the candidates and queries that could be encoded; `candidates` and `pools` are of the held.
    """

    counts: Counts
    places: npt.NDArray[np.int64]
    scores: Doubles
    queries: npt.NDArray[np.float32] | Tokens
    candidates: npt.NDArray[np.float32] | Tokens
    held: npt.NDArray[np.bool_]
    asked: npt.NDArray[np.bool_]
    pools: Ragged | None
    excluded: Ragged
    similarity: Similarity


@dataclass(frozen=True)
class Measured:
    """One measure of one task: the value, its 95 % interval and how it was made, chance, and the values per query."""

    value: float
    interval: Interval
    method: str
    chance: float
    values: Doubles


def measure(task: Task, data: TaskData, ranked: Ranked) -> Mapping[str, Measured]:
    """Every measure the task names."""
    return {str(m): _one(m, data, ranked) for m in task.measures}


def _one(m: Measure, data: TaskData, ranked: Ranked) -> Measured:
    if m.of_quartets:
        assert data.quartets is not None and ranked.pools is not None  # the schema demands both
        values = quartet_values(
            m, ranked.queries, ranked.candidates, data.quartets, ranked.counts.qrels, ranked.similarity
        )
        level = np.full(values.size, QUARTET_CHANCE[m.name])
    elif m.name == "modality":
        wanted = wanted_form(data)[:, ranked.held]
        lists = (ranked.pools, ranked.excluded)
        shares = share_within(ranked.queries, ranked.candidates, wanted, m.k or 1, *lists, ranked.similarity)
        values = shares * ranked.asked
        level = _form_by_chance(data, m.k or 1)
    elif m.name == "content":
        values, level = _within_asked_form(m, data, ranked)
    else:
        values = per_query(m, ranked.counts)
        level = per_query(m, if_all_tied(data.qrels, _pool_sizes(data)))
    span, method = interval(values, data.clusters, median=m.name == "median_rank")
    return Measured(over_queries(m, values), span, method, over_queries(m, level), values)


def wanted_form(data: TaskData) -> npt.NDArray[np.bool_]:
    """Which candidates have the modality that each query asks for, (queries, candidates)."""
    assert data.target_modality is not None  # the schema demands it for modality@k
    forms = np.array([candidate.modality for candidate in data.candidates])
    return np.asarray(np.array(data.target_modality)[:, None] == forms[None, :])


def _within_asked_form(m: Measure, data: TaskData, ranked: Ranked) -> tuple[Doubles, Doubles]:
    """Values and chance of a measure when each query's pool holds the modality that it asks for and nothing else."""
    everywhere = slice(0, len(data.queries))
    inside = wanted_form(data) & pool_mask(everywhere, len(data.candidates), data.pools, data.excluded)
    positives = data.qrels.keep(inside[data.qrels.rows, data.qrels.indices])
    whole = Ragged.of([np.flatnonzero(row) for row in inside])
    held = Ragged.of([np.flatnonzero(row) for row in inside[:, ranked.held]])
    own = ranked.counts.qrels
    own = own.keep(inside[:, ranked.held][own.rows, own.indices])
    counts = count(ranked.queries, ranked.candidates, own, held, similarity=ranked.similarity)
    return per_query(m, replace(counts, judged=positives)), per_query(m, if_all_tied(positives, whole.counts))


def instruction_blind_ceiling(data: TaskData) -> float | None:
    """The most hit@1 that an embedder can reach which gives equal queries under different instructions equal vectors; None
    if no two queries differ in their instruction alone.

    Such queries share one ranking, so one candidate stands first for all of them: at best the one that is right most often.
    """
    alike: dict[tuple[str, bytes], list[int]] = {}
    for n, query in enumerate(data.queries):
        pool = data.pools[n].tobytes() if data.pools is not None else b""
        alike.setdefault((query.content, pool), []).append(n)
    if all(len({data.queries[n].instruction for n in group}) == 1 for group in alike.values()):
        return None
    best = 0
    for group in alike.values():
        right = np.concatenate([data.qrels[n] for n in group])
        best += int(np.bincount(right).max(initial=0))
    return best / len(data.queries)


def _form_by_chance(data: TaskData, k: int) -> Doubles:
    """Expected share of the wanted form among the first k of a random order of each query's pool, (queries,)."""
    inside = pool_mask(slice(0, len(data.queries)), len(data.candidates), data.pools, data.excluded)
    sizes = inside.sum(axis=1)
    return np.asarray((inside & wanted_form(data)).sum(axis=1) / sizes * np.minimum(k, sizes) / k)


def _pool_sizes(data: TaskData) -> npt.NDArray[np.int64]:
    if data.pools is not None:
        sizes = data.pools.counts
    else:
        sizes = np.full(len(data.queries), len(data.candidates), dtype=np.int64)
    return np.asarray(sizes - data.excluded.counts)
