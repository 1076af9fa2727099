"""The defects of UNITE's published code that concern inference and inputs, one test each; each fails with its defect in.

Numbers are those of the list in the reference model's README; those of training are in test_training_defects.py. How
released weights get the published vectors all the same is tested in test_released.py.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from released import published_frames, published_size, save_released
from tiny_families import save_family, timed_clip
from tiny_model import Noise, picture

from reference_model.backbone import Backbone
from reference_model.checkpoint import Checkpoint
from reference_model.embedder import ReferenceEmbedder
from reference_model.families import FAMILIES
from reference_model.preprocess import Grid, fitted_size, patches, resize
from reference_model.prompt import joined, render
from unite_bench import media
from unite_bench.errors import ModelError
from unite_bench.items import Image, Item, PairedFrames, Part, Text, Video

LONG = "many words about nothing at all " * 60


@pytest.fixture(scope="module")
def folders(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("defects")
    made = {kind: save_family(root / kind, kind, tiny / "tokenizer.json") for kind in FAMILIES}
    return {**made, "released": save_released(root / "released", tiny / "tokenizer.json")}


@pytest.fixture(scope="module")
def plain(folders: dict[str, Path]) -> Backbone:
    return Backbone.load(folders["qwen2_vl"])


def seen(backbone: Backbone, *pictures: Image) -> tuple[list[Grid], list[torch.Tensor]]:
    cuts = [patches(media.pixels(part)[np.newaxis], backbone.preprocessing) for part in pictures]
    return [grid for _, grid in cuts], [backbone.visual(cut, [grid]) for cut, grid in cuts]


def test_7_the_position_rule_is_that_of_the_checkpoint_and_is_said(folders: dict[str, Path], plain: Backbone) -> None:
    """There, positions were 1-D without anyone asking for it."""
    grids = [Grid(1, 6, 8)]
    segments = render(Item((picture(1),)))
    turning = plain.prepare(segments, grids)
    start = int(np.flatnonzero(turning.visual)[0])
    rows, columns = np.divmod(np.arange(12), 4)
    assert (turning.positions[:, turning.visual] == np.stack([rows * 0, rows, columns]) + start).all()
    assert turning.positions[:, -1].tolist() == [start + 4 + len(turning) - start - 12 - 1] * 3
    released = Backbone.load(folders["released"]).prepare(segments, grids)
    assert (released.positions == np.arange(len(released))).all()
    cards = {name: ReferenceEmbedder(str(folder)).card.settings["positions"] for name, folder in folders.items()}
    assert [cards[name].split()[0] for name in ("released", *FAMILIES)] == ["1d", "mrope", "mrope", "mrope"]


@torch.inference_mode()
def test_8_features_of_one_item_never_reach_the_next(plain: Backbone) -> None:
    """There, a cut placeholder left one feature over, and it went into the item after it."""
    items = [Item((Text(LONG), picture(1), Text(LONG))), Item((picture(2),))]
    grids, features = seen(plain, picture(1), picture(2))
    short = Backbone(plain.model, plain.tokenizer, plain.preprocessing, replace(plain.settings, max_length=90))
    prompts = [short.prepare(render(item), [grid]) for item, grid in zip(items, grids, strict=True)]
    assert len(prompts[0]) == 90, "the text was cut"
    assert [int(prompt.visual.sum()) for prompt in prompts] == [grid.tokens(2) for grid in grids], "and nothing else"
    alone = short.vectors(prompts[1:], features[1:])
    assert (short.vectors(prompts, features)[1] - alone[0]).abs().max() < 1e-5
    shifted = [torch.cat([features[0], features[1][:1]]), features[1][1:]]  # the sum is right, the items are not
    with pytest.raises(ModelError, match="visual placeholders but"):
        short.vectors(prompts, shifted)


@torch.inference_mode()
def test_9_a_medium_that_the_text_does_not_mention_is_shown_all_the_same(plain: Backbone) -> None:
    """There, a picture without its mark in the text had no placeholder and was ignored in silence."""
    for parts in itertools.permutations((Text("no mark in here"), picture(1), picture(2))):
        prompt = joined(render(Item(parts)))
        content = prompt[prompt.index("user\n") + 5 : prompt.index("\nSummary")]
        marks = {"text": "no mark in here", "image": "<|vision_start|><|image_pad|><|vision_end|>"}
        assert content == "".join(marks[part.kind] for part in parts)
    item = Item((Text("no mark in here"), picture(1)))
    grids, features = seen(plain, picture(1))
    with_it = plain.vectors([plain.prepare(render(item), grids)], features)
    other = plain.vectors([plain.prepare(render(item), grids)], [features[0].flip(0)])
    assert (with_it - other).abs().max() > 1e-3
    with pytest.raises(ModelError, match="1 visual placeholders for 0 media"):
        plain.prepare(render(item), [])


@pytest.mark.parametrize("kind", FAMILIES)
def test_10_the_cap_of_a_frame_is_not_undone_by_the_minimum_of_a_picture(folders: dict[str, Path], kind: str) -> None:
    """There, frames were fitted to 240 x 320 and then blown up to the 256 tokens that a picture has at least."""
    least, cap = 256 * 28 * 28, 240 * 320
    embedder = ReferenceEmbedder(str(folders[kind]), min_pixels=least, frame_max_pixels=cap)
    shown = embedder.checkpoint.preprocessing
    frames = media.frames(timed_clip(1, 3))
    _, clip = patches(frames.pixels, shown, times=frames.times)
    side = shown.patch**2
    close = Checkpoint.find(str(folders[kind]), given={"min_pixels": cap - 1, "frame_max_pixels": cap}).preprocessing
    sizes = np.random.default_rng(1).integers(20, 900, (200, 2)).tolist()
    kept = [(tall, wide) for tall, wide in sizes if tall < 15 * wide < 225 * tall]
    for budget in (shown, close):
        assert max(np.prod(fitted_size(*size, budget, clip=True)) for size in kept) <= cap
    assert clip.rows * clip.columns * side <= cap < least
    _, one = patches(frames.pixels[:1], shown)
    assert one.rows * one.columns * side >= least, "which a picture still has"
    assert embedder.card.settings["frame_pixels"] == f"{(2 * shown.patch) ** 2} to {cap} (given)"
    thin = max(np.prod(fitted_size(*size, shown, clip=True)) for size in ((55, 930), (28, 2800), (4000, 30)))
    assert thin <= cap, "nor by a side that is one token wide"
    tight = Checkpoint.find(str(folders[kind]), given={"frame_max_pixels": 10 * (2 * shown.patch) ** 2}).preprocessing
    assert max(np.prod(fitted_size(*s, tight, clip=True)) for s in ((55, 930), (28, 2800))) <= tight.frame_max_pixels
    with pytest.raises(ModelError, match="room for one visual token"):
        Checkpoint.find(str(folders[kind]), given={"frame_max_pixels": 500}).preprocessing
    embedder.setup()
    assert torch.isfinite(torch.as_tensor(embedder.embed([Item((timed_clip(1, 3),))], "query"))).all()


@pytest.mark.parametrize("kind", [*FAMILIES, "released"])
def test_12_clips_of_any_length_are_embedded(folders: dict[str, Path], kind: str) -> None:
    """There, clips of fewer than four frames raised."""
    embedder = ReferenceEmbedder(str(folders[kind]), max_pixels=60**2, min_pixels=1)
    rule = PairedFrames(frames=None, fps=1.0, max_frames=32)
    clips = [Video(timed_clip(1, frames).medium, policy=rule) for frames in (1, 2, 3, 4)]
    shown = [media.resolve(Item((clip,))) for clip in clips]
    assert [len(item.parts[0].indices or ()) for item in shown if isinstance(item.parts[0], Video)] == [1, 2, 3, 4]
    vectors = torch.as_tensor(embedder.embed(shown, "query"))
    assert torch.isfinite(vectors).all()
    assert (vectors @ vectors.T - torch.eye(4)).max() < 1 - 1e-6, "each frame counts"


def test_13_the_modalities_have_one_order() -> None:
    """There, it was the order of the keys in a JSON file."""
    parts: tuple[Part, ...] = (Text("a"), picture(1), timed_clip(1, 2))
    endings = {joined(render(Item(order))).partition("\nSummary")[2] for order in itertools.permutations(parts)}
    assert len(endings) == 1
    assert endings.pop().startswith(" above sentence and image and video in one word:")


def test_16_no_layer_of_the_vision_tower_is_trained(folders: dict[str, Path]) -> None:
    """There, targets were suffixes, which the MLP of Qwen2.5-VL's vision tower bears as well."""
    from reference_model.study.lora import TARGETS, LowRankLinear, add_lora

    model = Backbone.load(folders["qwen2_5_vl"]).model
    towers = [name for name, _ in model.model.visual.named_modules() if name.rpartition(".")[2] in TARGETS]
    assert towers, "the trap"
    trained = add_lora(model, rank=2, alpha=2.0)
    assert len(trained) == 2 * len(TARGETS) * 3
    assert not any(isinstance(module, LowRankLinear) for module in model.model.visual.modules())
    assert not any(weight.requires_grad for weight in model.model.visual.parameters())


