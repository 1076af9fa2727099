"""From RGB pixels to Qwen2-VL patches: fit, resize, normalise, cut; in torch, on the device of the model.

It stands in for the processors of transformers (the video one needs torchvision) and is tested against the PIL image
processor. An image is a clip whose one frame is shown `temporal_patch` times; an odd clip repeats its last frame.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch

MAX_ASPECT = 200
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Preprocessing:
    """Patch sizes and the visual budget: the area that one image, or one frame of a clip, is fitted into."""

    patch: int = 14
    merge: int = 2
    temporal_patch: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD

    @property
    def factor(self) -> int:
        """The side of the square that becomes one visual token."""
        return self.patch * self.merge

    @classmethod
    def read(cls, path: Path) -> Preprocessing:
        """From a `preprocessor_config.json`, old layout (`min_pixels`) or new (`size`); the defaults if there is none."""
        if not path.exists():
            return cls()
        try:
            raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ModelError(f"{path}: not valid JSON ({error}); restore the file from the checkpoint") from error
        size = raw.get("size") or {}
        return cls(
            patch=raw.get("patch_size", cls.patch),
            merge=raw.get("merge_size", cls.merge),
            temporal_patch=raw.get("temporal_patch_size", cls.temporal_patch),
            min_pixels=raw.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels") or cls.min_pixels,
            max_pixels=raw.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels") or cls.max_pixels,
            mean=tuple(raw.get("image_mean", cls.mean)),
            std=tuple(raw.get("image_std", cls.std)),
        )

    def to_json(self) -> dict[str, Any]:
        """The fields as transformers writes them."""
        return {
            "image_processor_type": "Qwen2VLImageProcessor",
            "patch_size": self.patch,
            "merge_size": self.merge,
            "temporal_patch_size": self.temporal_patch,
            "size": {"shortest_edge": self.min_pixels, "longest_edge": self.max_pixels},
            "min_pixels": self.min_pixels,
            "max_pixels": self.max_pixels,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }


@dataclass(frozen=True)
class Grid:
    """The patch grid of one medium: frame groups, rows and columns of patches (`grid_thw` in transformers)."""

    time: int
    rows: int
    columns: int

    @property
    def patches(self) -> int:
        return self.time * self.rows * self.columns

    def tokens(self, merge: int) -> int:
        """Visual tokens after merging `merge` x `merge` patches."""
        return self.patches // (merge * merge)


def fitted_size(height: int, width: int, settings: Preprocessing) -> tuple[int, int]:
    """The (height, width) a picture is resized to: multiples of `factor`, area within the budget, aspect nearly kept.

    The rule, rounding included, is `smart_resize` of transformers' Qwen2-VL processor.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ModelError(f"a picture of {width} x {height} is too long and thin for Qwen2-VL; crop or pad it")
    factor = settings.factor
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    if rows * columns > settings.max_pixels:
        shrink = math.sqrt(height * width / settings.max_pixels)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif rows * columns < settings.min_pixels:
        grow = math.sqrt(settings.min_pixels / (height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    return rows, columns


def resize(frames: npt.NDArray[np.uint8], settings: Preprocessing, device: str = "cpu") -> torch.Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, h, w) uint8 on the device, fitted to the budget; bicubic with antialiasing."""
    import torch
    from torch.nn import functional

    pixels = torch.from_numpy(np.require(frames, requirements=["C", "W"])).to(device).permute(0, 3, 1, 2)
    size = fitted_size(frames.shape[1], frames.shape[2], settings)
    if size == tuple(pixels.shape[2:]):
        return pixels
    if pixels.device.type == "cpu":  # torch resizes uint8 on the CPU with integer weights, as pillow does
        return functional.interpolate(pixels, size, mode="bicubic", antialias=True)
    resized = functional.interpolate(pixels.float(), size, mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def cut(pixels: torch.Tensor, settings: Preprocessing) -> tuple[torch.Tensor, Grid]:
    """(n, 3, h, w) uint8, fitted -> (patches, 3 * temporal * patch * patch) fp32 and its grid.

    Patches are ordered so that the `merge` x `merge` patches of one visual token stand together.
    """
    import torch

    group, patch, merge = settings.temporal_patch, settings.patch, settings.merge
    missing = -pixels.shape[0] % group
    if missing:
        pixels = torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)])
    count, channels, height, width = pixels.shape
    grid = Grid(count // group, height // patch, width // patch)
    mean = torch.tensor(settings.mean, device=pixels.device).view(1, -1, 1, 1)
    std = torch.tensor(settings.std, device=pixels.device).view(1, -1, 1, 1)
    values = (pixels.float() / 255 - mean) / std
    split = values.view(
        grid.time, group, channels, grid.rows // merge, merge, patch, grid.columns // merge, merge, patch
    )
    return split.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(grid.patches, -1), grid


def patches(frames: npt.NDArray[np.uint8], settings: Preprocessing, device: str = "cpu") -> tuple[torch.Tensor, Grid]:
    """(n, H, W, 3) uint8 frames of one clip, or one picture with n = 1 -> its patches and grid."""
    if frames.ndim != 4 or frames.shape[0] == 0 or frames.shape[3] != 3:
        raise ModelError(f"frames of shape {frames.shape}: expected (n >= 1, height, width, 3)")
    return cut(resize(frames, settings, device), settings)
