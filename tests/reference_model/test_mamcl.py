"""The masked loss against a double loop that is written from the equation, and its two economical forms against it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode

from reference_model.train.gradient_cache import cached_step
from reference_model.train.mamcl import (
    Options,
    Side,
    dense_losses,
    directions,
    mamcl_loss,
    negatives,
)
from reference_model.train.mamcl_blocks import blocked_losses

TAU = 0.03
ROWS, COLUMNS, WIDTH = 7, 11, 16


def batch(seed: int, rows: int = ROWS, columns: int = COLUMNS) -> tuple[Side, Side, torch.Tensor]:
    """Queries, candidates (explicit negatives among them) and where the targets stand, with repeats in both sides."""
    draw = torch.Generator().manual_seed(seed)

    def side(count: int) -> Side:
        contents = torch.randint(0, count - 3, (count,), generator=draw)
        return Side(normalize(torch.randn(count, WIDTH, generator=draw), dim=-1), contents % 3 + 1, contents)

    return side(rows), side(columns), torch.randperm(columns, generator=draw)[:rows]


def slowly(queries: Side, candidates: Side, at: torch.Tensor, unmasked: list[bool], back: bool = False) -> float:
    """One direction, term by term, in Python floats."""
    targets = at.tolist()
    target_of = {place: row for row, place in enumerate(targets)}
    anchors, columns = (candidates, queries) if back else (queries, candidates)
    total = 0.0
    for row, place in enumerate(targets):
        anchor, own = (place, row) if back else (row, place)
        scores = [float(anchors.vectors[anchor].double() @ v.double()) / TAU for v in columns.vectors]
        counted = []
        for j in range(len(scores)):
            partner = targets[j] if back else target_of.get(j)
            repeats = columns.contents[j] == columns.contents[own] or (
                partner is not None and anchors.contents[partner] == anchors.contents[anchor]
            )
            same = columns.sets[j] == columns.sets[own] or unmasked[row]
            if j == own or (same and not repeats):
                counted.append(scores[j])
        top = max(counted)
        total -= scores[own] - top - math.log(sum(math.exp(score - top) for score in counted))
    return total / len(targets)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("losses", [dense_losses, blocked_losses])
def test_loss_is_that_of_the_double_loop_in_both_directions(seed, losses) -> None:
    queries, candidates, at = batch(seed)
    free = torch.rand(ROWS, generator=torch.Generator().manual_seed(seed)) < 0.3
    there = slowly(queries, candidates, at, free.tolist())
    back = slowly(queries, candidates, at, free.tolist(), back=True)
    one_way = mamcl_loss(queries, candidates, at, TAU, Options(), free, losses)
    both = mamcl_loss(queries, candidates, at, TAU, Options(ways="both"), free, losses)
    assert one_way.item() == pytest.approx(there, abs=1e-4)
    assert both.item() == pytest.approx((there + back) / 2, abs=1e-4)
    assert abs(there - back) > 1e-3


def in_doubles(
    queries: torch.Tensor, candidates: torch.Tensor, labels: tuple[Side, Side], at: torch.Tensor, tau: torch.Tensor,
    options: Options, free: torch.Tensor, back: bool,
) -> torch.Tensor:  # fmt: skip
    """One direction with every option, row by row in float64, from what `Options` says of itself."""
    (of_queries, of_candidates), targets = labels, at.tolist()
    anchors, columns = (candidates[at], queries) if back else (queries, candidates)
    asked = of_candidates.contents[at] if back else of_queries.contents
    shown = of_queries if back else of_candidates
    total = torch.zeros((), dtype=torch.float64)
    for row in range(len(targets)):
        own = row if back else targets[row]
        cosines = columns @ anchors[row]
        positives, negatives, weights, logits = [own], [], [], []
        for j in range(len(columns)):
            partner = of_candidates.contents[targets[j]] if back else None
            if not back and j in targets:
                partner = of_queries.contents[targets.index(j)]
            repeat = bool(shown.contents[j] == shown.contents[own]) or (
                partner is not None and bool(partner == asked[row])
            )
            same = bool(shown.sets[j] == shown.sets[own]) or bool(free[row])
            if j == own:
                continue
            if repeat:
                if same and options.repeats == "positive":
                    positives.append(j)
                continue
            weight = 1.0 if same else options.other_weight
            if options.false_above is not None and cosines[j] > cosines[own] + options.false_above:
                weight = 0.0
            if weight:
                negatives.append(j)
                weights.append(weight)
                warm = options.other_temperature is not None and not same
                logits.append(cosines[j] / (options.other_temperature if warm else tau))
        scale = torch.tensor(weights, dtype=torch.float64)
        if options.hardness and negatives:
            hard = (options.hardness * cosines[negatives].detach()).exp()
            scale = scale * hard * scale.sum() / (scale * hard).sum()
        terms = [cosines[j] / tau for j in positives] + [v + s.log() for v, s in zip(logits, scale, strict=True)]
        whole = torch.stack(terms).logsumexp(0)
        total = total + sum(whole - cosines[j] / tau for j in positives) / len(positives)
    return total / len(targets)


@pytest.mark.parametrize("seed", range(40))
def test_every_option_has_the_value_and_gradients_of_a_loop_in_doubles(seed: int) -> None:
    """Options drawn together, with free rows, explicit negatives and repeats; so do the blocks, where they serve."""
    draw = np.random.default_rng(seed)
    weight = float(draw.choice([0.0, 0.0, 0.1, 1.0]))
    options = Options(
        ways=str(draw.choice(["forward", "backward", "both"])),
        repeats=str(draw.choice(["left-out", "positive"])),
        other_weight=weight,
        other_temperature=0.2 if weight and draw.random() < 0.5 else None,
        hardness=float(draw.choice([0.0, 2.0])),
        false_above=float(draw.choice([0.05, 0.3])) if draw.random() < 0.5 else None,
    )
    queries, candidates, at = batch(seed)
    free = torch.tensor(draw.random(ROWS) < 0.3)
    tau = torch.tensor(0.07, requires_grad=True)
    given = [queries.vectors.requires_grad_(), candidates.vectors.requires_grad_(), tau]
    exact = [value.detach().double().requires_grad_() for value in given]
    ways = {"forward": [False], "backward": [True], "both": [False, True]}[options.ways]
    parts = [in_doubles(exact[0], exact[1], (queries, candidates), at, exact[2], options, free, b) for b in ways]
    expected = torch.stack(parts).mean()
    wanted = torch.autograd.grad(expected, exact, allow_unused=True)
    plain = options.hard_mask and options.repeats == "left-out"
    for losses in (dense_losses, blocked_losses) if plain else (dense_losses,):
        found = mamcl_loss(queries, candidates, at, tau, options, free, losses)
        assert found.item() == pytest.approx(expected.item(), abs=1e-5)
        for ours, theirs in zip(torch.autograd.grad(found, given), wanted, strict=True):
            torch.testing.assert_close(ours.double(), theirs, atol=2e-4, rtol=2e-3)


def test_blocks_are_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No product of the blocked form, forward or backward, is larger than a block."""
    monkeypatch.setattr("reference_model.train.mamcl_blocks.ROWS", 8)
    monkeypatch.setattr("reference_model.train.mamcl_blocks.COLUMNS", 10)

    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
            done = function(*given, **(named or {}))
            if function is torch.ops.aten.mm.default and WIDTH not in done.shape:
                self.size = max(self.size, done.numel())
            return done

    queries, candidates, at = batch(3, 40, 60)
    for losses, most in ((blocked_losses, 80), (dense_losses, 2400)):
        vectors = queries.vectors.detach().requires_grad_()
        with Largest() as seen:
            mamcl_loss(replace(queries, vectors=vectors), candidates, at, TAU, losses=losses).backward()
        assert 0 < seen.size <= most and (seen.size > 80) == (losses is dense_losses)


