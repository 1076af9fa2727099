"""Packed prompts: the tokens of all prompts of a pass lie in one row, without padding, each prompt seeing its own.

The tokens with which all prompts begin (every UNITE prompt opens alike) stand in the row once, at its head, and every
prompt sees them. transformers calls `packed_attention` in every layer of the language model, through its attention
interface. It has two forms: torch's varlen kernel (CUDA, half precision), and everywhere else ordinary attention over the
prompts laid side by side, padded for just this product. Both have gradients. With the kernel, the vision tower packs the
frames of all media in the same way.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from reference_model.tokens import Prepared
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch

NAME = "reference-packed"  # under which transformers knows it; it has no mask of its own, so none is made
FRAMES_NAME = "reference-flash-frames"  # a name with "flash" is told where each frame, or window, begins


@dataclass(frozen=True)
class Packing:
    """Where the tokens lie in the row (t,): `shared` first ones, then each prompt's own, `lengths` of them.

    On the device: `rows` (n, longest) says which token stands where if prompts are laid side by side, and `places` the way
    back. For the varlen kernel, the shared tokens are a sequence of their own: `bounds` and `key_bounds` (sequences + 1,)
    int32, and `keys`, the tokens that each one sees.
    """

    shared: int
    lengths: tuple[int, ...]
    rows: torch.Tensor
    places: torch.Tensor
    bounds: torch.Tensor
    key_bounds: torch.Tensor
    keys: torch.Tensor

    @property
    def last(self) -> torch.Tensor:
        """(n,) the place of each prompt's last token."""
        return self.bounds[-len(self.lengths) :].long() - 1

    @cached_property
    def mask(self) -> torch.Tensor:
        """(longest, shared + longest) what a token may see side by side. The varlen kernel needs none, so none is made."""
        import torch

        longest = max(self.lengths)
        return self.rows.new_ones(longest, self.shared + longest, dtype=torch.bool).tril(self.shared)


def common_opening(prompts: Sequence[Prepared]) -> int:
    """How many tokens all prompts begin with; visual ones never count, and each prompt keeps at least one of its own."""
    if len(prompts) < 2:
        return 0
    most = min(len(prompt) for prompt in prompts) - 1
    ids = np.stack([prompt.ids[:most] for prompt in prompts])
    visual = np.stack([prompt.visual[:most] for prompt in prompts])
    differs = (ids != ids[0]).any(0) | visual.any(0)
    return int(differs.argmax()) if differs.any() else most


def pack(lengths: Sequence[int], shared: int, device: torch.device) -> Packing:
    """How prompts of these lengths (what is shared not counted) lie in a row."""
    import torch

    sizes = np.asarray(lengths)
    ends = np.concatenate([[0], sizes.cumsum()])
    across = np.arange(int(sizes.max()))
    real = across[np.newaxis] < sizes[:, np.newaxis]
    before = np.arange(shared)
    first = [before] if shared else []
    keys = first + [np.concatenate([before, shared + np.arange(*own)]) for own in pairwise(ends)]

    def there(values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    return Packing(
        shared,
        tuple(lengths),
        rows=there(np.where(real, ends[:-1, np.newaxis] + across, 0)),
        places=there(np.flatnonzero(real)),
        bounds=there(_bounds([len(own) for own in (*first, *np.split(np.arange(ends[-1]), ends[1:-1]))])),
        key_bounds=there(_bounds([len(seen) for seen in keys])),
        keys=there(np.concatenate(keys)),
    )


def _bounds(sizes: Sequence[int]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)


def take_packed_frames(tower: Any) -> None:
    """From now on this vision tower attends by the varlen kernel. Once is enough."""
    from transformers import AttentionInterface

    AttentionInterface.register(FRAMES_NAME, frame_attention)
    tower.config._attn_implementation = FRAMES_NAME


@cache
def has_varlen(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch's varlen kernel (FlashAttention) can be used: CUDA from compute capability 8.0, half precision."""
    import torch

    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16):
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0) and _torch_has_varlen()


def _torch_has_varlen() -> bool:
    """Whether this version of torch has the kernel, with all that is asked of it: the first ones took fewer arguments."""
    if importlib.util.find_spec("torch.nn.attention.varlen") is None:
        return False
    from torch.nn.attention.varlen import varlen_attn

    return {"scale", "window_size", "enable_gqa"} <= inspect.signature(varlen_attn).parameters.keys()


def take_packed(language_model: Any) -> None:
    """From now on this language model attends to packed prompts, and to nothing else. Once is enough."""
    config = language_model.config
    if config._attn_implementation == NAME:
        return
    if getattr(language_model, "has_sliding_layers", False):
        raise ModelError("the language model has sliding-window layers, which packed prompts do not know")
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    config._attn_implementation = NAME


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
        raise ModelError("this language model takes packed prompts; call it through last_states")
    attend = _varlen if has_varlen(query.device, query.dtype) else _side_by_side
    return attend(query[0], key[0], value[0], packing, scaling)[None], None


def _side_by_side(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packing: Packing, scaling: float | None
) -> torch.Tensor:
    """(heads, t, width) -> (t, heads, width). Filling stands on the right, where no token of a prompt sees it."""
    import torch

    shared, groups = packing.shared, query.shape[0] // key.shape[0]

    def laid_out(packed: torch.Tensor) -> torch.Tensor:
        return packed[:, shared:][:, packing.rows].transpose(0, 1)

    def seen(packed: torch.Tensor) -> torch.Tensor:
        own = laid_out(packed)
        head = packed[:, :shared].expand(len(own), -1, -1, -1)
        return torch.cat([head, own], dim=2).repeat_interleave(groups, dim=1)

    tokens = _attended(laid_out(query), seen(key), seen(value), packing.mask, scaling)
    own = tokens.transpose(1, 2).flatten(0, 1)[packing.places]
    if not shared:
        return own
    keys, values = (states[:, :shared].repeat_interleave(groups, dim=0) for states in (key, value))
    causal = packing.mask.new_ones(shared, shared).tril()
    opening = _attended(query[:, :shared], keys, values, causal, scaling)
    return torch.cat([opening.transpose(0, 1), own])


def _attended(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Attention under a mask of what may be seen. The fused kernel's backward pass is slow on the CPU (several times)."""
    from torch.nn import functional

    if query.requires_grad and query.device.type == "cpu":
        scores = (query * (scaling or query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)
        return scores.masked_fill(~mask, float("-inf")).softmax(-1).to(value.dtype) @ value
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)


def _varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packing: Packing, scaling: float | None
) -> torch.Tensor:
    """(heads, t, width) -> (t, heads, width), by torch's varlen kernel; causal, aligned at the ends of the prompts."""
    from torch.nn.attention.varlen import varlen_attn

    seen = varlen_attn(
        query.transpose(0, 1),
        key.transpose(0, 1)[packing.keys],
        value.transpose(0, 1)[packing.keys],
        packing.bounds,
        packing.key_bounds,
        max(packing.shared, *packing.lengths),
        packing.shared + max(packing.lengths),
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
