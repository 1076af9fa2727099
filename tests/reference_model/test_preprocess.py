"""Patches are those of transformers' processor, frames are paired, sizes are fitted by its rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from tiny_model import Noise, clip
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize

from reference_model.preprocess import Preprocessing, fitted_size, patches, resize
from unite_bench import media
from unite_bench.errors import ModelError

SETTINGS = Preprocessing(patch=14, min_pixels=56 * 56, max_pixels=112 * 112)
LEVEL = 1 / 255 / min(SETTINGS.std)  # one grey level, after normalisation


def processor(settings: Preprocessing) -> Qwen2VLImageProcessorPil:
    size = {"shortest_edge": settings.min_pixels, "longest_edge": settings.max_pixels}
    return Qwen2VLImageProcessorPil(size=size, patch_size=settings.patch, merge_size=settings.merge)


@pytest.mark.parametrize("size", [(112, 112), (336, 336), (40, 60), (300, 90), (97, 131), (28, 700)])
def test_patches_of_pictures_are_those_of_the_pil_processor(size: tuple[int, int]) -> None:
    pixels = np.asarray(Pillow.fromarray(Noise(7, 90, 120).picture()).resize(size[::-1], Pillow.Resampling.BICUBIC))
    ours, grid = patches(pixels[np.newaxis], SETTINGS)
    theirs = processor(SETTINGS).preprocess(Pillow.fromarray(pixels), return_tensors="np")
    assert theirs["image_grid_thw"].tolist() == [[grid.time, grid.rows, grid.columns]]
    off = np.abs(ours.numpy() - theirs["pixel_values"])
    assert off.mean() <= 0.1 * LEVEL
    assert (off > 2.01 * LEVEL).mean() < 0.002, "two grey levels apart, but for the rims where pillow clips in between"
    assert off.max() <= 10 * LEVEL


@pytest.mark.parametrize("factor", [28, 40])
def test_sizes_follow_smart_resize(factor: int) -> None:
    settings = Preprocessing(patch=factor // 2, min_pixels=90 * 90, max_pixels=120 * 120)
    rng = np.random.default_rng(0)
    for height, width in rng.integers(8, 1200, (300, 2)).tolist():
        assert fitted_size(height, width, settings) == smart_resize(height, width, factor, 90 * 90, 120 * 120)


def test_a_picture_too_thin_is_an_error() -> None:
    with pytest.raises(ModelError, match="too long and thin"):
        fitted_size(2, 500, SETTINGS)


def test_frames_are_paired_in_order() -> None:
    """The patches of a clip are, group by group, those of a picture made of the group's two frames."""
    frames = media.frames(clip(3, 4)).pixels
    whole, grid = patches(frames, SETTINGS)
    assert grid.time == 2
    per_frame = [patches(frame[np.newaxis], SETTINGS)[0].view(-1, 3, 2, 14, 14) for frame in frames]
    groups = whole.view(2, -1, 3, 2, 14, 14)
    for group, (first, second) in enumerate(((0, 1), (2, 3))):
        assert (groups[group][:, :, 0] == per_frame[first][:, :, 0]).all()
        assert (groups[group][:, :, 1] == per_frame[second][:, :, 0]).all()


def test_a_clip_of_one_frame_is_its_picture_and_odd_clips_repeat_the_last() -> None:
    frames = media.frames(clip(3, 3)).pixels
    one, grid = patches(frames[:1], SETTINGS)
    assert grid.time == 1
    odd, _ = patches(frames, SETTINGS)
    padded, _ = patches(np.concatenate([frames, frames[-1:]]), SETTINGS)
    assert (odd == padded).all()
    assert (one == patches(frames[[0, 0]], SETTINGS)[0]).all()


def test_what_fits_is_not_touched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3), dtype=np.uint8)
    assert (resize(pixels, SETTINGS).permute(0, 2, 3, 1).numpy() == pixels).all()


def test_the_budget_is_really_applied() -> None:
    for side in (16, 64, 200, 900):
        height, width = fitted_size(side, side, SETTINGS)
        assert SETTINGS.min_pixels <= height * width <= SETTINGS.max_pixels


def test_no_frames_is_an_error() -> None:
    with pytest.raises(ModelError, match="n >= 1"):
        patches(np.zeros((0, 8, 8, 3), dtype=np.uint8), SETTINGS)


@pytest.mark.parametrize("old", [True, False])
def test_settings_are_read_from_both_layouts(tmp_path: Path, old: bool) -> None:
    written = SETTINGS.to_json()
    for key in ("min_pixels", "max_pixels") if not old else ("size",):
        del written[key]
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps(written))
    assert Preprocessing.read(path) == SETTINGS
