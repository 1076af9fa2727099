"""The order of training: every row once an epoch, batches of one kind where asked, the same in every process."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_model.nano.scene_pairs import text_item
from reference_model.train.material import DrawnPairs
from reference_model.train.order import plan_order
from reference_model.train.pairs import Kind, Pair

SETS = np.array([1] * 10 + [2] * 7 + [3] * 4, dtype=np.int8)
ONES = np.ones(len(SETS), dtype=np.float32)


@given(seed=st.integers(0, 99), size=st.integers(2, 30), mode=st.sampled_from(["mixed", "homogeneous"]))
def test_an_epoch_holds_every_row_once(seed: int, size: int, mode: str) -> None:
    order = plan_order(SETS, ONES, size, 1, mode, seed, epochs=1)
    assert sorted(np.concatenate(order.batches).tolist()) == list(range(len(SETS)))
    assert all(len(batch) <= size for batch in order.batches) and order.left_out == 0
    if mode == "homogeneous":
        assert all(len(set(SETS[batch].tolist())) == 1 for batch in order.batches)


def test_the_order_follows_from_the_seed_and_differs_by_epoch() -> None:
    first, again, other = (plan_order(SETS, ONES, 3, 2, "mixed", seed, epochs=2) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    half = len(first.batches) // 2
    epochs = [np.concatenate(first.batches[:half]), np.concatenate(first.batches[half:])]
    assert sorted(epochs[0].tolist()) == sorted(epochs[1].tolist())
    assert epochs[0].tolist() != epochs[1].tolist()


def test_steps_end_the_order_and_small_rests_are_left_out_and_counted() -> None:
    assert len(plan_order(SETS, ONES, 4, 2, "mixed", 0, batches=13).batches) == 13
    order = plan_order(SETS, ONES, 4, 2, "mixed", 0, epochs=1)  # 21 rows: five batches, and one row over
    assert [len(batch) for batch in order.batches] == [4] * 5 and order.left_out == 1
    assert len(plan_order(SETS, ONES, 5, 1, "mixed", 0, epochs=1.4).batches) == 5 + 2


def test_weights_are_how_often_a_row_comes() -> None:
    weights = np.array([0.0, 0.25, 1.0, 2.0, 2.5], dtype=np.float32)
    order = plan_order(np.ones(5, dtype=np.int8), weights, 4, 1, "mixed", 0, epochs=400)
    times = np.bincount(np.concatenate(order.batches), minlength=5) / 400
    np.testing.assert_allclose(times, weights, atol=0.08)
    assert times[0] == 0 and times[2] == 1 and times[3] == 2


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_a_drawn_batch(world: int) -> None:
    def draw(rng: np.random.Generator) -> Pair:
        return Pair(text_item(str(rng.integers(1_000_000))), text_item("target"))

    kinds = (Kind("one", 1.0, draw, both=True), Kind("other", 2.0, draw))
    drawn = DrawnPairs(kinds, 1, 8, 5, seed=3, training_sets=())
    for batch in range(len(drawn)):
        parts = [drawn.examples(batch, rank, world) for rank in range(world)]
        whole = drawn.examples(batch, 0, 1)
        assert [example for part in parts for example in part] == whole
    assert drawn.examples(0, 0, 1) != drawn.examples(1, 0, 1)
    assert {drawn.examples(n, 0, 1)[0].both for n in range(5)} == {True, False}
