"""Packed prompts give the states, and the gradients, of prompts that are run one at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tiny_families import save_family

from reference_model import packing as packing_module
from reference_model.backbone import Backbone, Prepared
from reference_model.families import FAMILIES
from reference_model.packing import common_opening, pack, packed_attention
from reference_model.preprocess import Grid
from reference_model.prompt import IMAGE_PAD, OPENING, render
from reference_model.states import last_states
from unite_bench.errors import ModelError
from unite_bench.items import Blob, Image, Item, Text

WORDS = ("a", "some other words", "one two three four five six seven", "a")


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request, tiny, tmp_path_factory) -> Backbone:
    folder = tmp_path_factory.mktemp("packing") / request.param
    return Backbone.load(save_family(folder, request.param, tiny / "tokenizer.json"))


def prompts_of(backbone: Backbone) -> tuple[list[Prepared], list[torch.Tensor | None]]:
    """Texts, and two with pictures whose features are given."""
    levels = 1 + len(getattr(backbone.model.config.vision_config, "deepstack_visual_indexes", ()))
    width = levels * backbone.model.get_input_embeddings().weight.shape[1]
    grids = [Grid(1, 4, 6), Grid(1, 2, 2)]
    draw = torch.Generator().manual_seed(0)
    prompts = [backbone.prepare(render(Item((Text(words),))), []) for words in WORDS]
    prompts += [backbone.prepare(render(Item((Image(Blob(b"")), Text("and words")))), [grid]) for grid in grids]
    return prompts, [None] * len(WORDS) + [torch.randn(grid.tokens(2), width, generator=draw) for grid in grids]


def alone(backbone: Backbone, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> torch.Tensor:
    return torch.cat([last_states(backbone.model, [p], [f]) for p, f in zip(prompts, features, strict=True)])


def test_states_and_gradients_are_those_of_prompts_alone(backbone: Backbone) -> None:
    prompts, features = prompts_of(backbone)
    assert common_opening(prompts) > 5
    with torch.no_grad():
        fused = last_states(backbone.model, prompts, features)
        assert torch.allclose(fused, alone(backbone, prompts, features), atol=1e-5)
        assert not torch.allclose(fused[0], fused[1], atol=1e-2)
    weight = torch.randn(fused.shape, generator=torch.Generator().manual_seed(1))
    backbone.model.model.language_model.requires_grad_(True)
    found = []
    for run in (last_states, None):
        backbone.model.zero_grad()
        states = run(backbone.model, prompts, features) if run else alone(backbone, prompts, features)
        assert torch.allclose(states, fused, atol=1e-5)
        (states * weight).sum().backward()
        found.append({n: p.grad.clone() for n, p in backbone.model.named_parameters() if p.grad is not None})
    backbone.model.requires_grad_(False)
    assert found[0].keys() == found[1].keys()
    assert any(grad.abs().max() > 1e-3 for grad in found[0].values())
    for name, grad in found[0].items():
        assert torch.allclose(grad, found[1][name], atol=1e-5 * max(1.0, float(grad.abs().max()))), name


def test_a_pass_runs_what_is_shared_once(backbone: Backbone, monkeypatch) -> None:
    prompts, features = prompts_of(backbone)
    seen: list[int] = []
    forward = backbone.model.model.language_model.forward
    spy = lambda **given: seen.append(given["inputs_embeds"].shape[1]) or forward(**given)  # noqa: E731
    monkeypatch.setattr(backbone.model.model.language_model, "forward", spy)
    last_states(backbone.model, prompts, features)
    shared = common_opening(prompts)
    assert seen == [shared + sum(len(prompt) - shared for prompt in prompts)]


def test_what_is_shared_is_never_visual_nor_a_whole_prompt(backbone: Backbone) -> None:
    prompts, _ = prompts_of(backbone)
    same = [prompts[0], prompts[0]]
    assert common_opening(same) == len(prompts[0]) - 1
    assert common_opening(prompts[:1]) == 0
    pictures = [prompts[4], prompts[4]]
    assert common_opening(pictures) == int(np.flatnonzero(prompts[4].visual)[0])
    other = Prepared(prompts[0].ids + 1, prompts[0].positions, prompts[0].visual)
    assert common_opening([prompts[0], other]) == 0
    opening = backbone.tokenizer.encode(OPENING, add_special_tokens=False).ids
    assert common_opening(prompts) >= len(opening) - 1
    assert backbone.tokenizer.token_to_id(IMAGE_PAD) not in prompts[0].ids


def test_places_for_the_varlen_kernel() -> None:
    """Two prompts of 2 and 3 tokens behind 2 shared ones: three sequences, the later two see the first."""
    packing = pack([2, 3], 2, torch.device("cpu"))
    assert packing.bounds.tolist() == [0, 2, 4, 7]
    assert packing.key_bounds.tolist() == [0, 2, 6, 11]
    assert packing.keys.tolist() == [0, 1, 0, 1, 2, 3, 0, 1, 4, 5, 6]
    assert packing.last.tolist() == [3, 6]
    assert packing.mask.int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    plain = pack([2, 3], 0, torch.device("cpu"))
    assert plain.bounds.tolist() == plain.key_bounds.tolist() == [0, 2, 5]
    assert plain.keys.tolist() == [0, 1, 2, 3, 4]
    assert plain.last.tolist() == [1, 4]


def test_the_varlen_kernel_is_used_only_where_torch_has_all_of_it(monkeypatch) -> None:
    from torch.nn.attention import varlen

    assert packing_module._torch_has_varlen()
    monkeypatch.setattr(varlen, "varlen_attn", lambda q, k, v, cu_q, cu_k, max_q, max_k, is_causal=False: None)
    assert not packing_module._torch_has_varlen(), "an early version, without windows and grouped heads"
    assert not packing_module.has_varlen(torch.device("cpu"), torch.bfloat16)


def test_a_model_that_takes_packed_prompts_refuses_others() -> None:
    states = torch.zeros(1, 2, 3, 4)
    with pytest.raises(ModelError, match="call it through last_states"):
        packed_attention(None, states, states, states, None)
