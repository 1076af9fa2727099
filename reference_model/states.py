"""The language model: prepared prompts and visual features -> the hidden state of each last token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from reference_model.packing import common_opening, pack, take_packed
from reference_model.tokens import Prepared
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch


def last_states(model: Any, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """(n, width) final hidden states of the last tokens, in one pass over packed prompts, with gradient where there is any.

    `features[i]` holds the visual features of prompt i, all its media in order, or None. Raises `ModelError` if they are not
    as many as its visual placeholders, or of another model.
    """
    _check(model, prompts, features)
    shared = common_opening(prompts)
    whole = Prepared(
        np.concatenate([prompts[0].ids[:shared], *(prompt.ids[shared:] for prompt in prompts)]),
        np.concatenate(
            [prompts[0].positions[:, :shared], *(prompt.positions[:, shared:] for prompt in prompts)], axis=1
        ),
        np.concatenate([prompts[0].visual[:shared], *(prompt.visual[shared:] for prompt in prompts)]),
    )
    take_packed(model.model.language_model)
    packing = pack([len(prompt) - shared for prompt in prompts], shared, model.device)
    states = model.model.language_model(
        **inputs(model, whole, [held for held in features if held is not None]), use_cache=False, packing=packing
    ).last_hidden_state
    return cast("torch.Tensor", states[0, packing.last])


def inputs(model: Any, row: Prepared, features: Sequence[torch.Tensor]) -> dict[str, Any]:
    """What the language model is given for one row of tokens: embeddings (1, t, width), with the features in the places of
    the visual tokens, and positions (3, 1, t).

    Qwen3-VL also takes those places, (1, t), and for each of its first layers the features to add there.
    """
    import torch

    device, width = model.device, _width(model)
    embeddings = model.get_input_embeddings()(torch.from_numpy(row.ids)[None].to(device))
    given: dict[str, Any] = {"position_ids": torch.from_numpy(row.positions)[:, None].to(device)}
    if features:
        places, held = torch.from_numpy(row.visual)[None].to(device), torch.cat(list(features))
        embeddings = embeddings.masked_scatter(places[..., None], held[:, :width].to(embeddings.dtype))
        if _levels(model) > 1:
            given |= {"visual_pos_masks": places, "deepstack_visual_embeds": list(held.split(width, dim=-1)[1:])}
    return {"inputs_embeds": embeddings, **given}


def _check(model: Any, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> None:
    levels, width = _levels(model), _width(model)
    for prompt, held in zip(prompts, features, strict=True):
        wanted, given = int(prompt.visual.sum()), 0 if held is None else len(held)
        if wanted != given:
            raise ModelError(f"{wanted} visual placeholders but {given} visual features")
        if held is not None and held.shape[1] != levels * width:
            raise ModelError(
                f"visual features of width {held.shape[1]}, but this backbone has {levels} x {width}; "
                "they are of another model, so compute them again"
            )


def _width(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[1])


def _levels(model: Any) -> int:
    """1, and 1 more for every DeepStack layer: how many features stand side by side for one visual token."""
    return 1 + len(getattr(model.config.vision_config, "deepstack_visual_indexes", ()))
