"""The masked loss against a double loop that is written from the equation."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from reference_model.train.mamcl import mamcl_loss

TAU = 0.03


def slowly(
    queries: torch.Tensor,
    candidates: torch.Tensor,
    modalities: list[int],
    contents: list[int],
    unmasked: list[bool],
) -> float:
    total = 0.0
    for i in range(len(queries)):
        scores = [float(queries[i].double() @ candidate.double()) / TAU for candidate in candidates]
        counted = [
            j
            for j in range(len(candidates))
            if j == i or ((unmasked[i] or modalities[j] == modalities[i]) and contents[j] != contents[i])
        ]
        top = max(scores[j] for j in counted)
        total -= scores[i] - top - math.log(sum(math.exp(scores[j] - top) for j in counted))
    return total / len(queries)


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor, list[int], list[int], list[bool]]:
    draw = torch.Generator().manual_seed(seed)
    queries = normalize(torch.randn(7, 16, generator=draw), dim=-1)
    candidates = normalize(torch.randn(11, 16, generator=draw), dim=-1)
    modalities = torch.randint(1, 4, (11,), generator=draw).tolist()
    contents = torch.randint(0, 8, (11,), generator=draw).tolist()
    return queries, candidates, modalities, contents, torch.randint(0, 2, (7,), generator=draw).bool().tolist()


@pytest.mark.parametrize("seed", range(8))
def test_loss_is_that_of_the_double_loop(seed: int) -> None:
    queries, candidates, modalities, contents, unmasked = batch(seed)
    ours = mamcl_loss(
        queries, candidates, torch.tensor(modalities), torch.tensor(contents), TAU, torch.tensor(unmasked)
    )
    assert ours.item() == pytest.approx(slowly(queries, candidates, modalities, contents, unmasked), abs=1e-4)


def test_repeated_targets_are_never_negatives() -> None:
    """Two rows with one target: moving the copy's vector cannot change the first row's loss."""
    queries, candidates, _, _, _ = batch(1)
    contents = torch.arange(11)
    contents[3] = contents[0]
    same = torch.ones(11, dtype=torch.long)
    before = mamcl_loss(queries[:1], candidates, same, contents, TAU)
    moved = candidates.clone()
    moved[3] = queries[0]
    assert mamcl_loss(queries[:1], moved, same, contents, TAU).item() == pytest.approx(before.item(), abs=1e-6)
    assert mamcl_loss(queries[:1], moved, same, torch.arange(11), TAU) > before + 1


def test_a_constant_per_modality_leaves_masked_rows_alone() -> None:
    """The order between modalities is not identified by the masked loss; unmasked rows do see it."""
    queries, candidates, modalities, _, _ = batch(2)
    flags = torch.tensor(modalities).float().unsqueeze(1)

    def with_bias(size: float, unmasked: bool) -> float:
        rows = torch.cat([queries, torch.ones(7, 1)], dim=1)
        columns = torch.cat([candidates, size * flags], dim=1)
        free = torch.full((7,), unmasked)
        return mamcl_loss(rows, columns, torch.tensor(modalities), torch.arange(11), TAU, free).item()

    assert with_bias(0.5, unmasked=False) == pytest.approx(with_bias(0.0, unmasked=False), abs=1e-4)
    assert abs(with_bias(0.5, unmasked=True) - with_bias(0.0, unmasked=True)) > 0.1


def test_both_directions_mask_both() -> None:
    """From target to query, a query of another modality plays no part, nor does one that has the same target."""
    queries, candidates, _, _, _ = batch(3)
    kinds = torch.tensor([1, 1, 1, 2, 2, 2, 2])
    same, contents = torch.ones(11, dtype=torch.long), torch.arange(11)
    contents[1] = contents[0]

    def both(rows: torch.Tensor) -> torch.Tensor:
        one_way = mamcl_loss(rows, candidates, same, contents, TAU)
        return 2 * mamcl_loss(rows, candidates, same, contents, TAU, None, kinds, torch.arange(7)) - one_way

    total = 0.0
    for i in range(7):
        counted = [j for j in range(7) if j == i or (kinds[j] == kinds[i] and contents[j] != contents[i])]
        scores = queries.double() @ candidates[i].double() / TAU
        total -= float(scores[i] - torch.logsumexp(scores[counted], dim=0))
    assert both(queries).item() == pytest.approx(total / 7, abs=1e-4)


def test_similarities_are_fp32_under_autocast() -> None:
    """bf16 has a spacing of 0.125 at a logit of 25 (defect 6 of the published code)."""
    queries, candidates, modalities, contents, _ = batch(4)
    given = (torch.tensor(modalities), torch.tensor(contents), TAU)
    with torch.autocast("cpu", torch.bfloat16):
        inside = mamcl_loss(queries, candidates, *given)
    assert inside.dtype == torch.float32
    assert inside.item() == pytest.approx(mamcl_loss(queries, candidates, *given).item(), abs=1e-5)
