"""The scenes tasks find what a model is blind to, and blame nothing else. Truth is the checker's, which reads programs."""

from __future__ import annotations

from functools import cache

import pytest

from unite_bench.embedders.base import Embedder
from unite_bench.evaluation import evaluate
from unite_bench.sources.scenes.quartets import KINDS
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Side, Task
from unite_bench.testing.planted import ColourBlind, CountBlind, InstructionBlind, OrderBlind
from unite_bench.testing.symbolic import SymbolicOracle

FAILS = {
    SymbolicOracle: set(),
    ColourBlind: {"colour-binding", "colour"},
    OrderBlind: {"order", "direction"},
    CountBlind: {"count"},
    InstructionBlind: set(),
}


@cache
def small(kind: str) -> Task:
    """The first 12 quartets of a task."""

    def fewer(side: Side) -> Side:
        assert side.source is not None
        return side.model_copy(update={"source": side.source.model_copy(update={"count": 12})})

    task = load_task(f"scenes-quartet-{kind}")
    assert isinstance(task.candidates, Side)
    return task.model_copy(update={"queries": fewer(task.queries), "candidates": fewer(task.candidates)})


@pytest.mark.parametrize("planted", FAILS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_model_fails_its_own_tasks_alone(planted: type[Embedder], kind: str) -> None:
    result = evaluate(planted(), small(kind))
    if kind in FAILS[planted]:
        assert result["pairwise"] == 0.5  # it cannot tell the halves apart: every comparison is a tie
        assert result["group_score"] == pytest.approx(1 / 6)
    else:
        assert result["group_score"] == 1.0


def test_an_instruction_blind_model_reaches_the_ceiling_of_one_form_in_four_and_no_more() -> None:
    union = load_task("scenes-union")
    result = evaluate(InstructionBlind(), union)
    assert result["hit@1"] <= 0.25 + 1e-9
    assert result["modality@1"] == pytest.approx(0.25)
    for name in ("scenes-t2i", "scenes-edit-it2i", "scenes-question-it2t", "scenes-t2it"):
        assert evaluate(InstructionBlind(), load_task(name))["hit@1"] == 1.0
