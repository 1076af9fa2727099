"""The temporal score: what a model gets from one frame or from shuffled frames is not owed to time."""

from __future__ import annotations

from pathlib import Path

import pytest

from unite_bench.cli.reporting import Format, leaderboard
from unite_bench.embedders.baselines import ConstantEmbedder
from unite_bench.errors import UsageError
from unite_bench.evaluation import evaluate
from unite_bench.report.temporal import temporal_scores, temporal_table
from unite_bench.results import Result, write
from unite_bench.spec.catalogue import load_task


def _control(task: str) -> dict[str, str] | None:
    return {"of": "t", "kind": task.removeprefix("t-")} if task.startswith("t-") else None


def _result(task: str, score: float, partial: bool = False) -> Result:
    return Result(
        {
            "partial": partial,
            "protocol": {},
            "embedder": {"name": "toy"},
            "task": {"name": task, "primary": "group_score", "control": _control(task)},
            "measures": {"group_score": {"value": score, "chance": 1 / 6}},
        },
        {},
    )


def test_the_better_control_is_taken_off() -> None:
    (row,) = temporal_scores([_result("t", 0.9), _result("t-one-frame", 0.2), _result("t-shuffled", 0.5)])
    assert row.temporal == pytest.approx(0.4)


def test_a_control_below_chance_counts_as_chance() -> None:
    (row,) = temporal_scores([_result("t", 0.9), _result("t-one-frame", 0.0), _result("t-shuffled", 0.1)])
    assert row.temporal == pytest.approx(0.9 - 1 / 6)


def test_without_both_controls_there_is_no_temporal_score() -> None:
    results = [_result("t", 0.9), _result("t-one-frame", 0.2), _result("t-shuffled", 0.5, partial=True)]
    assert temporal_scores(results)[0].temporal is None
    (row,) = temporal_table(results).rows
    assert [row.name, *(cell.text for cell in row.cells)] == ["toy", "t", "90.0", "20.0", "-", "-"]
    with pytest.raises(UsageError, match="embedded-controls"):
        temporal_table([_result("alone", 0.5)])


def test_the_leaderboard_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a model that knows nothing: chance everywhere, and nothing owed to time."""
    for name in ("scenes-quartet-order", "scenes-quartet-order-one-frame", "scenes-quartet-order-shuffled"):
        write(evaluate(ConstantEmbedder(), load_task(name)), tmp_path)
    leaderboard(results=[tmp_path], layout="temporal", format_=Format.CSV)
    assert "constant,scenes-quartet-order,16.7,16.7,16.7,0.0" in capsys.readouterr().out
