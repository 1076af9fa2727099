"""The data behind a comparison of two embedders."""

from __future__ import annotations

from typing import Any

from unite_bench.report.comparison import Difference
from unite_bench.report.site.collect import Collected
from unite_bench.report.site.queries import Pair, Queries


def pair_data(collected: Collected, queries: Queries, pair: Pair) -> dict[str, Any]:
    """Plain data for `assets/compare.js`: one entry a task and a suite, the first embedder less the second."""
    position = {task.label: n for n, task in enumerate(collected.tasks)}
    titles = {suite.name: suite.title or suite.name for suite, _ in collected.suites}
    return {
        "tasks": [{"task": position[d.where], **_told(d)} for d in queries.tasks[pair]],
        "suites": [{"title": titles[d.where], **_told(d)} for d in queries.suites.get(pair, ())],
    }


def _told(d: Difference) -> dict[str, Any]:
    return {
        "scores": [round(score, 6) for score in d.scores],
        "difference": round(d.difference, 6),
        "interval": [round(end, 6) for end in d.interval],
        "p": float(f"{d.test.p:.3g}"),
        "corrected": float(f"{d.corrected:.3g}"),
        "winTieLoss": list(d.win_tie_loss),
        "detectable": round(d.detectable, 6),
    }
