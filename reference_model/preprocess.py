"""From RGB pixels to the patches of a Qwen-VL model: fit, resize, normalise, cut; in torch, on the device of the model.

It stands in for the processors of transformers (the video one needs torchvision) and is tested against the PIL image
processor. An image is a clip whose one frame is shown `temporal_patch` times; an odd clip repeats its last frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reference_model.settings import Settings, read_json
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch

MAX_ASPECT = 200
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
PROCESSOR_FILE = "processor_config.json"
SIZE_KEYS = {"shortest_edge", "longest_edge", "min_pixels", "max_pixels"}
# The first fit of the published inference code: visual tokens of a picture, and of a frame (128 tokens to 360 x 420).
FIRST_IMAGE, FIRST_FRAME = (4, 16384), (128, 360 * 420 / 28**2)


@dataclass(frozen=True)
class Preprocessing:
    """Patch sizes and the visual budget: the area, in pixels, that one image or one frame of a clip is fitted into.

    A frame has the budget of an image unless `frame_min_pixels` or `frame_max_pixels` say otherwise. A cap on frames is
    hard: no minimum and no rounding takes a frame above it. With `first_image` and `first_frame`
    (least, most) a size is rounded in two steps, first within these, then within the budget, as the published inference
    code of UNITE does: qwen-vl-utils fits a medium before the processor fits what it is given.
    """

    patch: int = 14
    merge: int = 2
    temporal_patch: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    frame_min_pixels: int | None = None
    frame_max_pixels: int | None = None
    first_image: tuple[float, float] | None = None
    first_frame: tuple[float, float] | None = None

    @property
    def factor(self) -> int:
        """The side of the square that becomes one visual token."""
        return self.patch * self.merge

    def budget(self, clip: bool = False) -> tuple[int, int]:
        """The least and greatest area of one image, or of one frame of a clip."""
        if not clip:
            return self.min_pixels, self.max_pixels
        most = self.frame_max_pixels or max(self.max_pixels, self.frame_min_pixels or 0)
        return self.frame_min_pixels or self._least(most), most

    def _least(self, most: int) -> int:
        """The minimum of a picture, or that of one token where it is above `most` and would undo it."""
        return self.min_pixels if self.min_pixels <= most else self.factor**2

    @classmethod
    def read(cls, path: Path, defaults: Preprocessing | None = None) -> Preprocessing:
        """From a `preprocessor_config.json`, old layout (`min_pixels`) or new (`size`), over the defaults; transformers 5
        may have written it into `processor_config.json` beside it instead."""
        standard = defaults or cls()
        if path.exists():
            raw = read_json(path)
        elif (joint := path.with_name(PROCESSOR_FILE)).exists():
            raw = read_json(joint).get("image_processor", {})
        else:
            return standard
        if wrong := list(_wrong(raw)):
            raise ModelError(f"{path}: {'; '.join(wrong)}; restore it from the checkpoint")
        size = raw.get("size") or {}
        found = replace(
            standard,
            patch=raw.get("patch_size", standard.patch),
            merge=raw.get("merge_size", standard.merge),
            temporal_patch=raw.get("temporal_patch_size", standard.temporal_patch),
            min_pixels=raw.get("min_pixels")
            or size.get("shortest_edge")
            or size.get("min_pixels")
            or standard.min_pixels,
            max_pixels=raw.get("max_pixels")
            or size.get("longest_edge")
            or size.get("max_pixels")
            or standard.max_pixels,
            mean=tuple(raw.get("image_mean") or standard.mean),
            std=tuple(raw.get("image_std") or standard.std),
        )
        if found.min_pixels > found.max_pixels:
            raise ModelError(
                f"{path}: min_pixels {found.min_pixels:,} is above max_pixels {found.max_pixels:,}; restore it"
            )
        return found

    def under(self, settings: Settings) -> Preprocessing:
        """With the budgets and the size rule of the settings. A maximum given alone, below the checkpoint's minimum, takes
        that away, and a minimum above its maximum raises that: what is asked for is what holds."""
        for name in ("max_pixels", "frame_max_pixels"):
            most = getattr(settings, name)
            if most is not None and most < self.factor**2:
                raise ModelError(f"{name} is {most}; it must have room for one visual token, {self.factor**2} pixels")
        least = settings.min_pixels or (self._least(settings.max_pixels) if settings.max_pixels else self.min_pixels)
        most = settings.max_pixels or max(self.max_pixels, least)
        token = self.factor**2
        twice = settings.sizes == "twice"
        return replace(
            self,
            min_pixels=least,
            max_pixels=most,
            frame_min_pixels=settings.frame_min_pixels,
            frame_max_pixels=settings.frame_max_pixels,
            first_image=(FIRST_IMAGE[0] * token, FIRST_IMAGE[1] * token) if twice else None,
            first_frame=(FIRST_FRAME[0] * token, FIRST_FRAME[1] * token) if twice else None,
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


def _wrong(raw: Mapping[str, Any]) -> Iterator[str]:
    """What of a preprocessor's configuration cannot be."""
    size = raw.get("size") or {}
    if not isinstance(size, Mapping):
        yield f"size is {size!r}, and no object"
        size = {}
    areas = {"patch_size", "merge_size", "temporal_patch_size", "min_pixels", "max_pixels"}
    named = {key: raw[key] for key in areas & set(raw)} | {key: size[key] for key in SIZE_KEYS & set(size)}
    for key, value in sorted(named.items()):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value <= 0):
            yield f"{key} is {value!r}; it must be a whole number above 0"
    for key in ("image_mean", "image_std"):
        value = raw.get(key)
        if value is not None and (
            not isinstance(value, list) or [type(x) in (int, float) for x in value] != [True] * 3
        ):
            yield f"{key} is {value!r}; it must be three numbers"