def test_17_sizes_of_released_checkpoints_are_rounded_in_two_steps(folders: dict[str, Path]) -> None:
    """Not a defect there, but here it would be: another grid, and so another vector, than the published one."""
    found = Checkpoint.find(str(folders["released"]), given={"min_pixels": 784, "max_pixels": 64 * 784})
    assert fitted_size(240, 320, found.preprocessing) == (14 * 14, 16 * 14)
    once = replace(found.preprocessing, first_image=None)
    assert fitted_size(240, 320, once) == (12 * 14, 18 * 14)
    standard = Checkpoint.find(str(folders["released"])).preprocessing
    sizes = np.random.default_rng(0).integers(20, 900, (300, 2)).tolist()
    kept = [(tall, wide) for tall, wide in sizes if max(tall, wide) < 20 * min(tall, wide)]
    for clip in (False, True):
        assert [fitted_size(*size, standard, clip) for size in kept] == [published_size(*size, clip) for size in kept]
    pixels = Noise(2, 240, 320).picture()[np.newaxis]
    direct = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(0, 3, 1, 2), (14 * 14, 16 * 14), mode="bicubic", antialias=True
    )
    assert (resize(pixels, found.preprocessing) == direct).all(), "interpolated once"
    rule = ReferenceEmbedder(str(folders["released"])).card.frames
    assert rule is not None
    chosen = media.choose(Video(timed_clip(1, 77, 10.0).medium, policy=rule))
    assert chosen == tuple(published_frames(77, 10.0))
    assert len(chosen) == 2 * round(7.7 / 2) == 8
