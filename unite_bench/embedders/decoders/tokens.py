"""From the words of a prompt to token ids, with one token for each feature of a medium; and rows of one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unite_bench.embedders.decoders.model_file import ModelFile
from unite_bench.embedders.decoders.template import Segment
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch


def token_ids(
    segments: Sequence[Segment],
    features: Sequence[tuple[int, int]],
    tokenizer: Any,
    media_ids: tuple[int, ...],
    file: ModelFile,
) -> list[int]:
    """The ids of a prompt. `features` are the tokens that stand for media, in order, each with the number of times that it
    is to stand there; `media_ids` all tokens that may do so.

    A prompt longer than the file's `max_length` loses words from the end of its texts; never media, instruction or template.
    Raises ModelError if that is not enough, or if the texts hold a token that stands for media.
    """
    about: Any = file  # checked to hold no `unknown`
    encoded = tokenizer(
        "".join(segment.text for segment in segments),
        add_special_tokens=about.special_tokens,
        return_offsets_mapping=True,
        return_attention_mask=False,
    )
    found = np.asarray(encoded["input_ids"], dtype=np.int64)
    at = np.flatnonzero(np.isin(found, media_ids))
    if found[at].tolist() != [token for token, _ in features]:
        raise ModelError(
            f"the prompt holds {len(at)} tokens that stand for media, {len(features)} are needed; take "
            f"{' and '.join(tokenizer.convert_ids_to_tokens(list(media_ids)))} out of the item's texts"
        )
    repeats = np.ones(len(found), dtype=np.int64)
    repeats[at] = [count for _, count in features]
    keep = _kept(encoded["offset_mapping"], segments, int(repeats.sum()) - about.max_length, about.max_length)
    ids: list[int] = np.repeat(found[keep], repeats[keep]).tolist()
    return ids


def padded(rows: Sequence[Sequence[int]], fill: int, side: str, device: Any) -> torch.Tensor:
    """(n, longest) int64, filled up on the left or on the right."""
    import torch

    longest = max(map(len, rows))
    fills = [[fill] * (longest - len(row)) for row in rows]
    full = [[*more, *row] if side == "left" else [*row, *more] for row, more in zip(rows, fills, strict=True)]
    return torch.tensor(full, device=device)


def running(mask: torch.Tensor) -> torch.Tensor:
    """(n, length) positions that count the tokens that are no padding, from 0."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


def _kept(offsets: Sequence[tuple[int, int]], segments: Sequence[Segment], surplus: int, limit: int) -> Any:
    keep = np.ones(len(offsets), dtype=np.bool_)
    if surplus <= 0:
        return keep
    origins = [segment.origin for segment in segments for _ in segment.text]
    words = [
        n for n, (start, end) in enumerate(offsets) if end > start and {origins[start], origins[end - 1]} == {"text"}
    ]
    if len(words) < surplus:
        raise ModelError(
            f"media, instruction and template alone exceed max_length {limit} by {surplus - len(words)}; give fewer "
            "frames or a smaller budget of pixels"
        )
    keep[words[len(words) - surplus :]] = False
    return keep
