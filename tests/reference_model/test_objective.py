"""The loss as a recipe says it: its mask, its directions, what is counted of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from reference_model.train.batch import Batch
from reference_model.train.mamcl import WAYS, Options, Side, mamcl_loss
from reference_model.train.objective import Objective, summary
from reference_model.train.recipe import Loss

TAU = torch.tensor(0.05)


def batch(both: bool = False, unmasked: bool = False) -> Batch:
    """Rows 0 to 2 ask for pictures, 3 and 4 for texts; places 8 and 9 are explicit negatives of rows 0 and 3."""
    sets = torch.tensor([1, 1, 1, 2, 2, 2, 2, 1, 2, 1])
    contents = torch.arange(10)
    at: dict[str, Any] = {"queries": torch.arange(5), "candidates": torch.tensor([5, 6, 5, 7, 7, 8, 9])}
    free = torch.tensor([unmasked, False, False, False, False])
    rows = tuple("abcde")
    return Batch(0, rows, [], [], sets, contents, at["queries"], at["candidates"], free, both, ())


def vectors() -> torch.Tensor:
    return normalize(torch.randn(10, 6, generator=torch.Generator().manual_seed(1)), dim=-1)


def expected(given: Batch, options: Options, unmasked: torch.Tensor) -> torch.Tensor:
    held = vectors()
    sides = [Side(held[at], given.sets[at], given.contents[at]) for at in (given.queries, given.candidates)]
    return mamcl_loss(*sides, torch.arange(5), TAU, options, unmasked)


@pytest.mark.parametrize("form", ["dense", "blocks"])
def test_the_mask_can_be_left_out(form: str) -> None:
    given = batch()
    masked = Objective(Loss(form=form)).loss(vectors(), TAU, given)
    free = Objective(Loss(form=form, mask=False)).loss(vectors(), TAU, given)
    assert masked == pytest.approx(expected(given, Options(), given.unmasked).item(), rel=1e-6)
    assert free == pytest.approx(expected(given, Options(), torch.ones(5, dtype=torch.bool)).item(), rel=1e-6)
    assert free > masked


def test_both_directions_where_the_recipe_or_every_row_says_so() -> None:
    wanted_of = {ways: expected(batch(), Options(ways=ways), batch().unmasked).item() for ways in WAYS}
    one, two = wanted_of["forward"], wanted_of["both"]
    assert two == pytest.approx((one + wanted_of["backward"]) / 2, rel=1e-5)
    assert one != pytest.approx(two, abs=1e-3)
    for asked, of_rows, wanted in (
        ("forward", True, one),
        ("both", False, two),
        ("backward", True, wanted_of["backward"]),
        ("rows", False, one),
        ("rows", True, two),
    ):
        found = Objective(Loss(directions=asked)).loss(vectors(), TAU, batch(of_rows))
        assert found == pytest.approx(wanted, rel=1e-6)


def test_negatives_are_counted_by_modality_and_rows_without_any() -> None:
    """Pictures: two targets, one of them twice, and a negative. Texts: one target twice, and a negative."""
    found = summary(Objective(Loss()).describe(vectors(), batch()))
    assert found == {"rows": 5, "rows without negatives": 0, "negatives image": (2 + 3 + 2) / 3, "negatives text": 1}
    free = summary(Objective(Loss(mask=False)).describe(vectors(), batch()))
    assert free["negatives text"] == 7 - 2 and free["negatives image"] == (5 + 6 + 5) / 3
    soft = summary(Objective(Loss(other_weight=0.5)).describe(vectors(), batch()))
    assert soft["negatives text"] == 1 + 0.5 * 4 and soft["negatives image"] == pytest.approx((2 + 3 + 2) / 3 + 0.5 * 3)


def test_the_way_back_and_what_a_margin_takes_away_are_counted_too() -> None:
    both = summary(Objective(Loss(directions="both")).describe(vectors(), batch()))
    back = summary(Objective(Loss(directions="backward")).describe(vectors(), batch()))
    assert {name for name in both if name.startswith("back: ")} == set(back)
    assert back["back: rows"] == 5 and both["rows"] == 5
    assert back["back: negatives text"] == (1 + 2 + 1) / 3, (
        "rows 0 and 2 ask for one picture, so each is no negative of it"
    )
    none = summary(Objective(Loss(false_above=2.0)).describe(vectors(), batch()))
    all_ = summary(Objective(Loss(false_above=0.0)).describe(vectors(), batch()))
    assert none["negatives image"] == (2 + 3 + 2) / 3 > all_["negatives image"]
    assert all_["rows without negatives"] > 0
