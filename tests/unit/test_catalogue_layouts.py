"""Every dataset layout of the catalogue, read by the very task file from a replica, and evaluated to a known answer."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from catalogue_replica import COUNT, Tens, layout, write_replica

from unite_bench.evaluation import evaluate
from unite_bench.spec.catalogue import load_entry, load_task, task_files
from unite_bench.spec.model import Task
from unite_bench.spec.source_kinds import HUB_SOURCES

pytest.importorskip("datasets")
# Query 7 is answered with 8 first and 7 second: what each measure is for it, where all others are 1.
SECOND = {"hit@1": 0.0, "recall@1": 0.0, "mrr": 1 / 2, "map@5": 1 / 2, "map@10": 1 / 2}
SECOND |= dict.fromkeys(("ndcg@5", "ndcg@10", "ndcg_exp@5"), 1 / math.log2(3))
# With its own clip left out, its answer stands behind 8 and 9.
THIRD = {"hit@1": 0.0, "map@10": 1 / 3}
# In one of five quartets one of four comparisons is wrong, that of text 7 between pictures 7 and 8.
QUARTETS = {"text_score": 1.0, "image_score": 4 / 5, "group_score": 4 / 5, "pairwise": 19 / 20}


def fetched() -> list[Task]:
    entries = [load_entry(name) for name in task_files()]
    tasks = [entry for entry in entries if isinstance(entry, Task)]
    return [task for task in tasks if any(isinstance(source, HUB_SOURCES) for source in task.sources)]


def of_each_layout() -> list[str]:
    """The first task of each."""
    return list({layout(task): task.name for task in reversed(fetched())}.values())


def expected(task: Task, measure: str) -> float:
    if task.quartets is not None:
        return QUARTETS[measure]
    seventh = THIRD[measure] if task.exclude_self else SECOND.get(measure, 1.0)
    if task.captions == "any-of" and measure == "recall@1":  # two captions are right, and one of them can be first
        return (COUNT - 1) / COUNT / 2
    return (COUNT - 1 + seventh) / COUNT


@pytest.mark.parametrize("name", sorted(of_each_layout()))
def test_a_replica_gives_the_known_answer(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path))
    task = load_task(name)
    write_replica(tmp_path, task)
    result = evaluate(Tens(), task)
    assert {m: result[m] for m in task.metrics} == pytest.approx({m: expected(task, m) for m in task.metrics})
    assert set(result.record["data"]["revisions"]) >= {task.sources[0].dataset}  # type: ignore[union-attr]