@dataclass(frozen=True)
class Grid:
    """The patch grid of one medium: frame groups, rows and columns of patches (`grid_thw` in transformers).

    `seconds` is when each frame group of a clip is shown, () for a picture or where it is not known; `step` is the time
    from group to group.
    """

    time: int
    rows: int
    columns: int
    seconds: tuple[float, ...] = ()
    step: float = 1.0

    @property
    def patches(self) -> int:
        return self.time * self.rows * self.columns

    def tokens(self, merge: int) -> int:
        """Visual tokens after merging `merge` x `merge` patches."""
        return self.patches // (merge * merge)


def fitted_size(height: int, width: int, settings: Preprocessing, clip: bool = False) -> tuple[int, int]:
    """The (height, width) a picture, or a frame of a clip, is resized to: multiples of `factor`, area within the budget,
    aspect nearly kept. Where the settings have a first fit, that size is then fitted again.

    The rule, rounding included, is `smart_resize` of transformers' Qwen2-VL processor; the first fit is that of
    qwen-vl-utils, which never rounds a side to nothing.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ModelError(f"a picture of {width} x {height} is too long and thin for Qwen2-VL; crop or pad it")
    factor = settings.factor
    first = settings.first_frame if clip else settings.first_image
    if first is not None:
        height, width = _fit(height, width, factor, first, factor)
    rows, columns = _fit(height, width, factor, settings.budget(clip), 0)
    cap = settings.frame_max_pixels if clip else None
    return (rows, columns) if cap is None else _capped(rows, columns, factor, cap)


def _capped(rows: int, columns: int, factor: int, cap: int) -> tuple[int, int]:
    """Fitted once more, and a side that is one token wide leaves the other no more than the cap."""
    rows, columns = _fit(rows, columns, factor, (0, cap), 0)
    if rows * columns > cap:
        longest = max(cap // factor**2, 1) * factor
        rows, columns = min(rows, longest), min(columns, longest)
    return rows, columns


def _fit(height: int, width: int, factor: int, budget: tuple[float, float], least_side: int) -> tuple[int, int]:
    least, most = budget
    rows = max(least_side, round(height / factor) * factor)
    columns = max(least_side, round(width / factor) * factor)
    if rows * columns > most:
        shrink = math.sqrt(height * width / most)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif rows * columns < least:
        grow = math.sqrt(least / (height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    return rows, columns


def resize(
    frames: npt.NDArray[np.uint8] | torch.Tensor, settings: Preprocessing, device: str = "cpu", clip: bool = False
) -> torch.Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, h, w) uint8 on the device, fitted to the budget of an image, or with `clip` of a
    frame; bicubic with antialiasing, once, whatever the number of fits."""
    import torch
    from torch.nn import functional

    if not isinstance(frames, torch.Tensor):
        frames = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
    pixels = frames.to(device).permute(0, 3, 1, 2)
    size = fitted_size(frames.shape[1], frames.shape[2], settings, clip)
    if size == tuple(pixels.shape[2:]):
        return pixels
    if pixels.device.type == "cpu":  # torch resizes uint8 on the CPU with integer weights, as pillow does
        return functional.interpolate(pixels, size, mode="bicubic", antialias=True)
    resized = functional.interpolate(pixels.float(), size, mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def cut(
    pixels: torch.Tensor, settings: Preprocessing, times: npt.NDArray[np.float64] | None = None
) -> tuple[torch.Tensor, Grid]:
    """(n, 3, h, w) uint8, fitted -> (patches, 3 * temporal * patch * patch) fp32 and its grid.

    Patches are ordered so that the `merge` x `merge` patches of one visual token stand together. `times` (n,) are those
    of a clip's frames in seconds, ascending.
    """
    import torch

    group, patch, merge = settings.temporal_patch, settings.patch, settings.merge
    missing = -pixels.shape[0] % group
    if missing:
        pixels = torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)])
    count, channels, height, width = pixels.shape
    seconds, step = ((), 1.0) if times is None else group_times(times, group)
    grid = Grid(count // group, height // patch, width // patch, seconds, step)
    mean = torch.tensor(settings.mean, device=pixels.device).view(1, -1, 1, 1)
    std = torch.tensor(settings.std, device=pixels.device).view(1, -1, 1, 1)
    values = (pixels.float() / 255 - mean) / std
    split = values.view(
        grid.time, group, channels, grid.rows // merge, merge, patch, grid.columns // merge, merge, patch
    )
    return split.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(grid.patches, -1), grid


def group_times(times: npt.NDArray[np.float64], group: int) -> tuple[tuple[float, ...], float]:
    """When each group of `group` frames is shown (the mean of its first and last frame; a group that lacks frames
    repeats the last one), and the seconds from group to group at the clip's mean frame rate (1 for a single frame)."""
    filled = np.concatenate([times, times[-1:].repeat(-len(times) % group)]).reshape(-1, group)
    step = float(times[-1] - times[0]) / (len(times) - 1) * group if len(times) > 1 else 1.0
    return tuple(((filled[:, 0] + filled[:, -1]) / 2).tolist()), step


def patches(
    frames: npt.NDArray[np.uint8] | torch.Tensor,
    settings: Preprocessing,
    device: str = "cpu",
    times: npt.NDArray[np.float64] | None = None,
) -> tuple[torch.Tensor, Grid]:
    """(n, H, W, 3) uint8 frames of one clip with their `times` in seconds (n,), or one picture with n = 1 and no times ->
    its patches and grid. A clip of one frame has times, and the budget of a frame."""
    if frames.ndim != 4 or frames.shape[0] == 0 or frames.shape[3] != 3:
        raise ModelError(f"frames of shape {frames.shape}: expected (n >= 1, height, width, 3)")
    if times is not None and len(times) != len(frames):
        raise ModelError(f"{len(frames)} frames with {len(times)} times; give one time a frame")
    return cut(resize(frames, settings, device, times is not None), settings, times)
