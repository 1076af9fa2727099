"""Released UNITE checkpoints: loaded as they lie on the hub, with the vectors of the published inference code."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from released import published_frames, published_size, published_vector, save_released
from tiny_families import timed_clip
from tiny_model import Noise, picture

from reference_model.backbone import Backbone
from reference_model.checkpoint import Checkpoint
from reference_model.embedder import ReferenceEmbedder
from reference_model.preprocess import fitted_size
from unite_bench import media
from unite_bench.errors import ModelError
from unite_bench.items import Item, PairedFrames, Text, Video
from unite_bench.protocol import Settings as Protocol


@pytest.fixture(scope="module")
def released(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_released(tmp_path_factory.mktemp("released") / "merged", tiny / "tokenizer.json")


@pytest.fixture(scope="module")
def embedder(released: Path) -> ReferenceEmbedder:
    made = ReferenceEmbedder(str(released))
    made.setup()
    return made


def apart(embedder: ReferenceEmbedder, item: Item, vector: torch.Tensor) -> float:
    return float((torch.as_tensor(embedder.embed([item], "query"))[0] - vector).abs().max())


@pytest.mark.parametrize("text", ["two dogs on a beach", "x"])
def test_texts_have_the_published_vectors(embedder: ReferenceEmbedder, released: Path, text: str) -> None:
    assert apart(embedder, Item((Text(text),)), published_vector(released, text, None, None)) < 1e-5


@pytest.mark.parametrize(("height", "width"), [(60, 110), (90, 120)])
def test_pictures_have_the_published_vectors(
    embedder: ReferenceEmbedder, released: Path, height: int, width: int
) -> None:
    item = Item((picture(3, height, width), Text("what is it?")))
    pixels = Noise(3, height, width).picture()
    assert apart(embedder, item, published_vector(released, "what is it?", pixels, None)) < 1e-5
    single = replace(embedder.checkpoint.preprocessing, first_image=None)
    differ = fitted_size(*pixels.shape[:2], single) != published_size(*pixels.shape[:2], clip=False)
    assert differ == (height == 60), "the first of the sizes is one that a single fit would get wrong"


def test_clips_under_their_own_frame_rule_have_the_published_vectors(
    embedder: ReferenceEmbedder, released: Path
) -> None:
    clip = Video(timed_clip(5, 25, fps=5.0).medium, policy=embedder.card.frames or PairedFrames())
    task = Item((replace(clip, policy=replace(clip.policy, frames=8)),))
    shown = media.resolve(Protocol(frames="native").shown(task, embedder.card.frames))
    assert shown.parts[0].indices == tuple(published_frames(25, 5.0)) == (0, 8, 16, 24)
    frames = np.stack([clip.medium.frame(i) for i in published_frames(25, 5.0)])
    assert apart(embedder, shown, published_vector(released, "", None, frames)) < 1e-5


def test_mrope_would_give_other_vectors(embedder: ReferenceEmbedder, released: Path) -> None:
    item = Item((picture(3),))
    turned = ReferenceEmbedder(str(released), positions="mrope")
    assert apart(turned, item, torch.as_tensor(embedder.embed([item], "query"))[0]) > 1e-3
    assert turned.card.settings["positions"] == "mrope (given)"


@pytest.mark.parametrize(("total", "rate"), [(25, 5.0), (300, 30.0), (241, 24.0), (1000, 10.0), (5, 30.0), (9, 1.0)])
def test_frames_follow_the_published_rule(total: int, rate: float) -> None:
    policy = PairedFrames(frames=None, fps=1.0, max_frames=32)
    chosen = media.choose(Video(timed_clip(1, total, rate).medium, policy=policy))
    assert chosen == tuple(published_frames(total, rate))


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_clip_of_fewer_frames_than_the_rule_asks_for_is_shown_whole(total: int) -> None:
    policy = PairedFrames(frames=None, fps=1.0, max_frames=32)
    assert media.choose(Video(timed_clip(1, total, 30.0).medium, policy=policy)) == tuple(range(total))


def test_how_it_was_known_and_what_was_chosen_stands_in_the_card(embedder: ReferenceEmbedder) -> None:
    told = embedder.card.settings
    known = "released UNITE, known by its architecture UniteQwen2VL"
    assert told["positions"] == f"1d ({known})"
    assert told["sizes"] == f"fitted twice ({known})"
    assert told["native_frames"] == f"1 a second, 4 to 32 ({known})"
    assert told["image_pixels"] == f"{256 * 784} to {1280 * 784} ({known})"
    assert told["frame_pixels"] == f"{256 * 784} to {1280 * 784}"
    assert embedder.card.frames == PairedFrames(frames=None, fps=1.0, max_frames=32, min_frames=4)


@pytest.mark.parametrize(
    ("architecture", "name", "positions"),
    [
        ("Qwen2VLForConditionalGeneration", "Unite-Instruct-Qwen2-VL-7B", "1d"),
        ("Qwen2VLForConditionalGeneration", "Unite-like", "mrope"),
        ("UniteQwen2VL", "anything", "1d"),
    ],
)
def test_released_is_told_by_architecture_or_name_and_never_else(
    released: Path, tmp_path: Path, architecture: str, name: str, positions: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    config = json.loads((released / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}))
    assert Checkpoint.find(str(folder)).settings.positions == positions


def test_unite_json_and_arguments_overrule_the_kind(released: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(released, folder)
    (folder / "unite.json").write_text(json.dumps({"positions": "mrope", "max_pixels": 90_000, "min_pixels": 5_000}))
    found = Checkpoint.find(str(folder))
    assert (found.settings.positions, found.settings.sizes) == ("mrope", "twice")
    assert found.preprocessing.budget() == (5_000, 90_000)
    assert found.told["positions"] == "mrope (unite.json)"
    assert Checkpoint.find(str(folder), given={"positions": "1d"}).told["positions"] == "1d (given)"


def test_an_untied_output_layer_and_an_own_model_type_load_too(tiny: Path, tmp_path: Path) -> None:
    folder = save_released(tmp_path / "seven", tiny / "tokenizer.json", tied=False)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "unite_qwen2_vl"}))
    assert Backbone.load(folder).settings.positions == "1d"


def test_weights_that_have_no_place_are_an_error(released: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "strange"
    shutil.copytree(released, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "temperature.weight": torch.ones(1)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights have no place in Qwen2-VL, first temperature\.weight"):
        Backbone.load(folder)
