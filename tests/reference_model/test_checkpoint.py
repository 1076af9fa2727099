"""Checkpoints are found by folder or hub name, say what was chosen, and everything wrong is said before they load."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_families import save_family
from tokenizers import Tokenizer

import unite_bench
from reference_model.checkpoint import CHECKPOINTS, Checkpoint
from reference_model.embedder import ReferenceEmbedder
from reference_model.preprocess import Preprocessing
from reference_model.settings import Settings
from reference_model.tokenizer_file import check_tokenizer
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import ModelError, UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LEFT_OUT = object()
NAME = "someone/Some-Qwen2-VL"


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    return save_family(tmp_path / "qwen2_vl", "qwen2_vl", tiny / "tokenizer.json")


@pytest.fixture
def cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, offline, with one model at one commit."""
    from huggingface_hub import constants

    root = tmp_path / "hub"
    at = root / f"models--{NAME.replace('/', '--')}"
    shutil.copytree(folder, at / "snapshots" / COMMIT)
    (at / "refs").mkdir()
    (at / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return at


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("arguments", [[], [f"revision={COMMIT}"]])
def test_a_hub_name_is_found_in_the_cache(arguments: list[str]) -> None:
    embedder = unite_bench.load_embedder(f"reference:{NAME}", arguments)
    assert embedder.card.name == f"reference:{NAME}"
    assert embedder.card.revision == COMMIT
    embedder.setup()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("name", "revision"), [("someone/another", None), (NAME, "f" * 40)])
def test_what_is_not_in_the_cache_says_how_to_fetch_it(name: str, revision: str | None) -> None:
    with pytest.raises(ModelError) as raised:
        ReferenceEmbedder(name, revision).card
    at = f" --revision {revision}" if revision else ""
    assert f"hf download {name}{at}" in str(raised.value)
    assert "HF_HUB_OFFLINE" in str(raised.value)


def test_released_unite_is_known_by_its_hub_name(cache: Path) -> None:
    released = cache.parent / "models--friedrichor--Unite-Base-Qwen2-VL-2B"
    shutil.copytree(cache, released)
    told = ReferenceEmbedder("friedrichor/Unite-Base-Qwen2-VL-2B").card.settings
    assert told["positions"] == "1d (released UNITE, known by its name Unite-Base-Qwen2-VL-2B)"


def test_a_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(ModelError, match="no revision 'main'"):
        Checkpoint.find(str(folder), "main")


def test_what_is_neither_folder_nor_name_is_listed() -> None:
    with pytest.raises(ModelError, match=r"no checkpoint 'nanoo': give one of \['nano', 'nano-backbone'\]"):
        Checkpoint.find("nanoo")


def test_everything_wrong_with_the_settings_is_said_at_once(folder: Path) -> None:
    wrong = {"positions": "2d", "max_length": -1, "max_pixels": 2.5, "fps": "one", "training_sets": "all", "cap": 3}
    (folder / "unite.json").write_text(json.dumps(wrong))
    with pytest.raises(ModelError) as raised:
        ReferenceEmbedder(str(folder), min_frames=0).card
    said = str(raised.value)
    assert all(key in said for key in (*wrong, "min_frames"))
    assert len(said.splitlines()) == 7


def test_budgets_that_contradict_each_other_are_an_error(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"min_pixels 9,000 is above max_pixels 5,000"):
        ReferenceEmbedder(str(folder), min_pixels=9000, max_pixels=5000).card


@pytest.mark.parametrize(
    ("given", "image", "frame"),
    [
        ({}, (60**2, 130**2), (60**2, 130**2)),
        ({"max_pixels": 2000}, (28**2, 2000), (28**2, 2000)),
        ({"min_pixels": 20_000}, (20_000, 20_000), (20_000, 20_000)),
        ({"frame_max_pixels": 2000}, (60**2, 130**2), (28**2, 2000)),
        ({"frame_min_pixels": 20_000}, (60**2, 130**2), (20_000, 20_000)),
        ({"frame_min_pixels": 900, "frame_max_pixels": 9000}, (60**2, 130**2), (900, 9000)),
    ],
)
def test_a_budget_that_is_asked_for_holds(
    folder: Path, given: dict[str, int], image: tuple[int, int], frame: tuple[int, int]
) -> None:
    shown = Checkpoint.find(str(folder), given=given).preprocessing
    assert (shown.budget(), shown.budget(clip=True)) == (image, frame)


