"""The scenes tasks find what a model is blind to, and blame nothing else. Truth is the checker's, which reads programs."""

from __future__ import annotations

from functools import cache

import pytest

from unite_bench.embedders.base import Embedder
from unite_bench.evaluation import evaluate
from unite_bench.sources.scenes.quartets import KINDS
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task, Variant
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
    return Variant(suffix="-small", queries=24).of(load_task(f"scenes-quartet-{kind}"))


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
    assert result["content@1"] == 1.0
    assert result.record["instruction_blind_ceiling"] == 0.25
    for name in ("scenes-t2i", "scenes-edit-it2i", "scenes-question-it2t", "scenes-t2it"):
        assert evaluate(InstructionBlind(), load_task(name))["hit@1"] == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_both_wordings_are_true_of_their_own_half_alone(kind: str) -> None:
    """The oracle reads them with the checker, so both true ones stand above the false one."""
    task = Variant(suffix="-small", queries=24).of(load_task(f"scenes-quartet-{kind}-wordings"))
    result = evaluate(SymbolicOracle(), task)
    assert result["all_first"] == 1.0
    assert result.record["measures"]["all_first"]["chance"] == pytest.approx(1 / 3)


def test_an_instruction_blind_model_stays_under_the_ceiling_whatever_the_instruction() -> None:
    right, wrong = (evaluate(InstructionBlind(), load_task(f"scenes-instruction{end}")) for end in ("", "-wrong"))
    assert right.record["instruction_blind_ceiling"] == 0.5
    assert right["hit@1"] == pytest.approx(0.5)  # it is told both answers, and they tie
    assert wrong["hit@1"] == pytest.approx(right["hit@1"]), "a wrong instruction misleads only those who read it"
