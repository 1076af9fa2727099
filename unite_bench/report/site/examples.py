"""Some items of a task as its page shows them: queries with a positive and with others from their pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unite_bench.items import Item
from unite_bench.report.previews import Previews
from unite_bench.sources.build import TaskData, build
from unite_bench.sources.opening import missing_datasets
from unite_bench.spec.model import Task

OTHERS = 2  # candidates beside the positive


def examples_of(task: Task, previews: Previews, count: int) -> list[dict[str, Any]]:
    """Up to `count` queries of different clusters, evenly spaced; none if the task's data is not on this machine.

    Each holds `query`, `positive` and `others`, all with their parts and instruction. Raises DataError if data that should
    be here is not readable.
    """
    if count == 0 or missing_datasets(task):
        return []
    data = build(task)
    return [
        {
            "query": _shown(data.queries[at], previews),
            "positive": _shown(data.candidates[int(data.qrels[at][0])], previews),
            "others": [_shown(data.candidates[n], previews) for n in _others(data, at)],
        }
        for at in _chosen(data, count)
    ]


def _chosen(data: TaskData, count: int) -> Iterator[int]:
    seen: set[str] = set()
    for at in range(0, len(data.queries), max(1, len(data.queries) // (4 * count))):
        cluster = data.clusters[at] if data.clusters else data.queries[at].id
        if len(seen) < count and cluster not in seen and len(data.qrels[at]):
            seen.add(cluster)
            yield at


def _others(data: TaskData, at: int) -> list[int]:
    """The first candidates of a query's own pool, or those after its positive, that are not positive."""
    positives = set(data.qrels[at].tolist())
    n = len(data.candidates)
    pool = data.pools[at].tolist() if data.pools is not None else [(min(positives) + k) % n for k in range(1, n)]
    return [candidate for candidate in pool if candidate not in positives][:OTHERS]


def _shown(item: Item, previews: Previews) -> dict[str, Any]:
    return {"parts": previews.of(item), "instruction": item.instruction}
