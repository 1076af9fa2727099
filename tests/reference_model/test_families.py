"""Every family gives the vectors of transformers' own model: its towers, its position rule, its way to tell time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_families import TimedClip, save_family, timed_clip
from tiny_model import picture

from reference_model.backbone import Backbone
from reference_model.checkpoint import Checkpoint
from reference_model.embedder import ReferenceEmbedder
from reference_model.families import FAMILIES
from reference_model.preprocess import Grid, patches
from reference_model.prompt import CLOSING, OPENING, modality_names, render
from reference_model.states import last_states
from unite_bench import media
from unite_bench.errors import ModelError
from unite_bench.items import RGB, Image, Item, Text, Video

ITEMS = [
    Item((Text("a red circle"),)),
    Item((picture(1),)),
    Item((Text("left"), picture(2, 150, 60), Text("right"), picture(3), picture(4, 60, 150))),
    Item((timed_clip(4, 1),)),
    Item((timed_clip(5, 3),)),
    Item((timed_clip(6, 8), Text("then"), picture(7), Text("and"), timed_clip(8, 6, fps=1.0))),
    Item((timed_clip(9, 24, fps=1.0), Text("longer in time than any picture of it is wide"))),
]
Kind = str


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("families")
    return save_family(root / request.param, request.param, tiny / "tokenizer.json")


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Backbone:
    return Backbone.load(folder)


def cuts_of(backbone: Backbone, item: Item) -> list[tuple[torch.Tensor, Grid]]:
    cuts = []
    for part in item.parts:
        if isinstance(part, Video):
            shown = media.frames(part)
            cuts.append(patches(shown.pixels, backbone.preprocessing, times=shown.times))
        elif isinstance(part, Image):
            cuts.append(patches(media.pixels(part)[np.newaxis], backbone.preprocessing))
    return cuts


def ours(backbone: Backbone, items: Sequence[Item]) -> torch.Tensor:
    prompts, features = [], []
    for item in items:
        cuts = cuts_of(backbone, item)
        grids = [grid for _, grid in cuts]
        prompts.append(backbone.prepare(render(item), grids))
        features.append(backbone.visual(torch.cat([cut for cut, _ in cuts]), grids) if cuts else None)
    return last_states(backbone.model, prompts, features)


def written(backbone: Backbone, kind: Kind, item: Item) -> str:
    """The prompt with all its placeholders, as the processors of transformers write it."""
    cuts = iter(cuts_of(backbone, item))
    content = ""
    for number, part in enumerate(item.parts):
        if isinstance(part, Text):
            content += ("\n" if number and isinstance(item.parts[number - 1], Text) else "") + part.text
            continue
        _, grid = next(cuts)
        each = grid.rows * grid.columns // 4
        if isinstance(part, Video) and kind == "qwen3_vl":
            times = np.asarray(part.medium.times())  # type: ignore[union-attr]
            for group in range(grid.time):
                first, last = times[2 * group], times[min(2 * group + 1, len(times) - 1)]
                pads = "<|video_pad|>" * each
                content += f"<{(first + last) / 2:.1f} seconds><|vision_start|>{pads}<|vision_end|>"
        else:
            content += f"<|vision_start|>{f'<|{part.kind}_pad|>' * each * grid.time}<|vision_end|>"
    return OPENING + content + CLOSING.format(modalities=modality_names(item))


def theirs(backbone: Backbone, kind: Kind, item: Item, as_it_is: bool = False) -> torch.Tensor:
    """The last state of transformers' whole model, with the positions that the families are trained with: those of its own
    `get_rope_index`, but for what follows a clip, which in transformers 5 leaves out how far the clip's time went."""
    ids = torch.tensor([backbone.tokenizer.encode(written(backbone, kind, item), add_special_tokens=False).ids])
    codes = {name: number for number, name in enumerate(("image", "video"), 1)}
    kinds = sum(code * (ids == backbone.tokenizer.token_to_id(f"<|{name}_pad|>")) for name, code in codes.items()).int()
    parts = [part for part in item.parts if not isinstance(part, Text)]
    given: dict[str, torch.Tensor] = {}
    for name, pixels, grid in (
        ("image", "pixel_values", "image_grid_thw"),
        ("video", "pixel_values_videos", "video_grid_thw"),
    ):
        held = [cut for part, cut in zip(parts, cuts_of(backbone, item), strict=True) if part.kind == name]
        if held:
            given[pixels] = torch.cat([cut for cut, _ in held])
            given[grid] = torch.tensor([[g.time, g.rows, g.columns] for _, g in held])
    grids = {name: given[name] for name in ("image_grid_thw", "video_grid_thw") if name in given}
    if kind == "qwen2_5_vl":
        grids["second_per_grid_ts"] = [2 / part.medium.fps for part in parts if isinstance(part, Video)]  # type: ignore
    backbone.model.set_attn_implementation("eager")  # not packed
    inner = backbone.model.model
    positions, _ = inner.get_rope_index(ids, kinds, **grids)
    positions = positions if as_it_is else after_all_of_it(positions, kinds)
    return inner(input_ids=ids, position_ids=positions, **given).last_hidden_state[:, -1]


