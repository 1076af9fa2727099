"""A Qwen2-VL checkpoint folder as a function from prompts and patches to last-token vectors.

`tokens_of` turns an item's prompt into token ids with one visual placeholder per visual feature; `Backbone.visual`
gives the features of media; `Backbone.vectors` puts both together, runs the language model and pools. What the
published code gets wrong is not repeated here: text is truncated but placeholders never are, the number of
placeholders must equal the number of features, and the rule for positions is a setting of the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt

from reference_model.preprocess import Grid, Preprocessing
from reference_model.prompt import IMAGE_PAD, SPECIAL_TOKENS, VIDEO_PAD, Segment, joined
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

Positions = Literal["mrope", "1d"]
SETTINGS_FILE = "unite.json"


@dataclass(frozen=True)
class Settings:
    """What a checkpoint says about itself beyond transformers' files (`unite.json`; defaults for a plain Qwen2-VL).

    `positions` must be "1d" for the released UNITE weights, which were trained without M-RoPE.
    """

    positions: Positions = "mrope"
    max_length: int = 2048
    max_frames: int | None = None
    training_sets: tuple[str, ...] | None = None

    @classmethod
    def read(cls, folder: Path) -> Settings:
        path = folder / SETTINGS_FILE
        if not path.exists():
            return cls()
        raw = read_json(path)
        unknown = sorted(set(raw) - set(cls.__dataclass_fields__))
        if unknown:
            raise ModelError(f"{path}: unknown settings {unknown}; known are {sorted(cls.__dataclass_fields__)}")
        if raw.get("positions", "mrope") not in ("mrope", "1d"):
            raise ModelError(f"{path}: positions is {raw['positions']!r}; it must be 'mrope' or '1d'")
        sets = raw.get("training_sets")
        return cls(**{**raw, "training_sets": None if sets is None else tuple(sets)})


@dataclass(frozen=True)
class Prepared:
    """One prompt, ready for the language model: token ids (n,), positions (3, n), and the ids' visual placeholders."""

    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    visual: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the checkpoint, or a `ModelError` that names the file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot read it ({error.strerror}); a checkpoint folder needs this file") from error
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); restore it from the checkpoint") from error
    if not isinstance(raw, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return raw


def load_tokenizer(folder: Path) -> Tokenizer:
    """The folder's tokenizer; every special token of the prompt must be in it."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.exists():
        raise ModelError(f"{path}: no such file; a checkpoint folder needs the tokenizer as tokenizer.json")
    tokenizer = Tokenizer.from_file(str(path))
    missing = [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
    if missing:
        raise ModelError(f"{path}: lacks {', '.join(missing)}; use the tokenizer of a Qwen2-VL checkpoint")
    return tokenizer


def prepare(
    segments: tuple[Segment, ...], grids: Sequence[Grid], tokenizer: Tokenizer, merge: int, settings: Settings
) -> Prepared:
    """Tokens and positions of one prompt whose media, in order, have these grids.

    A prompt longer than `settings.max_length` loses tokens of its text parts from the left, then of its instruction;
    never a visual placeholder, and never the template. If that is not enough, a `ModelError` says so.
    """
    encoding = tokenizer.encode(joined(segments), add_special_tokens=False)
    ids = np.asarray(encoding.ids, dtype=np.int64)
    pads = (ids == tokenizer.token_to_id(IMAGE_PAD)) | (ids == tokenizer.token_to_id(VIDEO_PAD))
    if int(pads.sum()) != len(grids):
        raise ModelError(
            f"the prompt has {int(pads.sum())} visual placeholders for {len(grids)} media; "
            f"take {IMAGE_PAD} and {VIDEO_PAD} out of the item's texts"
        )
    repeats = np.ones(len(ids), dtype=np.int64)
    repeats[pads] = [grid.tokens(merge) for grid in grids]
    surplus = int(repeats.sum()) - settings.max_length
    if surplus > 0:
        keep = _without_leftmost_words(encoding.offsets, segments, surplus, settings.max_length)
        ids, pads, repeats = ids[keep], pads[keep], repeats[keep]
    visual = np.repeat(pads, repeats)
    return Prepared(np.repeat(ids, repeats), _positions(pads, grids, merge, settings.positions), visual)


def _without_leftmost_words(
    offsets: list[tuple[int, int]], segments: tuple[Segment, ...], surplus: int, limit: int
) -> npt.NDArray[np.bool_]:
    origins: list[str] = []
    for segment in segments:
        origins.extend([segment.origin] * len(segment.text))
    kinds = np.array(["template" if end <= start else origins[start] for start, end in offsets])
    removable = np.concatenate([np.flatnonzero(kinds == "text"), np.flatnonzero(kinds == "instruction")])
    if len(removable) < surplus:
        raise ModelError(
            f"visual and template tokens alone exceed max_length {limit} by {surplus - len(removable)}; "
            "give fewer frames or a smaller visual budget, or raise max_length"
        )
    keep = np.ones(len(offsets), dtype=np.bool_)
    keep[removable[:surplus]] = False
    return keep


def _positions(
    pads: npt.NDArray[np.bool_], grids: Sequence[Grid], merge: int, rule: Positions
) -> npt.NDArray[np.int64]:
    """(3, n) positions: time, row, column for visual tokens (M-RoPE), else one running number, or that throughout."""
    if rule == "1d":
        count = int((~pads).sum()) + sum(grid.tokens(merge) for grid in grids)
        return np.tile(np.arange(count, dtype=np.int64), (3, 1))
    blocks: list[npt.NDArray[np.int64]] = []
    start, previous = 0, 0
    for place, grid in zip(np.flatnonzero(pads).tolist(), grids, strict=True):
        blocks.append(np.tile(np.arange(place - previous, dtype=np.int64) + start, (3, 1)))
        start += place - previous
        shape = (grid.time, grid.rows // merge, grid.columns // merge)
        blocks.append(np.indices(shape, dtype=np.int64).reshape(3, -1) + start)
        start += max(shape[1:])
        previous = place + 1
    blocks.append(np.tile(np.arange(len(pads) - previous, dtype=np.int64) + start, (3, 1)))
    return np.concatenate(blocks, axis=1)


class Backbone:
    """A loaded Qwen2-VL model with the tokenizer and settings of its folder."""

    def __init__(self, model: Any, tokenizer: Tokenizer, preprocessing: Preprocessing, settings: Settings):
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.settings = settings

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", dtype: str = "float32") -> Backbone:
        """Weights, tokenizer and settings from a folder as transformers saves it. Raises `ModelError` if unfit."""
        import torch
        from transformers import Qwen2VLForConditionalGeneration

        read_json(folder / "config.json")
        tokenizer = load_tokenizer(folder)
        try:
            with _no_progress_bar():
                model, report = Qwen2VLForConditionalGeneration.from_pretrained(
                    folder, dtype=getattr(torch, dtype), local_files_only=True, output_loading_info=True
                )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{folder}: not a checkpoint that Qwen2-VL can load ({error})") from error
        missing = sorted(report["missing_keys"])
        if missing:
            raise ModelError(f"{folder}: weights are missing, first {missing[0]}; the checkpoint is incomplete")
        model.eval().requires_grad_(False)
        return cls(model.to(device), tokenizer, read_preprocessing(folder), Settings.read(folder))

    @property
    def device(self) -> torch.device:
        return cast("torch.device", self.model.device)

    def prepare(self, segments: tuple[Segment, ...], grids: Sequence[Grid]) -> Prepared:
        """`prepare` with this checkpoint's tokenizer and settings."""
        return prepare(segments, grids, self.tokenizer, self.preprocessing.merge, self.settings)

    def visual(self, patches: torch.Tensor, grids: Sequence[Grid]) -> torch.Tensor:
        """Patches of several media, one after the other -> (visual tokens, width) features."""
        return visual_features(self.model.model.visual, patches, grids)

    def vectors(self, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """(n, width) fp32, L2-normalised: the last token's final hidden state of each prompt.

        `features[i]` holds the visual features of prompt i, all its media in order, or None.
        """
        import torch

        return torch.nn.functional.normalize(last_states(self.model, prompts, features).float(), dim=-1)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """transformers draws a bar while it loads, in the middle of what the harness prints."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def read_preprocessing(folder: Path) -> Preprocessing:
    """Preprocessing of a checkpoint; the patch sizes of its config.json win, because the weights depend on them."""
    from dataclasses import replace

    vision = read_json(folder / "config.json").get("vision_config", {})
    named = {"patch": "patch_size", "merge": "spatial_merge_size", "temporal_patch": "temporal_patch_size"}
    sizes = {field: vision[key] for field, key in named.items() if key in vision}
    return replace(Preprocessing.read(folder / "preprocessor_config.json"), **sizes)


def last_states(model: Any, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """(n, width) final hidden states of the last tokens; padded on the left where the lengths differ."""

    embeddings, positions, mask = padded(model, prompts, features)
    states = model.model.language_model(
        inputs_embeds=embeddings, position_ids=positions, attention_mask=mask, use_cache=False
    ).last_hidden_state
    return cast("torch.Tensor", states[:, -1])


def padded(
    model: Any, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Embeddings (n, length, width), positions (3, n, length) and the attention mask, None if nothing is padded."""
    import torch

    longest = max(len(prompt) for prompt in prompts)
    ids = np.zeros((len(prompts), longest), dtype=np.int64)
    positions = np.zeros((3, len(prompts), longest), dtype=np.int64)
    visual = np.zeros(ids.shape, dtype=np.bool_)
    mask = np.zeros(ids.shape, dtype=np.int64)
    for row, prompt in enumerate(prompts):
        held = features[row]
        given = 0 if held is None else held.shape[0]
        if int(prompt.visual.sum()) != given:
            raise ModelError(f"{int(prompt.visual.sum())} visual placeholders but {given} visual features")
        start = longest - len(prompt)
        ids[row, start:], visual[row, start:], mask[row, start:] = prompt.ids, prompt.visual, 1
        positions[:, row, start:] = prompt.positions
    device = model.device
    embeddings = model.get_input_embeddings()(torch.from_numpy(ids).to(device))
    given_features = [held for held in features if held is not None]
    if given_features:
        places = torch.from_numpy(visual).to(device).unsqueeze(-1)
        embeddings = embeddings.masked_scatter(places, torch.cat(given_features).to(embeddings.dtype))
    attention = None if mask.all() else torch.from_numpy(mask).to(device)
    return embeddings, torch.from_numpy(positions).to(device), attention


def visual_features(tower: Any, patches: torch.Tensor, grids: Sequence[Grid]) -> torch.Tensor:
    """What transformers' Qwen2-VL vision tower gives, but with attention batched over frames of equal size.

    transformers attends frame by frame in a Python loop where no varlen kernel is at hand; frames of one size are the
    rule here, so that they are stacked instead. Tested to be equal. Frames of other sizes take turns.
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
