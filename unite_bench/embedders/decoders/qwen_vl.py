"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: from items to the states of the decoder.

Pictures go through the Pillow image processor of the checkpoint. Clips go through it frame by frame, and the patches of
neighbouring frames are put together here, because the video processors of transformers need torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unite_bench import media
from unite_bench.embedders.decoders.model_file import ModelFile, Pixels, Prompt
from unite_bench.embedders.decoders.prompt import segments_of
from unite_bench.embedders.decoders.tokens import padded, running, token_ids
from unite_bench.items import Image, Item, Role, Text, Video

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Medium:
    """A picture or clip cut into `patches` (n, channels x time x height x width) float32.

    `grid` counts steps of time, rows and columns of patches; `seconds` is the time of each step, () for a picture.
    """

    patches: torch.Tensor
    grid: tuple[int, int, int]
    seconds: tuple[float, ...] = ()

    @property
    def is_clip(self) -> bool:
        return bool(self.seconds)


class QwenVl:
    """A loaded model with the tokenizer and image processor of its folder, under a model file."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any, file: ModelFile):
        self.model, self.tokenizer, self.processor = model, tokenizer, processor
        self.file: Any = file  # checked to hold no `unknown`
        self.media_ids = (int(model.config.image_token_id), int(model.config.video_token_id))

    def states(self, items: Sequence[Item], role: Role) -> tuple[torch.Tensor, torch.Tensor]:
        """Final hidden states (n, length, width) and the attention mask (n, length)."""
        import torch

        shown = [self.shown(item) for item in items]
        rows = [self.ids(item, role, cuts) for item, cuts in zip(items, shown, strict=True)]
        side, device = self.file.padding, self.model.device
        given: dict[str, Any] = {
            "input_ids": padded(rows, self.tokenizer.pad_token_id or 0, side, device),  # masked: any token will do
            "attention_mask": padded([[1] * len(row) for row in rows], 0, side, device),
        }
        pictures = [medium for cuts in shown for medium in cuts if not medium.is_clip]
        clips = [medium for cuts in shown for medium in cuts if medium.is_clip]
        for patches, grid, held in (
            ("pixel_values", "image_grid_thw", pictures),
            ("pixel_values_videos", "video_grid_thw", clips),
        ):
            if held:
                given[patches] = torch.cat([medium.patches for medium in held]).to(device, self.model.dtype)
                given[grid] = torch.tensor([medium.grid for medium in held], device=device)
        found = self.model(**given, position_ids=self._positions(given, clips), use_cache=False)
        states: torch.Tensor = found.last_hidden_state
        return states, given["attention_mask"]

    def shown(self, item: Item) -> list[Medium]:
        """The media of an item, cut within the budgets of the model file."""
        parts = [part for part in item.parts if not isinstance(part, Text)]
        budgets = [self.file.image_pixels if isinstance(part, Image) else self.file.frame_pixels for part in parts]
        return [_cut(part, self.processor, budget) for part, budget in zip(parts, budgets, strict=True)]

    def ids(self, item: Item, role: Role, shown: Sequence[Medium]) -> list[int]:
        """The token ids of an item's prompt."""
        prompt = self.file.prompt
        segments = segments_of(prompt, item, role, [placeholder(medium, prompt) for medium in shown])
        features = [pair for medium in shown for pair in self._features(medium)]
        return token_ids(segments, features, self.tokenizer, self.media_ids, self.file)

    def _features(self, medium: Medium) -> list[tuple[int, int]]:
        """The tokens that stand for a medium, in order, each with the number of its features."""
        time, rows, columns = medium.grid
        a_step = rows * columns // int(self.processor.merge_size) ** 2
        if not medium.is_clip:
            return [(self.media_ids[0], a_step)]
        whole = self.file.prompt.frames_at is None
        return [(self.media_ids[1], time * a_step)] if whole else [(self.media_ids[1], a_step)] * time

    def _positions(self, given: dict[str, Any], clips: Sequence[Medium]) -> torch.Tensor:
        """(3, n, length): those of the architecture (time, row and column of media), or running numbers."""
        ids, mask = given["input_ids"], given["attention_mask"]
        if self.file.positions == "1d":
            return running(mask).expand(3, -1, -1)
        kinds = sum((number * (ids == token) for number, token in enumerate(self.media_ids, 1)), ids * 0)
        grids = {name: given[name] for name in ("image_grid_thw", "video_grid_thw") if name in given}
        timed = self.file.architecture == "qwen2_5_vl" and clips
        more = {"second_per_grid_ts": [_step(clip) for clip in clips]} if timed else {}
        positions: torch.Tensor = self.model.get_rope_index(ids, kinds, attention_mask=mask, **grids, **more)[0]
        return positions


def placeholder(medium: Medium, prompt: Prompt) -> str:
    """What stands for a medium in the prompt."""
    if not medium.is_clip:
        return prompt.image or ""
    if prompt.frames_at is None:
        return prompt.video or ""
    return "".join(prompt.frames_at.replace("{seconds}", f"{time:.1f}") for time in medium.seconds)


def _cut(part: Image | Video, processor: Any, budget: Pixels) -> Medium:
    """The patches of a picture or clip, within the budget."""
    if isinstance(part, Image):
        patches, grid = _patches(media.pixels(part)[np.newaxis], processor, budget.min, budget.max)
        return Medium(patches, grid)
    clip, step = media.frames(part), int(processor.temporal_patch_size)
    missing = -len(clip.pixels) % step
    frames = np.concatenate([clip.pixels, clip.pixels[-1:].repeat(missing, axis=0)])
    times = np.concatenate([clip.times, clip.times[-1:].repeat(missing)]).reshape(-1, step)
    most = budget.max
    if budget.clip is not None:  # the rule of the authors' qwen-vl-utils
        most = int(max(min(most, budget.clip / len(frames) * step), budget.min * 1.05))
    patches, (count, rows, columns) = _patches(frames, processor, budget.min, most)
    # A picture is one frame shown `step` times; keep the first showing of each and join those of one step.
    side, channels = int(processor.patch_size), 3
    shown = patches.view(count // step, step, rows * columns, channels, step, side, side)[:, :, :, :, 0]
    joined = shown.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels * step * side * side)
    return Medium(joined, (count // step, rows, columns), tuple((times[:, 0] + times[:, -1]) / 2))


def _patches(frames: Any, processor: Any, least: int, most: int) -> tuple[torch.Tensor, tuple[int, int, int]]:
    """Patches of pictures of one size, as of pictures, and their number, rows and columns."""
    from PIL import Image as Pillow

    size = {"shortest_edge": least, "longest_edge": most}
    done = processor(images=[Pillow.fromarray(frame) for frame in frames], size=size, return_tensors="pt")
    rows, columns = done["image_grid_thw"][0, 1:].tolist()
    return done["pixel_values"], (len(frames), rows, columns)


def _step(clip: Medium) -> float:
    """Seconds between the steps of time of a clip."""
    steps = len(clip.seconds) - 1
    return (clip.seconds[-1] - clip.seconds[0]) / steps if steps else 1.0