def test_arguments_are_typed_on_the_command_line_and_in_the_fingerprint(folder: Path) -> None:
    one = unite_bench.load_embedder(f"reference:{folder}", ["positions=1d", "frame_max_pixels=5000"])
    assert one.card.settings["positions"] == "1d (given)"
    assert fingerprint(one, "float32") != fingerprint(unite_bench.load_embedder(f"reference:{folder}"), "float32")
    with pytest.raises(UsageError, match="positions is one of mrope, mrope-5, 1d"):
        unite_bench.load_embedder(f"reference:{folder}", ["positions=2d"])


def test_the_record_says_what_was_chosen(folder: Path) -> None:
    from unite_bench.encode.run import Encoder
    from unite_bench.protocol import Settings as Protocol
    from unite_bench.recording import describe_embedder

    said = describe_embedder(Encoder(ReferenceEmbedder(str(folder), max_length=99)), Protocol())
    assert said["backbone"] == "Qwen2-VL"
    assert said["settings"] == {
        "positions": "mrope (default)",
        "sizes": "fitted once (default)",
        "image_pixels": "3600 to 16900",
        "frame_pixels": "3600 to 16900",
        "max_length": "99 (given)",
    }
    some = ReferenceEmbedder(str(folder), fps=1.0, most_frames=48, frame_max_pixels=5000).card.settings
    assert (
        some["native_frames"] == "1 a second, 4 to 48 (given; default)"
        and some["frame_pixels"] == "3600 to 5000 (given)"
    )


def test_a_folder_of_one_s_own_is_meant_by_its_path_whatever_it_is_called(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "here" / "nano")
    monkeypatch.chdir(tmp_path / "here")
    assert Checkpoint.find("nano").folder == CHECKPOINTS / "nano"
    for name in ("./nano", str(tmp_path / "here" / "nano"), "../here/nano"):
        assert Checkpoint.find(name).folder.resolve() == tmp_path / "here" / "nano"


def test_a_plain_model_has_the_length_that_its_config_says(folder: Path) -> None:
    """Else an ordinary picture or clip of a model of the hub would be refused at the recipe's 2,048 tokens."""
    (folder / "unite.json").unlink(missing_ok=True)
    raw = json.loads((folder / "config.json").read_text())
    length = raw.get("max_position_embeddings") or raw["text_config"]["max_position_embeddings"]
    assert Checkpoint.find(str(folder)).settings.max_length == length != Settings().max_length


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("config.json", {"vision_config": None}, "vision_config is None, and no object"),
        ("config.json", {"text_config": None}, "text_config is None"),
        ("config.json", {"image_token_id": 99}, "image_token_id in config.json is 99"),
        ("config.json", {"text_config": {"num_hidden_layers": "two"}}, "not a checkpoint that Qwen2-VL can load"),
        ("config.json", {"max_position_embeddings": "long"}, "max_position_embeddings is 'long'"),
        ("preprocessor_config.json", {"size": [1, 2]}, r"size is \[1, 2\], and no object"),
        ("preprocessor_config.json", {"min_pixels": "3136"}, "min_pixels is '3136'"),
        ("preprocessor_config.json", {"max_pixels": -1}, "max_pixels is -1"),
        ("preprocessor_config.json", {"min_pixels": 90_000, "max_pixels": 9_000}, "is above max_pixels"),
        ("preprocessor_config.json", {"image_mean": [0.5, 0.5]}, "image_mean is .*three numbers"),
    ],
)
def test_damaged_configurations_are_named(folder: Path, file: str, change: dict[str, Any], said: str) -> None:
    (folder / "unite.json").unlink(missing_ok=True)
    raw = json.loads((folder / file).read_text())
    for key, value in change.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) else value
    (folder / file).write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=said) as told:
        embedder = ReferenceEmbedder(str(folder))
        embedder.card
        embedder.setup()
    assert str(folder) in str(told.value)


