"""Attention of packed prompts: the tokens of all prompts of a pass lie in one row, without padding, each seeing its own.

transformers calls `packed_attention` in every layer of the language model (its attention interface). Keys and values of a
prefix that all prompts share may be given; every token sees them. Two forms: the varlen kernel of torch (CUDA, half
precision), and everywhere else `scaled_dot_product_attention` over the prompts laid side by side, padded for just this
product. With the kernel, the vision tower packs the frames of all media in the same way (`frame_attention`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch

NAME = "reference-packed"  # under which transformers knows it; it has no mask of its own, so none is made
FRAMES_NAME = "reference-flash-frames"  # a name with "flash" is given where each frame, or window, begins


@dataclass(frozen=True)
class Prefix:
    """The opening that prompts share: its token ids, and its keys and values (kv heads, tokens, width) by layer."""

    ids: tuple[int, ...]
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]


@dataclass(frozen=True)
class Packing:
    """Where each prompt's tokens lie in the row (t,) of a pass, on the device.

    `rows` (n, longest) says which token stands where if prompts are laid side by side, and `places` (t,) the way back.
    `mask` (longest, prefix + longest) is what a token may see then; `bounds` and `all_bounds` (n + 1,) int32 are the
    prompts' ends, without and with the prefix; `keys` (t + n * prefix,) the rows of prefix and tokens, prompt by prompt.
    """

    lengths: tuple[int, ...]
    prefix: Prefix | None
    varlen: bool
    rows: torch.Tensor
    places: torch.Tensor
    mask: torch.Tensor
    bounds: torch.Tensor
    all_bounds: torch.Tensor
    keys: torch.Tensor


def has_varlen(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch's varlen kernel (FlashAttention) can be used: CUDA from compute capability 8.0, half precision."""
    import torch

    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    if importlib.util.find_spec("torch.nn.attention.varlen") is None:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def pack(lengths: Sequence[int], prefix: Prefix | None, device: torch.device, varlen: bool) -> Packing:
    """How prompts of these lengths (the prefix not counted) lie in a row."""
    import torch

    sizes = np.asarray(lengths)
    shared = 0 if prefix is None else len(prefix.ids)
    ends = np.concatenate([[0], sizes.cumsum()])
    longest = int(sizes.max())
    across = np.arange(longest)
    real = across[np.newaxis] < sizes[:, np.newaxis]
    rows = np.where(real, ends[:-1, np.newaxis] + across, 0)
    before = np.arange(shared)
    keys = np.concatenate([np.concatenate([before, shared + np.arange(a, b)]) for a, b in pairwise(ends)])
    seen = np.arange(shared + longest)[np.newaxis] <= shared + across[:, np.newaxis]

    def there(values: Any) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return Packing(
        lengths=tuple(lengths),
        prefix=prefix,
        varlen=varlen,
        rows=there(rows),
        places=there(np.flatnonzero(real)),
        mask=there(seen),
        bounds=there(ends.astype(np.int32)),
        all_bounds=there((ends + shared * np.arange(len(ends))).astype(np.int32)),
        keys=there(keys),
    )


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    packing: Packing | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Query (1, heads, t, width), key and value (1, kv heads, t, width) -> (1, t, heads, width)."""
    if packing is None:
        raise ModelError("packed attention was called without a packing; encode through LanguagePass")
    before = None if packing.prefix is None else packing.prefix.layers[module.layer_idx]
    attend = _varlen if packing.varlen else _side_by_side
    return attend(query[0], key[0], value[0], before, packing, scaling)[None], None


def _side_by_side(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    before: tuple[torch.Tensor, torch.Tensor] | None,
    packing: Packing,
    scaling: float | None,
) -> torch.Tensor:
    """(heads, t, width) -> (t, heads, width). Filling stands on the right, where no token of a prompt sees it."""
    import torch
    from torch.nn import functional

    def laid_out(packed: torch.Tensor, shared: torch.Tensor | None) -> torch.Tensor:
        own = packed[:, packing.rows].transpose(0, 1)
        if shared is not None:
            own = torch.cat([shared.expand(len(own), -1, -1, -1), own], dim=2)
        return own.repeat_interleave(query.shape[0] // own.shape[1], dim=1)

    keys, values = before or (None, None)
    seen = functional.scaled_dot_product_attention(
        laid_out(query, None), laid_out(key, keys), laid_out(value, values), attn_mask=packing.mask, scale=scaling
    )
    return seen.transpose(1, 2).flatten(0, 1)[packing.places]


def _varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    before: tuple[torch.Tensor, torch.Tensor] | None,
    packing: Packing,
    scaling: float | None,
) -> torch.Tensor:
    """(heads, t, width) -> (t, heads, width), by torch's varlen kernel; causal, aligned at the ends of the prompts."""
    import torch
    from torch.nn.attention.varlen import varlen_attn

    def in_order(packed: torch.Tensor, shared: torch.Tensor | None) -> torch.Tensor:
        rows = packed.transpose(0, 1)
        return rows if shared is None else torch.cat([shared.transpose(0, 1), rows])[packing.keys]

    keys, values = before or (None, None)
    longest, shared = max(packing.lengths), 0 if packing.prefix is None else len(packing.prefix.ids)
    seen = varlen_attn(
        query.transpose(0, 1),
        in_order(key, keys),
        in_order(value, values),
        packing.bounds,
        packing.all_bounds,
        longest,
        longest + shared,
        scale=scaling,
        window_size=(-1, 0),
        enable_gqa=query.shape[0] != key.shape[0],
    )
    return cast("torch.Tensor", seen)


def frame_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Query, key and value (1, heads, patches, width) -> (1, patches, heads, width): each frame sees itself alone."""
    from torch.nn.attention.varlen import varlen_attn

    if cu_seq_lens_q is None or max_length_q is None:
        raise ModelError("frame attention was called without the bounds of frames; it is for vision towers alone")
    bounds = cu_seq_lens_q.int()
    queries, keys, values = (packed[0].transpose(0, 1) for packed in (query, key, value))
    seen = varlen_attn(queries, keys, values, bounds, bounds, max_length_q, max_length_q, scale=scaling)
    return cast("torch.Tensor", seen)[None], None


@contextmanager
def packed(model: Any, varlen: bool) -> Iterator[None]:
    """Within it, the language model attends to packed prompts, and with `varlen` the vision tower to packed frames;
    afterwards both as before."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    AttentionInterface.register(FRAMES_NAME, frame_attention)
    names = {NAME: model.language_model.config} | ({FRAMES_NAME: model.visual.config} if varlen else {})
    before = [(config, config._attn_implementation) for config in names.values()]
    try:
        for name, config in names.items():
            config._attn_implementation = name
        yield
    finally:
        for config, name in before:
            config._attn_implementation = name