@pytest.mark.parametrize("losses", [dense_losses, blocked_losses])
def test_a_backward_pass_inside_autocast_is_the_one_outside(losses) -> None:
    queries, candidates, at = batch(4)
    found = []
    for enabled in (False, True):
        vectors = queries.vectors.detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled):
            mamcl_loss(replace(queries, vectors=vectors), candidates, at, TAU, losses=losses).backward()
        found.append(vectors.grad)
    torch.testing.assert_close(
        found[1], found[0], atol=0.05, rtol=0.05
    )  # of the dense form autograd's products are bf16
    assert losses is dense_losses or (found[0] - found[1]).abs().max() < 1e-6


def test_what_is_no_option_is_an_error() -> None:
    for wrong, said in (
        ({"ways": "sideways"}, "ways is one of"),
        ({"repeats": "postive"}, "repeats one of"),
        ({"hardness": -1.0}, "hardness is -1.0"),
        ({"false_above": math.nan}, "false_above is nan"),
        ({"other_weight": 2.0}, "other_weight is 2.0"),
    ):
        with pytest.raises(ValueError, match=said):
            Options(**wrong)
    queries, candidates, at = batch(0)
    for temperature in (0.0, -0.05, math.nan):
        with pytest.raises(ValueError, match="must be above 0"):
            mamcl_loss(queries, candidates, at, temperature)
    steep = mamcl_loss(queries, candidates, at, TAU, Options(hardness=500.0))
    assert steep.isfinite(), "weights are taken from the hardest one on"


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("rows_a_block", [2, 3, 1024])
def test_blocks_give_the_value_and_gradients_of_the_dense_form(both, rows_a_block, monkeypatch) -> None:
    monkeypatch.setattr("reference_model.train.mamcl_blocks.ROWS", rows_a_block)
    monkeypatch.setattr("reference_model.train.mamcl_blocks.COLUMNS", rows_a_block)
    free = torch.tensor([False, True] + [False] * 38)
    found = []
    for losses in (dense_losses, blocked_losses):
        queries, candidates, at = batch(3, 40, 60)
        given = [queries.vectors.requires_grad_(), candidates.vectors.requires_grad_()]
        temperature = torch.tensor(0.05, requires_grad=True)
        loss = mamcl_loss(
            queries, candidates, at, temperature, Options(ways="both" if both else "forward"), free, losses
        )
        found.append([loss, *torch.autograd.grad(loss, [*given, temperature])])
    for dense, blocked in zip(*found, strict=True):
        torch.testing.assert_close(blocked, dense, atol=1e-5, rtol=1e-5)
    assert all(gradient.abs().max() > 1e-3 for gradient in found[0])