def after_all_of_it(positions: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """(3, 1, n) positions, moved so that every run of text begins one after the greatest position of any axis before it, as
    in transformers 4 (get_rope_index of Qwen2-VL: the maximum over time, height and width, and 1)."""
    moved, shift = positions.clone(), 0
    for at in range(1, positions.shape[2]):
        if kinds[0, at] == 0 and kinds[0, at - 1] != 0:
            shift = int(moved[:, 0, :at].max()) + 1 - int(positions[0, 0, at])
        moved[:, 0, at] = positions[:, 0, at] + shift
    return moved


def off(one: torch.Tensor, other: torch.Tensor) -> float:
    one, other = (torch.nn.functional.normalize(v.float(), dim=-1) for v in (one, other))
    return float((one - other).abs().max())


@torch.inference_mode()
def test_a_span_has_the_vector_of_the_same_frames_in_a_file_of_their_own(folder: Path) -> None:
    """Times count from the start of the span: where a moment stood in a film changes nothing."""

    class Cut(TimedClip):
        def frame(self, index: int) -> RGB:
            return super().frame(index + 4)

    span = Video(TimedClip(9, 8, 1.0), start=4.0, end=8.0, indices=(4, 5, 6, 7))
    cut = Video(Cut(9, 4, 1.0), indices=(0, 1, 2, 3))
    one, other = ReferenceEmbedder(str(folder)).embed([Item((span,)), Item((cut,))], "query")
    assert off(one, other) < 1e-6


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.modality)
@torch.inference_mode()
def test_vectors_are_those_of_transformers(backbone: Backbone, folder: Path, item: Item) -> None:
    assert off(ours(backbone, [item]), theirs(backbone, folder.name, item)) < 1e-5


@torch.inference_mode()
def test_positions_of_transformers_5_are_those_of_checkpoints_that_say_so(backbone: Backbone, folder: Path) -> None:
    """What follows a long clip then begins among its frames; where a time stands before every group, nothing differs."""
    item = ITEMS[-1]
    as_in_5 = Backbone.load(Checkpoint.find(str(folder), given={"positions": "mrope-5"}))
    found = ours(as_in_5, [item])
    assert off(found, theirs(as_in_5, folder.name, item, as_it_is=True)) < 1e-5
    assert (off(found, ours(backbone, [item])) > 1e-4) == (folder.name != "qwen3_vl")


def test_a_rate_that_the_configuration_leaves_out_is_that_of_transformers(tiny: Path, tmp_path: Path) -> None:
    """Hubs hold files that name only what differs from the defaults of the class."""
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig

    folder = save_family(tmp_path / "qwen2_5_vl", "qwen2_5_vl", tiny / "tokenizer.json")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["vision_config"]["tokens_per_second"]
    path.write_text(json.dumps(config))
    backbone = Backbone.load(folder)
    assert backbone.clock.per_second == Qwen2_5_VLVisionConfig().tokens_per_second
    for item in ITEMS:
        assert off(ours(backbone, [item]), theirs(backbone, "qwen2_5_vl", item)) < 1e-5
    for wrong in ("4", 0, None):
        config["vision_config"]["tokens_per_second"] = wrong
        path.write_text(json.dumps(config))
        with pytest.raises(ModelError, match=r"config\.json: vision_config\.tokens_per_second is .* a number above 0"):
            Backbone.load(folder)


@torch.inference_mode()
def test_a_padded_batch_changes_nothing(backbone: Backbone) -> None:
    alone = torch.cat([ours(backbone, [item]) for item in ITEMS])
    assert off(ours(backbone, ITEMS), alone) < 1e-4
    unit = torch.nn.functional.normalize(alone, dim=-1)
    assert (unit @ unit.T - torch.eye(len(ITEMS))).max() < 0.999, "items that look alike test nothing"


@torch.inference_mode()
def test_only_a_backbone_with_a_clock_tells_the_time(backbone: Backbone, folder: Path) -> None:
    slow, fast = (Item((timed_clip(6, 8, fps=fps),)) for fps in (0.5, 4.0))
    apart = off(ours(backbone, [slow]), ours(backbone, [fast]))
    assert (apart > 1e-4) == (folder.name != "qwen2_vl"), apart


def test_the_adapter_runs_it_and_its_card_says_how(folder: Path) -> None:
    embedder = ReferenceEmbedder(str(folder))
    assert embedder.card.backbone == FAMILIES[folder.name].title
    assert embedder.card.settings["positions"] == "mrope (default)"
    assert embedder.card.settings["image_pixels"] == f"{60**2} to {130**2}"
    vectors = torch.as_tensor(embedder.embed(ITEMS, "query"))
    assert vectors.shape == (len(ITEMS), embedder.card.dim)
    with torch.inference_mode():
        assert off(vectors, ours(Backbone.load(folder), ITEMS)) < 1e-4


@torch.inference_mode()
def test_features_of_another_backbone_are_an_error(backbone: Backbone) -> None:
    item = ITEMS[1]
    (cut, grid), *_ = cuts_of(backbone, item)
    features = backbone.visual(cut, [grid])
    prompt = backbone.prepare(render(item), [grid])
    with pytest.raises(ModelError, match="of another model"):
        backbone.vectors([prompt], [features[:, :16]])


def test_a_clip_without_times_is_an_error_where_time_is_told(tiny: Path, tmp_path: Path) -> None:
    told = Backbone.load(save_family(tmp_path / "qwen3_vl", "qwen3_vl", tiny / "tokenizer.json"))
    item = Item((timed_clip(5, 4),))
    with pytest.raises(ModelError, match="2 frame groups has 0 times"):
        told.prepare(render(item), [Grid(2, 4, 4)])
    with pytest.raises(ModelError, match="1 visual placeholders for 2 media"):
        told.prepare(render(item), [Grid(1, 4, 4), Grid(1, 4, 4)])


def test_another_architecture_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 8}))
    with pytest.raises(ModelError, match=r"model_type is 'llama'.*Qwen2-VL, Qwen2\.5-VL, Qwen3-VL"):
        ReferenceEmbedder(str(tmp_path)).card
