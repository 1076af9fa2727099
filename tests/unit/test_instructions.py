"""Scores by instruction: the mean over wordings, the worst one, and the fall under a wrong instruction."""

from __future__ import annotations

import pytest

from unite_bench.errors import UsageError
from unite_bench.report.instructions import instructions_table
from unite_bench.results import Result


def _result(task: str, score: float, wordings: dict[str, float]) -> Result:
    return Result(
        {
            "partial": False,
            "protocol": {},
            "embedder": {"name": "toy"},
            "task": {
                "name": task,
                "primary": "hit@1",
                "control": {"of": "t", "kind": "wrong-instruction"} if task == "t-wrong" else None,
            },
            "measures": {"hit@1": {"value": score, "chance": 1 / 6}},
            "slices": {"wording": {name: {"value": value} for name, value in wordings.items()}},
            "instruction_blind_ceiling": 0.5,
        },
        {},
    )


def test_mean_worst_and_drop() -> None:
    right = _result("t", 0.8, {"1": 0.9, "2": 0.7})
    (row,) = instructions_table([right, _result("t-wrong", 0.1, {"1": 0.1, "2": 0.1})]).rows
    assert [cell.text for cell in row.cells] == ["t", "80.0", "70.0", "10.0", "70.0", "50.0", "16.7"]


def test_without_the_control_there_is_no_drop() -> None:
    (row,) = instructions_table([_result("t", 0.8, {"1": 0.8})]).rows
    assert [cell.text for cell in row.cells] == ["t", "80.0", "80.0", "-", "-", "50.0", "16.7"]
    with pytest.raises(UsageError, match="scenes-instruction"):
        instructions_table([])