def test_blocks_refuse_what_they_cannot_do() -> None:
    queries, candidates, at = batch(0)
    for options in (Options(hardness=1.0), Options(other_weight=0.5), Options(repeats="positive")):
        with pytest.raises(ValueError, match="take dense_losses"):
            mamcl_loss(queries, candidates, at, TAU, options, losses=blocked_losses)


def test_repeated_targets_are_never_negatives() -> None:
    """Two labels in a whole data set: nearly every other row's target repeats one's own (defect 4)."""
    queries, candidates, _ = batch(1)
    at = torch.arange(ROWS)
    apart = Side(candidates.vectors, torch.ones(COLUMNS).long(), torch.arange(COLUMNS))
    asked = replace(queries, contents=100 + torch.arange(ROWS))
    repeated = replace(apart, contents=torch.tensor([0, 1, 2, 0, *range(4, COLUMNS)]))
    moved = apart.vectors.clone()
    moved[3] = queries.vectors[0]

    def first_row(side: Side) -> float:
        return dense_losses(directions(asked, side, at, None, "forward")[0], TAU)[0].item()

    assert first_row(replace(repeated, vectors=moved)) == pytest.approx(first_row(repeated), abs=1e-6)
    assert first_row(replace(apart, vectors=moved)) > first_row(apart) + 1


def test_repeats_as_further_positives() -> None:
    queries, candidates, _ = batch(2)
    at = torch.arange(ROWS)
    same = Side(candidates.vectors, torch.ones(COLUMNS).long(), torch.tensor([0, 1, 2, 0, *range(4, COLUMNS)]))
    asked = replace(queries, contents=100 + torch.arange(ROWS))
    side = directions(asked, same, at, None, "forward")[0]
    logs = (queries.vectors[0].double() @ same.vectors.double().T / TAU).log_softmax(0)
    found = dense_losses(side, TAU, Options(repeats="positive"))[0].item()
    assert found == pytest.approx(-(logs[0] + logs[3]).item() / 2, abs=1e-4)


