"""The committed checkpoint: small, whole, described, and reached by its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_model import clip, picture

import unite_bench
from reference_model.embedder import CHECKPOINTS, ReferenceEmbedder
from unite_bench.errors import ModelError
from unite_bench.items import Item, Text

NANO = CHECKPOINTS / "nano"


def test_nano_is_small_and_whole() -> None:
    from safetensors import safe_open

    with safe_open(NANO / "model.safetensors", framework="pt") as weights:
        tensors = [weights.get_tensor(name) for name in weights.keys()]  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors} == {torch.bfloat16}
    assert sum(tensor.numel() for tensor in tensors) <= 12_000_000
    assert sum(path.stat().st_size for path in NANO.iterdir()) <= 14 * 2**20
    assert len(json.loads((NANO / "tokenizer.json").read_text())["model"]["vocab"]) <= 8192


def test_nano_embeds_every_modality() -> None:
    embedder = unite_bench.load_embedder("reference")
    embedder.setup()
    items = [
        Item((Text("a red circle"),)),
        Item((picture(1),)),
        Item((clip(2),)),
        Item((picture(1), Text("make it blue")), "Find the image after the change."),
        Item((clip(2), Text("faster")), "Find the video after the change."),
    ]
    vectors = torch.as_tensor(embedder.embed(items, "query"))
    assert vectors.shape == (5, embedder.card.dim)
    assert torch.isfinite(vectors).all()
    assert (vectors @ vectors.T - torch.eye(5)).max() < 0.999


def test_nano_says_what_it_was_trained_on() -> None:
    card = ReferenceEmbedder().card
    assert card.training_sets
    assert card.name == "reference:nano"
    assert (NANO / "README.md").exists()


def test_any_checkpoint_folder_has_a_name(tiny: Path) -> None:
    embedder = unite_bench.load_embedder(f"reference:{tiny}")
    assert isinstance(embedder, ReferenceEmbedder)
    assert embedder.card.dim == 64
    assert embedder.card.training_sets is None, "a checkpoint that says nothing is unknown, not clean"


def test_an_unknown_checkpoint_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="nano"):
        ReferenceEmbedder("no-such-model").card


def test_nothing_in_the_checkpoint_names_a_machine() -> None:
    for path in NANO.iterdir():
        if path.suffix in (".json", ".jsonl", ".md"):
            assert "/tmp" not in path.read_text(encoding="utf-8"), path.name