def test_settings_of_the_preprocessor_may_stand_in_the_joint_file(folder: Path) -> None:
    alone = folder / "preprocessor_config.json"
    raw = json.loads(alone.read_text())
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": raw}))
    before = Checkpoint.find(str(folder)).preprocessing
    alone.unlink()
    found = Checkpoint.find(str(folder))
    assert found.preprocessing == before != Preprocessing().under(Settings())
    assert folder / "processor_config.json" in found.files()


def test_damaged_weights_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelError, match="not a checkpoint that Qwen2-VL can load"):
        ReferenceEmbedder(str(folder)).setup()


def test_a_tokenizer_without_vision_tokens_is_named(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text().replace("<|video_pad|>", "<|other|>"))
    with pytest.raises(ModelError, match=r"lacks <\|video_pad\|>"):
        ReferenceEmbedder(str(folder)).setup()


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in inner:
        yield (*place, key)
        yield from places(held, (*place, key))


@pytest.fixture
def small_tokenizer() -> dict[str, Any]:
    """That of nano with one merge and the words that it needs."""
    raw = json.loads((CHECKPOINTS / "nano" / "tokenizer.json").read_text())
    model = raw["model"]
    model["merges"] = model["merges"][:1]
    words = {word for pair in model["merges"] for word in (*pair, "".join(pair))}
    model["vocab"] = {word: number for word, number in model["vocab"].items() if word in words}
    raw["added_tokens"] = raw["added_tokens"][:1]
    raw["truncation"] = {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0}
    raw["padding"] = {"strategy": {"Fixed": 3}, "direction": "Left", "pad_to_multiple_of": None}
    raw["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
    return raw


def test_a_tokenizer_broken_deeper_down_is_told_before_the_library_meets_it(
    tmp_path: Path, small_tokenizer: dict[str, Any]
) -> None:
    """Each part is left out or replaced in turn: what the check lets pass, the library reads."""
    path = tmp_path / "tokenizer.json"
    refused = 0
    for place in places(small_tokenizer):
        for other in (LEFT_OUT, None, -1, "(", {}):
            broken = copy.deepcopy(small_tokenizer)
            at = broken
            for key in place[:-1]:
                at = at[key]
            if other is LEFT_OUT:
                del at[place[-1]]
            else:
                at[place[-1]] = other
            path.write_text(json.dumps(broken))
            try:
                check_tokenizer(tmp_path)
            except ModelError as error:
                assert str(path) in str(error) and "restore it from the checkpoint" in str(error)
                refused += 1
            else:
                Tokenizer.from_file(str(path))  # raises a bare Exception where it cannot
    assert refused > 200


def test_the_tokenizers_there_are_pass(tmp_path: Path, small_tokenizer: dict[str, Any]) -> None:
    path = tmp_path / "tokenizer.json"
    small_tokenizer["model"]["merges"] = [" ".join(pair) for pair in small_tokenizer["model"]["merges"]]  # older files
    small_tokenizer["model"].pop("ignore_merges", None)
    small_tokenizer["padding"]["strategy"] = "BatchLongest"
    small_tokenizer["truncation"] = None
    path.write_text(json.dumps(small_tokenizer))
    Tokenizer.from_file(str(path))
    check_tokenizer(tmp_path)
    for folder in CHECKPOINTS.glob("*/tokenizer.json"):
        check_tokenizer(folder.parent)


def test_a_damaged_tokenizer_is_named(folder: Path) -> None:
    path = folder / "tokenizer.json"
    raw = json.loads(path.read_text())
    raw["model"]["merges"][0] = ["no word", "of it"]
    path.write_text(json.dumps(raw))
    with pytest.raises(ModelError, match=r"tokenizer\.json: not a tokenizer \(model: .*merge 0.*restore it"):
        ReferenceEmbedder(str(folder)).setup()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json: not a tokenizer"):
        ReferenceEmbedder(str(folder)).setup()