def test_explicit_negatives_are_masked_too() -> None:
    """Defect 3: hard negatives of another modality stay out of the denominator, those of the same one count."""
    queries, candidates, _ = batch(3)
    at = torch.arange(ROWS)
    sets = torch.tensor([1] * ROWS + [1, 1, 2, 2])
    apart = Side(candidates.vectors, sets, torch.arange(COLUMNS))
    asked = replace(queries, contents=100 + torch.arange(ROWS))

    def loss(vectors: torch.Tensor) -> float:
        return mamcl_loss(asked, replace(apart, vectors=vectors), at, TAU).item()

    foreign, kin = apart.vectors.clone(), apart.vectors.clone()
    foreign[-1], kin[ROWS] = queries.vectors[0], queries.vectors[0]
    assert loss(foreign) == pytest.approx(loss(apart.vectors), abs=1e-6)
    assert loss(kin) > loss(apart.vectors) + 1


def test_a_constant_per_modality_leaves_masked_rows_alone() -> None:
    """The order between modalities is not identified by the masked loss; unmasked rows do see it."""
    queries, candidates, at = batch(2)
    flags = candidates.sets.float().unsqueeze(1)

    def with_bias(size: float, unmasked: bool) -> float:
        asked = replace(queries, vectors=torch.cat([queries.vectors, torch.ones(ROWS, 1)], dim=1))
        shown = replace(candidates, vectors=torch.cat([candidates.vectors, size * flags], dim=1))
        return mamcl_loss(asked, shown, at, TAU, Options(), torch.full((ROWS,), unmasked)).item()

    assert with_bias(0.5, unmasked=False) == pytest.approx(with_bias(0.0, unmasked=False), abs=1e-4)
    assert abs(with_bias(0.5, unmasked=True) - with_bias(0.0, unmasked=True)) > 0.1


@pytest.mark.parametrize("losses", [dense_losses, blocked_losses])
def test_similarities_are_fp32_under_autocast(losses) -> None:
    """Defect 6: bf16 has a spacing of 0.125 at a logit of 25."""
    queries, candidates, at = batch(4)
    with torch.autocast("cpu", torch.bfloat16):
        inside = mamcl_loss(queries, candidates, at, TAU, losses=losses)
    assert inside.dtype == torch.float32
    assert inside.item() == pytest.approx(mamcl_loss(queries, candidates, at, TAU, losses=losses).item(), abs=1e-5)
    halves = [replace(side, vectors=side.vectors.bfloat16()) for side in (queries, candidates)]
    exact = [replace(side, vectors=side.vectors.float()) for side in halves]
    assert mamcl_loss(*halves, at, TAU, losses=losses).item() == pytest.approx(
        mamcl_loss(*exact, at, TAU, losses=losses).item(), abs=1e-6
    )


def test_soft_mask_goes_from_the_hard_one_to_none() -> None:
    queries, candidates, at = batch(5)
    everyone = torch.ones(ROWS, dtype=torch.bool)
    hard = mamcl_loss(queries, candidates, at, TAU).item()
    none = mamcl_loss(queries, candidates, at, TAU, Options(), everyone).item()
    between = [mamcl_loss(queries, candidates, at, TAU, Options(other_weight=w)).item() for w in (1e-12, 0.1, 0.5, 1.0)]
    assert between == sorted(between)
    assert between[0] == pytest.approx(hard, abs=1e-4)
    assert between[-1] == pytest.approx(none, abs=1e-5)
    warm = Options(other_weight=1.0, other_temperature=TAU)
    assert mamcl_loss(queries, candidates, at, TAU, warm).item() == pytest.approx(none, abs=1e-5)
    assert mamcl_loss(queries, candidates, at, TAU, replace(warm, other_temperature=1.0)).item() < none - 0.01


def test_hardness_moves_weight_to_the_hardest_negative() -> None:
    queries, candidates, at = batch(6)
    plain, steep = (mamcl_loss(queries, candidates, at, TAU, Options(hardness=beta)).item() for beta in (1e-6, 5.0))
    assert plain == pytest.approx(mamcl_loss(queries, candidates, at, TAU).item(), abs=1e-4)
    assert steep > plain + 0.01


