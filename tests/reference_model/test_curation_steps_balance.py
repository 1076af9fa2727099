"""Balance: the numbers of each group are those asked for, rows are never repeated unless that is declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curation_pools import context_in, pool_of, row, text
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reference_model.curation.pool import Pool
from reference_model.curation.step import Decision
from reference_model.curation.steps.balance import Settings, run
from reference_model.curation.steps.shares import drawn, whole_parts, within_supply
from unite_bench.errors import DataError

SIZES = {"large": 60, "middle": 30, "small": 10}


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    names = [name for name, size in SIZES.items() for _ in range(size)]
    order = np.random.default_rng(0).permutation(names)
    rows = [row(n, text(f"q{n}"), text(f"t{n}"), source=name, topic=name[0]) for n, name in enumerate(order)]
    return pool_of(rows, tmp_path, block=32)


def balanced(pool: Pool, tmp_path: Path, seed: int = 0, **given_settings) -> tuple[dict[str, int], Decision]:
    """How many rows of each source stay."""
    alive = np.arange(len(pool))
    decision = run(pool, alive, Settings(**given_settings), context_in(tmp_path, seed))
    sources = [
        name for _, table in pool.batches(("source",), alive[decision.keep]) for name in table["source"].to_pylist()
    ]
    return {name: sources.count(name) for name in SIZES}, decision


@pytest.mark.parametrize(
    ("given_settings", "expected"),
    [
        ({"cap": 20}, (20, 20, 10)),
        ({"cap": {"large": 5}}, (5, 30, 10)),
        ({"alpha": 1.0}, (60, 30, 10)),
        ({"alpha": 0.0}, (10, 10, 10)),
        ({"alpha": 0.0, "total": 60}, (25, 25, 10)),
        ({"alpha": 0.5, "total": 50}, (23, 17, 10)),  # 49 : 35 : 20 of 104, and the small one gives all it has
        ({"shares": {"large": 1, "small": 1}}, (10, 0, 10)),
        ({"shares": {"large": 3, "middle": 1}}, (60, 20, 0)),
        ({"shares": {"large": 0.5, "middle": 0.5}, "total": 40}, (20, 20, 0)),
        ({"shares": {"large": 1, "middle": 1, "small": 1}, "total": 1000}, (60, 30, 10)),
        ({"by": "topic", "cap": {"l": 7}}, (7, 30, 10)),
    ],
)
def test_groups_keep_as_many_as_asked_for(pool: Pool, tmp_path: Path, given_settings, expected) -> None:
    counts, decision = balanced(pool, tmp_path, **given_settings)
    assert tuple(counts.values()) == expected
    assert decision.weights is None
    after = {name: figures["after"] for name, figures in decision.facts["groups"].items()}
    assert sum(after.values()) == decision.keep.sum()


def test_short_groups_are_weighted_up_only_where_repetition_is_declared(pool: Pool, tmp_path: Path) -> None:
    shares = dict.fromkeys(SIZES, 1.0)
    counts, decision = balanced(pool, tmp_path, shares=shares, total=60, repeat=3)
    assert counts == {"large": 20, "middle": 20, "small": 10}
    assert decision.weights is not None
    assert decision.weights[decision.keep].sum() == 60
    assert sorted(set(decision.weights[decision.keep].tolist())) == [1.0, 2.0]
    counts, decision = balanced(pool, tmp_path, shares=shares, total=90, repeat=1.5)
    assert counts["small"] == 10 and decision.facts["groups"]["small"]["weight"] == 1.5
    assert decision.weights is not None and decision.weights[decision.keep].sum() == pytest.approx(90)


@pytest.mark.parametrize("given_settings", [{"shares": {"large": 2, "middle": 1}}, {"alpha": 1.0}, {"alpha": 0.0}])
def test_shares_are_of_what_is_drawn(pool: Pool, tmp_path: Path, given_settings) -> None:
    """Rows of `large` are drawn three times as often, so fewer of them make up its share."""
    source = np.array([name for _, table in pool.batches(("source",)) for name in table["source"].to_pylist()])
    weights = np.where(source == "large", 3.0, 1.0).astype(np.float32)
    context = replace(context_in(tmp_path), weights=weights)
    kept = run(pool, np.arange(len(pool)), Settings(**given_settings), context).keep
    drawn = [float(weights[kept & (source == name)].sum()) for name in SIZES]
    wanted = {"shares": [2, 1, 0], "alpha": [180, 30, 10] if given_settings.get("alpha") else [1, 1, 1]}
    expected = np.array(wanted[next(iter(given_settings))])
    assert np.array(drawn) / sum(drawn) == pytest.approx(expected / expected.sum(), abs=0.04)


def test_the_seed_and_nothing_else_decides_which_rows_stay(pool: Pool, tmp_path: Path) -> None:
    first = balanced(pool, tmp_path, cap=8)[1]
    assert (first.keep == balanced(pool, tmp_path, cap=8)[1].keep).all()
    other = balanced(pool, tmp_path, cap=8, seed=1)[1]
    assert other.keep.sum() == first.keep.sum() and (other.keep != first.keep).any()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=6),
    st.lists(st.floats(0, 9), min_size=6, max_size=6),
    st.integers(0, 200),
)
def test_no_group_gives_more_than_it_has_and_nothing_is_left_on_the_table(supply, shares, total) -> None:
    held = np.array(supply)
    weights = np.where(np.array(shares[: held.size]) < 0.01, 0.0, shares[: held.size])
    taken = within_supply(weights, held, total)
    assert (taken <= held).all() and (taken >= 0).all() and (taken[weights == 0] == 0).all()
    assert taken.sum() == min(total, held[weights > 0].sum())


def test_parts_add_up_and_the_first_of_equals_gets_more() -> None:
    assert whole_parts(np.array([1, 1, 1]), 8).tolist() == [3, 3, 2]
    assert whole_parts(np.array([0.1] * 10), 10).tolist() == [1] * 10
    assert whole_parts(np.array([0.0]), 0).tolist() == [0]
    with pytest.raises(ValueError, match="no weight"):
        whole_parts(np.array([0.0]), 1)
    assert drawn(np.arange(5), 9, np.random.default_rng(0)).tolist() == list(range(5))


def test_wrong_settings_are_errors(pool: Pool, tmp_path: Path) -> None:
    wrong = {
        "exactly one of": {"cap": 1, "alpha": 0.5},
        "not negative": {"shares": {"large": -1.0}},
        "at least one share": {"shares": {"large": 0.0}},
        "not with a cap": {"cap": 3, "total": 5},
        "needs a total": {"alpha": 0.5, "repeat": 2},
    }
    for message, chosen in wrong.items():
        with pytest.raises(ValidationError, match=message):
            Settings(**chosen)
    with pytest.raises(DataError, match="no row is of source huge; there are large, middle, small"):
        balanced(pool, tmp_path, cap={"huge": 3})
