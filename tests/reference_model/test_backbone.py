"""Prompts become the right tokens, media the right number of them, and a vector depends on its item alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import clip, picture

from reference_model.backbone import Backbone, Settings, last_states, prepare
from reference_model.embedder import ReferenceEmbedder
from reference_model.preprocess import Grid, patches
from reference_model.prompt import render
from unite_bench.errors import ModelError
from unite_bench.items import Item, Text

MIXED = [
    Item((Text("a red circle"),)),
    Item((picture(1),)),
    Item((Text("left"), picture(2, 150, 60), Text("right"), picture(3)), instruction="Find it."),
    Item((clip(4, 1),)),
    Item((clip(5, 5),)),
    Item((clip(6, 4), Text("make it blue")), instruction="Find the video after the change."),
    Item((Text("a much longer text about many things " * 4),)),
]


@pytest.fixture(scope="module")
def backbone(tiny: Path) -> Backbone:
    return Backbone.load(tiny)


def of_media(backbone: Backbone, item: Item) -> tuple[list[Grid], torch.Tensor | None]:
    from unite_bench import media

    cuts = [
        patches(media.frames(p).pixels if p.kind == "video" else media.pixels(p)[np.newaxis], backbone.preprocessing)
        for p in item.parts
        if p.kind != "text"
    ]
    grids = [grid for _, grid in cuts]
    return grids, backbone.visual(torch.cat([cut for cut, _ in cuts]), grids) if cuts else None


def test_vectors_do_not_depend_on_the_batch(tiny: Path) -> None:
    embedder = ReferenceEmbedder(str(tiny))
    embedder.setup()
    together = embedder.embed(MIXED, "query")
    alone = torch.cat([embedder.embed([item], "candidate") for item in MIXED])
    assert together.shape == (len(MIXED), embedder.card.dim)
    assert torch.isfinite(together).all()
    assert (1 - (together * alone).sum(-1)).abs().max() < 1e-4
    assert torch.allclose(together.norm(dim=-1), torch.ones(len(MIXED)), atol=1e-5)
    assert (together @ together.T - torch.eye(len(MIXED))).max() < 0.99999, "different items, one vector"


def test_visual_features_are_those_of_transformers(backbone: Backbone) -> None:
    grids, ours = of_media(backbone, MIXED[2])
    from unite_bench import media

    pictures = [media.pixels(p)[np.newaxis] for p in MIXED[2].parts if p.kind == "image"]
    pixels = torch.cat([patches(held, backbone.preprocessing)[0] for held in pictures])
    shape = torch.tensor([[g.time, g.rows, g.columns] for g in grids])
    with torch.inference_mode():
        theirs = backbone.model.model.visual(pixels, grid_thw=shape).pooler_output
    assert len({(g.rows, g.columns) for g in grids}) == 2, "the test needs two sizes"
    assert torch.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("item", MIXED)
def test_whole_model_agrees_with_transformers(backbone: Backbone, item: Item) -> None:
    """Same ids, M-RoPE positions and hidden state as `Qwen2VLForConditionalGeneration` fed with everything at once."""
    from unite_bench import media

    grids, features = of_media(backbone, item)
    prompt = backbone.prepare(render(item), grids)
    kinds = torch.zeros(1, len(prompt), dtype=torch.int32)
    ids = torch.from_numpy(prompt.ids)[None]
    inputs: dict[str, torch.Tensor] = {}
    for code, kind in ((1, "image"), (2, "video")):
        pad = backbone.tokenizer.token_to_id(f"<|{kind}_pad|>")
        kinds[ids == pad] = code
        parts = [p for p in item.parts if p.kind == kind]
        if parts:
            cuts = [
                patches(media.frames(p).pixels if kind == "video" else media.pixels(p)[None], backbone.preprocessing)
                for p in parts
            ]
            key = "pixel_values" if kind == "image" else "pixel_values_videos"
            inputs[key] = torch.cat([cut for cut, _ in cuts])
            inputs[f"{kind}_grid_thw"] = torch.tensor([[g.time, g.rows, g.columns] for _, g in cuts])
    backbone.model.set_attn_implementation("eager")  # not packed
    with torch.inference_mode():
        theirs = backbone.model.model(input_ids=ids, mm_token_type_ids=kinds, **inputs).last_hidden_state[:, -1]
        ours = last_states(backbone.model, [prompt], [features])
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_truncation_cuts_words_on_the_left_and_nothing_else(backbone: Backbone) -> None:
    item = Item((Text("old " * 200), picture(1), Text("new")), instruction="Find it.")
    grids, _ = of_media(backbone, item)
    whole = prepare(render(item), grids, backbone.tokenizer, 2, Settings(max_length=10_000))
    cut = backbone.prepare(render(item), grids)
    assert len(whole) > len(cut) == backbone.settings.max_length
    assert cut.visual.sum() == whole.visual.sum() == grids[0].tokens(2)
    words = backbone.tokenizer.decode(cut.ids.tolist(), skip_special_tokens=False)
    assert words.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nFind it.\n")
    closing = "Summary above sentence and image in one word:<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
    assert words.endswith("new\n" + closing)


def test_media_beyond_the_limit_are_an_error_not_a_cut(backbone: Backbone) -> None:
    item = Item((clip(1, 80),))
    grids, _ = of_media(backbone, item)
    with pytest.raises(ModelError, match="fewer frames"):
        backbone.prepare(render(item), grids)


def test_a_text_that_holds_a_placeholder_is_an_error(backbone: Backbone) -> None:
    with pytest.raises(ModelError, match="1 visual placeholders for 0 media"):
        backbone.prepare(render(Item((Text("see <|image_pad|>"),))), [])


def test_feature_count_must_match(backbone: Backbone) -> None:
    grids, features = of_media(backbone, MIXED[1])
    prompt = backbone.prepare(render(MIXED[1]), grids)
    assert features is not None
    with pytest.raises(ModelError, match="visual features"):
        backbone.vectors([prompt], [features[:-1]])


def test_positions_follow_the_checkpoint(tiny: Path, backbone: Backbone, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    shutil.copytree(tiny, flat)
    settings = json.loads((flat / "unite.json").read_text())
    (flat / "unite.json").write_text(json.dumps({**settings, "positions": "1d"}))
    grids, features = of_media(backbone, MIXED[1])
    other = Backbone.load(flat)
    running = other.prepare(render(MIXED[1]), grids)
    assert (running.positions == np.arange(len(running))).all()
    one = backbone.vectors([backbone.prepare(render(MIXED[1]), grids)], [features])
    assert (one - other.vectors([running], [features])).abs().max() > 1e-4
    (flat / "unite.json").write_text(json.dumps({"positions": "2d"}))
    with pytest.raises(ModelError, match="'mrope' or 'mrope-5' or '1d'"):
        Backbone.load(flat)


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.safetensors", "config.json"])
def test_incomplete_checkpoints_are_named(tiny: Path, tmp_path: Path, missing: str) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken)
    (broken / missing).unlink()
    with pytest.raises(ModelError, match=r"tokenizer\.json|broken|config\.json"):
        ReferenceEmbedder(str(broken)).setup()


def test_card_needs_no_torch(tiny: Path) -> None:
    program = (
        "import sys; from reference_model.embedder import ReferenceEmbedder;"
        f"e = ReferenceEmbedder({str(tiny)!r}); print(e.card.dim, len(e.weights()), 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["64", "5", "False"]
