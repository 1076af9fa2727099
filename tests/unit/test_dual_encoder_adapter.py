"""`dual:NAME`: the vectors of transformers' own forward pass, for CLIP, SigLIP and ALIGN, and the fusion above them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_encoders
import torch
from PIL import Image as Pillow

from unite_bench import media
from unite_bench.embedders.dual_encoder import DualEncoder
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import ModelError
from unite_bench.items import Item, Text
from unite_bench.registry import load_embedder
from unite_bench.testing import CHECKS, material, run_checks


@pytest.fixture(scope="module", params=["clip", "siglip", "siglip2", "align"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield getattr(tiny_encoders, request.param)(tmp_path_factory.mktemp(request.param) / "tiny")


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def theirs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Text and image embeddings of the kit's texts and pictures, from one pass of the whole model, normalised by it."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    texts = [item.text for item in material.items("text")]
    pictures = [Pillow.fromarray(media.pixels(item.parts[0])) for item in material.items("image")]  # type: ignore[arg-type]
    padding = "max_length" if "siglip" in str(folder) else True
    tokens = AutoTokenizer.from_pretrained(folder)(texts, padding=padding, truncation=True, return_tensors="pt")
    pixels = AutoImageProcessor.from_pretrained(folder, backend="pil")(images=pictures, return_tensors="pt")
    with torch.inference_mode():
        found = AutoModel.from_pretrained(folder)(**tokens, **pixels)
    return found.text_embeds.numpy(), found.image_embeds.numpy()


def test_texts_and_pictures_have_the_vectors_of_the_model(folder: Path) -> None:
    model, (texts, pictures) = load_embedder(f"dual:{folder}"), theirs(folder)
    np.testing.assert_allclose(model.embed(material.items("text"), "query"), texts, atol=1e-5)
    np.testing.assert_allclose(model.embed(material.items("image"), "candidate"), pictures, atol=1e-5)


def test_mixed_items_and_clips_follow_the_declared_fusion(folder: Path) -> None:
    model, (texts, pictures) = load_embedder(f"dual:{folder}"), theirs(folder)
    assert model.card.fusion == "sum, mean-frames"
    fused = model.embed(material.items("image+text"), "query")
    np.testing.assert_allclose(fused, unit(texts + pictures), atol=1e-5)
    (clip,) = model.embed([media.resolve(material.items("video")[0])], "query")
    frames = material.items("video")[0].parts[0]
    blobs = [material.encoded(frame) for frame in media.frames(frames).pixels]  # type: ignore[arg-type]
    alone = DualEncoder(str(folder)).embed([Item((material.Image(material.Blob(blob)),)) for blob in blobs], "query")
    np.testing.assert_allclose(clip, unit(unit(np.asarray(alone)).mean(axis=0)), atol=1e-5)


@pytest.mark.parametrize(
    "folder",
    ["clip", "siglip2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("siglip", "align"))],
    indirect=True,
)
def test_it_passes_the_kit(folder: Path) -> None:
    verdicts = dict(run_checks(load_embedder(f"dual:{folder}"), [name for name in CHECKS if name != "spawn"]))
    assert {name: v.said for name, v in verdicts.items() if v.status == "failed"} == {}
    assert verdicts["frame-order"].status == "passed", "declared, and true, that the mean over frames has no order"


@pytest.mark.slow
def test_it_survives_spawn(folder: Path) -> None:
    ((_, verdict),) = run_checks(load_embedder(f"dual:{folder}"), ["spawn"])
    assert verdict.status == "passed", verdict.said


def test_the_encoder_alone_takes_one_part_an_item(folder: Path) -> None:
    model = DualEncoder(str(folder))
    with pytest.raises(ModelError, match=r"does not take image\+text"):
        model.embed(material.items("image+text"), "query")
    with pytest.raises(ModelError, match="one picture an item, not 2"):
        model.embed([Item((material.picture(0), material.picture(1)))], "query")


def test_cards_are_read_without_weights_and_weights_do_not_travel(folder: Path) -> None:
    model = load_embedder(f"dual:{folder}")
    assert model.card.name == "dual:tiny+fused"
    assert model.card.dim == {"clip": 12, "siglip": 16, "siglip2": 16, "align": 32}[folder.parent.name.rstrip("0")]
    small = len(pickle.dumps(model))
    before = fingerprint(model, "float32")
    model.setup()
    assert len(pickle.dumps(model)) == small
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    try:
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert fingerprint(load_embedder(f"dual:{folder}"), "float32") != before
    finally:
        weights.write_bytes(data)


def test_what_is_no_dual_encoder_is_named(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertModel(BertConfig(vocab_size=9, **sizes)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is no dual encoder"):
        load_embedder(f"dual:{tmp_path}").embed([Item((Text("a"),))], "query")


def test_a_model_that_is_nowhere_is_an_error() -> None:
    with pytest.raises(ModelError, match="no such folder, and not to be had from the hub"):
        load_embedder("dual:nobody/nothing-of-that-name")
