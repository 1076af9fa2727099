"""The language model: prepared prompts and visual features -> the hidden state of each last token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from reference_model.tokens import Prepared
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch


def last_states(model: Any, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """(n, width) final hidden states of the last tokens; padded on the left where the lengths differ."""

    embeddings, positions, mask = padded(model, prompts, features)
    states = model.model.language_model(
        inputs_embeds=embeddings,
        position_ids=positions,
        attention_mask=mask,
        use_cache=False,
        **deepstack(model, prompts, features),
    ).last_hidden_state
    return cast("torch.Tensor", states[:, -1])


def padded(
    model: Any, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Embeddings (n, length, width), positions (3, n, length) and the attention mask, None if nothing is padded."""
    import torch

    longest = max(len(prompt) for prompt in prompts)
    levels, width = _levels(model), model.get_input_embeddings().weight.shape[1]
    ids = np.zeros((len(prompts), longest), dtype=np.int64)
    positions = np.zeros((3, len(prompts), longest), dtype=np.int64)
    visual = np.zeros(ids.shape, dtype=np.bool_)
    mask = np.zeros(ids.shape, dtype=np.int64)
    for row, prompt in enumerate(prompts):
        held = features[row]
        given = 0 if held is None else held.shape[0]
        if int(prompt.visual.sum()) != given:
            raise ModelError(f"{int(prompt.visual.sum())} visual placeholders but {given} visual features")
        if held is not None and held.shape[1] != levels * width:
            raise ModelError(
                f"visual features of width {held.shape[1]}, but this backbone has {levels} x {width}; "
                "they are of another model, so compute them again"
            )
        start = longest - len(prompt)
        ids[row, start:], visual[row, start:], mask[row, start:] = prompt.ids, prompt.visual, 1
        positions[:, row, start:] = prompt.positions
    device = model.device
    embeddings = model.get_input_embeddings()(torch.from_numpy(ids).to(device))
    given_features = [held for held in features if held is not None]
    if given_features:
        places = torch.from_numpy(visual).to(device).unsqueeze(-1)
        embeddings = embeddings.masked_scatter(places, torch.cat(given_features)[:, :width].to(embeddings.dtype))
    attention = None if mask.all() else torch.from_numpy(mask).to(device)
    return embeddings, torch.from_numpy(positions).to(device), attention


def deepstack(model: Any, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> dict[str, Any]:
    """What the language model of Qwen3-VL is given beside the embeddings: the places of visual tokens, (n, length), and
    for each of its first layers the features to add there, (visual tokens, width). Nothing for other backbones."""
    import torch

    held = [feature for feature in features if feature is not None]
    levels = _levels(model)
    if levels == 1 or not held:
        return {}
    longest = max(len(prompt) for prompt in prompts)
    places = np.zeros((len(prompts), longest), dtype=np.bool_)
    for row, prompt in enumerate(prompts):
        places[row, longest - len(prompt) :] = prompt.visual
    return {
        "visual_pos_masks": torch.from_numpy(places).to(model.device),
        "deepstack_visual_embeds": list(torch.cat(held).chunk(levels, dim=-1)[1:]),
    }


def _levels(model: Any) -> int:
    """1, and 1 more for every DeepStack layer: how many features stand side by side for one visual token."""
    return 1 + len(getattr(model.config.vision_config, "deepstack_visual_indexes", ()))
