"""The vision tower: patches of several media -> their visual features.

The features of Qwen3-VL are those of its merger and, side by side with them, those of its DeepStack mergers, which
enter the first layers of the language model: one row a visual token, however a row is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from reference_model.packing import has_varlen, take_packed_frames
from reference_model.preprocess import Grid

if TYPE_CHECKING:
    import torch

BATCHED = "qwen2_vl_vision"


def visual_features(tower: Any, patches: torch.Tensor, grids: Sequence[Grid]) -> torch.Tensor:
    """(visual tokens, width) of media whose patches stand one after the other; for Qwen3-VL (visual tokens, width x (1 +
    number of DeepStack layers)). Equal to what the tower of transformers gives."""
    import torch

    if has_varlen(patches.device, tower.dtype):
        take_packed_frames(tower)
    elif tower.config.model_type == BATCHED:
        return _batched_features(tower, patches, grids)
    shapes = torch.tensor([[grid.time, grid.rows, grid.columns] for grid in grids], device=patches.device)
    found = tower(patches, grid_thw=shapes)
    return torch.cat([found.pooler_output, *getattr(found, "deepstack_features", ())], dim=-1)


def _batched_features(tower: Any, patches: torch.Tensor, grids: Sequence[Grid]) -> torch.Tensor:
    """What transformers' Qwen2-VL vision tower gives, but with attention batched over frames of equal size.

    transformers attends frame by frame in a Python loop where no varlen kernel is at hand; frames of one size are the
    rule here, so that they are stacked instead. Tested to be equal. Frames of other sizes take turns. Where the varlen
    kernel is (packing.py), the tower of transformers packs all frames, and this is left out.
    """
    import torch

    by_size: dict[tuple[int, int], list[int]] = {}
    for index, grid in enumerate(grids):
        by_size.setdefault((grid.rows, grid.columns), []).append(index)
    pieces = patches.split([grid.patches for grid in grids])
    merge = tower.spatial_merge_size**2
    features: list[torch.Tensor] = [patches[:0]] * len(grids)
    for (rows, columns), members in by_size.items():
        stacked = torch.cat([pieces[i] for i in members]) if len(members) < len(grids) else patches
        done = _same_size_features(tower, stacked, rows, columns)
        for i, feature in zip(members, done.split([grids[i].patches // merge for i in members]), strict=True):
            features[i] = feature
    return torch.cat(features)


def _same_size_features(tower: Any, patches: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    import torch
    from torch.nn import functional
    from transformers.models.qwen2_vl.modeling_qwen2_vl import rotate_half
    from transformers.vision_utils import get_vision_position_ids

    one_frame = torch.tensor([[1, rows, columns]], device=patches.device)
    cos, sin = tower.rotary_pos_emb(patches, get_vision_position_ids(one_frame, tower.spatial_merge_size))
    convolution = tower.patch_embed.proj  # its stride is its kernel: a matrix product
    states = functional.linear(patches.to(convolution.weight.dtype), convolution.weight.flatten(1))
    states = states.view(-1, rows * columns, states.shape[-1])
    for block in tower.blocks:
        attention = block.attn
        mixed = attention.qkv(block.norm1(states)).unflatten(-1, (3, attention.num_heads, -1))
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        query = (query * cos + rotate_half(query) * sin).to(value.dtype)
        key = (key * cos + rotate_half(key) * sin).to(value.dtype)
        seen = _attended(query, key, value)
        states = states + attention.proj(seen.transpose(1, 2).flatten(2))
        states = states + block.mlp(block.norm2(states))
    return cast("torch.Tensor", tower.merger(states.flatten(0, 1)))


def _attended(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention over whole frames. The fused kernel's backward pass is slow on the CPU (5 times, in bf16)."""
    from torch.nn import functional

    if query.requires_grad and query.device.type == "cpu":
        weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
        return cast("torch.Tensor", weights.softmax(-1) @ value)
    return functional.scaled_dot_product_attention(query, key, value)