def test_negatives_far_above_the_positive_can_be_left_out() -> None:
    queries, candidates, _ = batch(7)
    at = torch.arange(ROWS)
    vectors = candidates.vectors.clone()
    vectors[ROWS] = queries.vectors[0]  # an unlabelled positive of row 0
    apart = Side(vectors, torch.ones(COLUMNS).long(), torch.arange(COLUMNS))
    asked = replace(queries, contents=100 + torch.arange(ROWS))
    side = directions(asked, apart, at, None, "forward")[0]
    without = directions(asked, replace(apart, sets=torch.tensor([1] * ROWS + [2, 1, 1, 1])), at, None, "forward")[0]
    margin = Options(false_above=float(queries.vectors[0] @ vectors[ROWS] - queries.vectors[0] @ vectors[0]) - 0.01)
    assert dense_losses(side, TAU, margin)[0].item() == pytest.approx(dense_losses(without, TAU)[0].item(), abs=1e-5)


def test_effective_negatives_are_counted() -> None:
    sets, contents = torch.tensor([1, 1, 2, 2, 4, 1]), torch.tensor([0, 1, 2, 2, 4, 5])
    vectors = torch.eye(6)
    queries = Side(vectors[:5], torch.ones(5).long(), 100 + torch.arange(5))
    side = directions(queries, Side(vectors, sets, contents), torch.arange(5), None, "forward")[0]
    assert negatives(side).tolist() == [2, 2, 0, 0, 0]  # the third and fourth share a target; the fifth is alone
    assert negatives(side, Options(other_weight=0.5)).tolist() == [3.5, 3.5, 2.0, 2.0, 2.5]
    near = replace(side, anchors=torch.eye(6)[[5, 1, 2, 3, 4]])  # the first is nearest to what is not its target
    assert negatives(near, Options(false_above=0.5)).tolist() == [1, 2, 0, 0, 0]


def test_rows_without_negatives_teach_nothing() -> None:
    queries, candidates, at = batch(8)
    alone = replace(candidates, sets=torch.arange(COLUMNS))
    vectors = queries.vectors.requires_grad_()
    for losses in (dense_losses, blocked_losses):
        loss = mamcl_loss(queries, alone, at, TAU, losses=losses)
        assert loss.item() == pytest.approx(0.0, abs=1e-6)
        assert torch.autograd.grad(loss, vectors)[0].abs().max() < 1e-6


def test_gradient_cache_is_the_plain_step() -> None:
    """Chunks of unequal size, dropout, a learned temperature; the random state afterwards is that of the plain step."""
    torch.manual_seed(5)
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, 32), torch.nn.Dropout(0.3), torch.nn.Linear(32, WIDTH))
    log_temperature = torch.tensor(-3.0, requires_grad=True)
    inputs = torch.randn(14, WIDTH)
    trained = [*model.parameters(), log_temperature]
    labels = [Side(torch.empty(0), torch.tensor([1, 1, 2, 2, 1, 2, 1]), start + torch.arange(7)) for start in (0, 50)]

    def embed(rows: torch.Tensor) -> torch.Tensor:
        return normalize(model(rows), dim=-1)

    def loss_of(vectors: torch.Tensor) -> torch.Tensor:
        sides = [replace(side, vectors=half) for side, half in zip(labels, vectors.split(7), strict=True)]
        torch.rand(3)  # a loss that draws chance itself: none of it is drawn again
        return mamcl_loss(*sides, torch.arange(7), log_temperature.exp())

    def gradients(step) -> tuple[float, list[torch.Tensor], torch.Tensor]:
        torch.manual_seed(9)
        for parameter in trained:
            parameter.grad = None
        loss = step()
        return loss.item(), [parameter.grad.clone() for parameter in trained], torch.get_rng_state()

    chunks = inputs.split([5, 5, 4])

    def plain() -> torch.Tensor:
        loss = loss_of(torch.cat([embed(chunk) for chunk in chunks]))
        loss.backward()
        return loss

    whole, cached = gradients(plain), gradients(lambda: cached_step(embed, chunks, loss_of))
    assert cached[0] == pytest.approx(whole[0], abs=1e-6)
    assert torch.equal(cached[2], whole[2])
    for ours, exact in zip(cached[1], whole[1], strict=True):
        torch.testing.assert_close(ours, exact, atol=1e-6, rtol=1e-5)
