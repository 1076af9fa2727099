"""`vlm:NAME`: the prompt, the tokens and the vector are those that the model file declares, and no others."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_decoders
import torch
from PIL import Image as Pillow
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from unite_bench import cli, media
from unite_bench.embedders.decoder import VlmEmbedder
from unite_bench.embedders.decoders.model_file import load_model_file, model_files
from unite_bench.embedders.decoders.prompt import segments_of
from unite_bench.embedders.decoders.qwen_vl import Medium, QwenVl, placeholder
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import ModelError, SpecError, UsageError
from unite_bench.items import Blob, FramePolicy, Item, Role, Text, Video
from unite_bench.registry import load_embedder
from unite_bench.testing import CHECKS, material, run_checks

QWEN = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
GOLDEN = Path(__file__).parents[1] / "golden" / "prompts.json"
NANO = Path(__file__).parents[2] / "reference_model" / "checkpoints" / "nano"


@pytest.fixture(scope="module", params=(*QWEN, "mllama"))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tiny_decoders.save(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tiny_decoders.save(tmp_path_factory.mktemp("qwen2_vl"), "qwen2_vl")


def tiny(folder: Path, **more: Any) -> VlmEmbedder:
    """The checkpoint of a folder under the test's model file, with other values for some keys."""
    architecture = json.loads((folder / "tiny" / "config.json").read_text())["model_type"]
    made = load_embedder(f"vlm:{tiny_decoders.model_file(folder, architecture, **more)}")
    assert isinstance(made, VlmEmbedder)
    return made


def loaded(model: VlmEmbedder) -> QwenVl:
    model.setup()
    assert isinstance(model._loaded, QwenVl)
    return model._loaded


def embedded(model: VlmEmbedder, modality: str, role: Role = "query", instruction: str | None = None) -> Any:
    return np.asarray(model.embed([media.resolve(i) for i in material.items(modality, instruction)], role))


# Prompts


def prompts(name: str) -> dict[str, str]:
    """What a shipped model would be shown, by what is shown."""
    file: Any = load_model_file(model_files()[name])
    shown: dict[str, tuple[Item, Role]] = {
        "text query": (Item((Text("a red bus"),)), "query"),
        "text query, instructed": (Item((Text("a red bus"),), "Find a picture"), "query"),
        "text candidate": (Item((Text("a red bus"),)), "candidate"),
        "image candidate": (Item((material.picture(0),)), "candidate"),
        "image candidate, instructed": (Item((material.picture(0),), "Represent it."), "candidate"),
        "image+text query, instructed": (Item((material.picture(0), Text("in blue")), "Find the car."), "query"),
    }
    if "video" in file.modalities:
        shown["text+video query"] = (Item((material.clip(0), Text("in reverse"))), "query")
    cut = {"image": Medium(torch.zeros(0), (1, 4, 4)), "video": Medium(torch.zeros(0), (2, 4, 4), (0.25, 1.25))}
    stand = {kind: placeholder(medium, file.prompt) for kind, medium in cut.items()}
    found = {}
    for what, (item, role) in shown.items():
        media_of = [stand[part.kind] for part in item.parts if part.kind in stand]
        found[what] = "".join(segment.text for segment in segments_of(file.prompt, item, role, media_of))
    return found


@pytest.mark.parametrize("name", model_files())
def test_a_shipped_model_is_shown_these_words(name: str) -> None:
    assert prompts(name) == json.loads(GOLDEN.read_text())[name]


@pytest.mark.parametrize("folder", QWEN, indirect=True)
def test_the_tokens_spell_the_prompt_with_one_placeholder_a_feature(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(folder)
    inner = loaded(model)
    seen: list[dict[str, Any]] = []
    forward = inner.model.forward

    def noted(**given: Any) -> Any:
        seen.append(given)
        return forward(**given)

    monkeypatch.setattr(inner.model, "forward", noted)
    picture, clip = material.picture(0), material.clip(0)  # 64 x 64 fitted to 32 x 32 pixels: 2 x 2 features of 16 x 16
    items = [Item((picture, Text("a cat?")), "Find it."), Item((Text("a"),)), media.resolve(Item((clip,), "Look."))]
    for item in items:
        model.embed([item], "query")
    words = ["".join(inner.tokenizer.convert_ids_to_tokens(given["input_ids"][0].tolist())) for given in seen]
    head, tail = "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
    pads = "<|vision_start|>" + 4 * "<|image_pad|>" + "<|vision_end|>"
    assert words[0] == head.format("Find it.") + pads + "a cat?" + tail
    assert words[1] == head.format("Represent the input.") + "a" + tail
    grid = seen[2]["video_grid_thw"][0].tolist()
    features = "<|video_pad|>" * (grid[1] * grid[2] // 4)
    if folder.name.startswith("qwen3"):
        seconds = [(n / 10 + (n + 1) / 10) / 2 for n in range(0, 8, 2)]
        steps = [f"<{time:.1f} seconds><|vision_start|>{features}<|vision_end|>" for time in seconds]
        assert words[2] == head.format("Look.") + "".join(steps) + tail
    else:
        assert words[2] == head.format("Look.") + f"<|vision_start|>{4 * features}<|vision_end|>" + tail
    assert grid[0] == 4, "eight frames, two a step"
    assert all(given["attention_mask"].all() for given in seen)


def test_only_words_of_the_text_are_cut_from_a_prompt_that_is_too_long(qwen2: Path) -> None:
    model = loaded(tiny(qwen2, max_length=130))
    item = Item((material.picture(0), Text("a" * 250 + "b" * 250)), "Find it.")
    found = model.ids(item, "query", model.shown(item))
    words = "".join(model.tokenizer.convert_ids_to_tokens(found))
    assert len(found) == 130
    assert words.startswith("<|im_start|>system\nFind it.<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|>")
    assert "<|vision_end|>aaaa" in words and words.endswith("a<|im_end|>\n<|im_start|>assistant\n"), "cut at its end"
    short = tiny(qwen2, max_length=40)
    with pytest.raises(ModelError, match="alone exceed max_length 40 by"):
        short.embed([item], "query")


def test_a_text_with_a_token_for_media_is_an_error(qwen2: Path) -> None:
    with pytest.raises(ModelError, match=r"2 tokens that stand for media, 1 are needed; take <\|image_pad\|>"):
        tiny(qwen2).embed([Item((material.picture(0), Text("<|image_pad|>")))], "query")


# Vectors


def by_hand(folder: Path, text: str, pixels: Any = None) -> np.ndarray:
    """Last state of the whole causal model for one prompt, with the positions that it computes itself; unit length."""
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer, MllamaProcessor

    words = AutoTokenizer.from_pretrained(folder / "tiny")
    processor = AutoImageProcessor.from_pretrained(folder / "tiny", backend="pil")
    picture = None if pixels is None else [Pillow.fromarray(pixels)]
    if "mllama" in folder.name:
        given = dict(MllamaProcessor(processor, words)(images=picture, text=text, return_tensors="pt"))
        given.pop("token_type_ids", None)
    else:
        given = {}
        if picture:
            given = dict(
                processor(images=picture, size={"shortest_edge": 256, "longest_edge": 1024}, return_tensors="pt")
            )
            count = int(given["image_grid_thw"].prod()) // 4
            text = text.replace("<|image_pad|>", count * "<|image_pad|>")
        given["input_ids"] = words(text, return_tensors="pt")["input_ids"]
        given["mm_token_type_ids"] = (given["input_ids"] == words.convert_tokens_to_ids("<|image_pad|>")).int()
    model = AutoModelForImageTextToText.from_pretrained(folder / "tiny").eval()
    with torch.inference_mode():
        done = model(output_hidden_states=True, **given)
    state = done.hidden_states[-1][0, -1].numpy()
    return np.asarray(state / np.linalg.norm(state))


def test_the_vector_is_the_last_state_of_a_forward_pass_by_hand(folder: Path) -> None:
    model = tiny(folder)
    file: Any = model.file
    texts = embedded(model, "text", instruction="Find it.")
    fused = embedded(model, "image+text", instruction="Find it.")
    for n in (1, 3):
        item = material.items("image+text", "Find it.")[n]
        bare, whole = (
            "".join(segment.text for segment in segments_of(file.prompt, item, "query", held))
            for held in ([], [file.prompt.image])
        )
        np.testing.assert_allclose(texts[n], by_hand(folder, bare), atol=1e-5)
        np.testing.assert_allclose(fused[n], by_hand(folder, whole, media.pixels(material.picture(n))), atol=1e-5)


def test_nano_through_a_model_file_is_the_reference(tmp_path: Path) -> None:
    """Pictures, clips and positions were written twice, here and there; they agree on a trained model."""
    side = json.loads((NANO / "preprocessor_config.json").read_text())
    budget = {"min": side["min_pixels"], "max": side["max_pixels"]}
    template = (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n{instruction|\n}{media}{text}\n"
        "Summary above {modalities} in one word:<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
    )
    prompt = {
        **{name: {"template": template} for name in ("query", "candidate")},
        **{name: f"<|vision_start|><|{name}_pad|><|vision_end|>" for name in ("image", "video")},
        "names": {"text": "sentence", "image": "image", "video": "video"},
    }
    more = {"weights": str(NANO), "dim": 256, "prompt": prompt, "image_pixels": budget, "frame_pixels": budget}
    path = tiny_decoders.model_file(tmp_path, "qwen2_vl", **more, padding="left", max_length=1024)
    model, reference = load_embedder(str(path)), load_embedder("reference")
    for modality in ("text", "image", "video", "image+text", "text+video"):
        items = [media.resolve(item) for item in material.items(modality, "Find it.")]
        ours, theirs = (np.asarray(m.embed(items, "query")) for m in (model, reference))
        np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=modality)
    odd = [media.resolve(Item((replace(material.clip(n), policy=FramePolicy(frames=5)),))) for n in range(2)]
    ours, theirs = (np.asarray(m.embed(odd, "query")) for m in (model, reference))
    np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg="five frames: the last stands twice in its step")


def test_time_reaches_the_architectures_that_know_of_it(folder: Path) -> None:
    if folder.name.startswith("mllama"):
        pytest.skip("no clips")
    fast, slow = (
        Item((Video(Blob(material.movie(material.moving(0), [n * step for n in range(8)]), "clip.mp4")),))
        for step in (0.1, 1.0)
    )
    rows = np.asarray(tiny(folder).embed([media.resolve(fast), media.resolve(slow)], "query"))
    assert (np.abs(rows[0] - rows[1]).max() > 1e-3) == (not folder.name.startswith("qwen2_vl"))


def test_a_budget_of_a_whole_clip_makes_its_frames_smaller(qwen2: Path) -> None:
    item = media.resolve(Item((material.clip(0),)))
    whole, less = (
        loaded(tiny(qwen2, frame_pixels={"min": 256, "max": 1024, **more})).shown(item)[0].grid
        for more in ({}, {"clip": 2048})  # of eight frames, two a step: 512 pixels each
    )
    assert (whole[0], less[0]) == (4, 4)
    areas = [rows * columns * tiny_decoders.PATCH**2 for _, rows, columns in (whole, less)]
    assert areas == [32 * 16, 16 * 16], "64 x 48 pixels fitted into 1,024 and into 512, in steps of 16"


def test_declared_pooling_padding_positions_and_normalisation_are_kept(qwen2: Path) -> None:
    usual = embedded(tiny(qwen2), "image+text")
    np.testing.assert_allclose(embedded(tiny(qwen2, padding="left"), "image+text"), usual, atol=1e-5)
    flat = tiny(qwen2, positions="1d")
    assert np.abs(embedded(flat, "image+text") - usual).max() > 1e-3, "media have other positions"
    np.testing.assert_allclose(embedded(flat, "text"), embedded(tiny(qwen2), "text"), atol=1e-5)
    long = tiny(qwen2, normalise=False)
    lengths = np.linalg.norm(embedded(long, "text"), axis=1)
    assert long.card.normalised is None and np.abs(lengths - 1).min() > 0.1
    np.testing.assert_allclose(embedded(long, "text") / lengths[:, None], embedded(tiny(qwen2), "text"), atol=1e-5)
    mean = embedded(tiny(qwen2, pooling="mean", normalise=False), "text")
    states, mask = loaded(tiny(qwen2)).states(material.items("text")[2:3], "query")
    assert mask.all()
    np.testing.assert_allclose(mean[2], states[0].mean(0).detach().numpy(), atol=1e-5)


def test_the_role_has_its_own_template(qwen2: Path) -> None:
    model = tiny(qwen2)
    assert (model.card.role_matters, model.card.instruction_matters) == (True, True)
    recorded = json.loads(model.card.prompt)
    assert recorded["query"] == {"template": tiny_decoders.CHAT, "instruction": "Represent the input."}
    assert recorded["candidate"]["instruction"] is None and recorded["pooling"] == "last"
    np.testing.assert_array_equal(embedded(model, "text", "query"), embedded(model, "text", "candidate"))
    told = embedded(model, "text", "candidate", "Find it.")
    np.testing.assert_array_equal(told, embedded(model, "text", "candidate"), "no place for it on this side")
    assert np.abs(embedded(model, "text", "query", "Find it.") - told).max() > 1e-3


@pytest.mark.parametrize(
    "folder",
    [pytest.param(name, marks=pytest.mark.slow if "qwen2" in name else ()) for name in (*QWEN, "mllama")],
    indirect=True,
)
def test_it_passes_the_kit(folder: Path) -> None:
    verdicts = dict(run_checks(tiny(folder), [name for name in CHECKS if name != "spawn"]))
    assert {name: v.said for name, v in verdicts.items() if v.status == "failed"} == {}
    assert verdicts["batch"].status == "passed"
    assert verdicts["frame-order"].status == ("n/a" if folder.name.startswith("mllama") else "passed")


@pytest.mark.slow
def test_it_survives_spawn(qwen2: Path) -> None:
    ((_, verdict),) = run_checks(tiny(qwen2), ["spawn"])
    assert verdict.status == "passed", verdict.said


# Model files


@pytest.mark.parametrize("name", model_files())
def test_a_shipped_file_is_of_the_schema_and_says_where_its_facts_are_from(name: str) -> None:
    file = load_model_file(model_files()[name])
    assert file.name == name
    assert all(len(source) > 20 for source in file.sources)
    if not file.obstacle:
        model = load_embedder(f"vlm:{name}")
        assert (model.card.dim, model.card.revision) == (file.dim, file.revision)
        assert len(pickle.dumps(model)) < 10_000


def test_what_is_unknown_is_named_and_does_not_run(qwen2: Path) -> None:
    with pytest.raises(ModelError, match=r"vlm:tiny cannot run: pooling, image_pixels unknown in .*tiny.yaml"):
        tiny(qwen2, pooling="unknown", image_pixels="unknown")
    with pytest.raises(ModelError, match=r"revision unknown in .* Give --model-arg revision=COMMIT or weights=FOLDER"):
        load_embedder("vlm:lamra-ret")
    asked = load_embedder("vlm:lamra-ret", ["revision=" + "a" * 40])
    assert asked.card.revision == "a" * 40
    with pytest.raises(ModelError, match="architecture unknown in"):
        load_embedder(str(tiny_decoders.model_file(qwen2, "unknown")))
    with pytest.raises(ModelError, match="is an adapter of Qwen/Qwen2-VL-2B-Instruct; merge it"):
        load_embedder("vlm:vlm2vec-v2.0")


def test_a_wrong_file_is_reported_with_its_places(qwen2: Path) -> None:
    path = tiny_decoders.model_file(qwen2, "qwen2_vl", poolings="last", name="wrong")
    path.write_text(path.read_text().replace("padding: right", "padding: middle"))
    with pytest.raises(SpecError) as caught:
        load_embedder(str(path))
    assert any("unknown key 'poolings', did you mean 'pooling'?" in finding for finding in caught.value.findings)
    assert any("padding: Input should be 'left', 'right'" in finding for finding in caught.value.findings)
    assert all(finding.startswith(f"{path}:") for finding in caught.value.findings)
    turn = {"template": "{media} no place for words"}
    for prompt, said in (
        ({"query": turn, "candidate": turn}, r"a place for \{media\} and one for \{text\}"),
        ({**tiny_decoders.FILE["prompt"], "image": None}, "a model of pictures needs prompt.image"),
    ):
        with pytest.raises(SpecError, match=said):
            tiny(qwen2, prompt=prompt)
    with pytest.raises(UsageError, match="did you mean 'gme-qwen2-vl-2b'"):
        load_embedder("vlm:gme-qwen2vl-2b")


def test_weights_of_another_architecture_or_with_holes_are_an_error(qwen2: Path, tmp_path: Path) -> None:
    path = tiny_decoders.model_file(tmp_path, "qwen2_5_vl", weights=str(qwen2 / "tiny"))
    with pytest.raises(ModelError, match=r"is a qwen2_vl model of 32 dimensions, .* says qwen2_5_vl of 32"):
        load_embedder(f"vlm:{path}").setup()
    with pytest.raises(ModelError, match=r"is a qwen2_vl model of 32 dimensions, .* says qwen2_vl of 64 dimensions"):
        tiny(qwen2, dim=64).setup()
    holes = tmp_path / "holes"
    holes.mkdir()
    for file in (qwen2 / "tiny").iterdir():
        (holes / file.name).write_bytes(file.read_bytes())
    tensors = load_file(holes / "model.safetensors")
    name = next(name for name in tensors if name.endswith("layers.1.mlp.up_proj.weight"))
    save_file(
        {key: value for key, value in tensors.items() if key != name}, holes / "model.safetensors", {"format": "pt"}
    )
    model = load_embedder(f"vlm:{tiny_decoders.model_file(tmp_path, 'qwen2_vl')}", [f"weights={holes}"])
    with pytest.raises(ModelError, match=r"1 weights are missing, the first is .*layers.1.mlp.up_proj.weight"):
        model.setup()


def test_the_model_file_and_the_weights_are_in_the_fingerprint(qwen2: Path) -> None:
    prints = {fingerprint(tiny(qwen2, **more), "float32") for more in ({}, {"notes": ["other"]}, {"max_length": 300})}
    assert len(prints) == 3
    assert {path.name for path in tiny(qwen2).weights()} >= {"tiny.yaml", "model.safetensors", "tokenizer.json"}


def test_more_media_than_declared_and_other_modalities_are_refused(qwen2: Path) -> None:
    with pytest.raises(ModelError, match="takes 1 picture or clip an item, not 2"):
        tiny(qwen2, most_media=1).embed([Item((material.picture(0), material.picture(1)))], "query")
    with pytest.raises(ModelError, match="does not take video"):
        tiny(qwen2, modalities=["text", "image"]).embed(material.items("video")[:1], "query")


def test_models_are_listed_with_what_keeps_them_from_running_and_their_schema_is_printed() -> None:
    from unite_bench.cli import inspecting  # noqa: F401  (registers the command)

    said = CliRunner().invoke(cli.app, ["list", "models"]).output
    assert "qwen3-vl-embedding-8b" in said
    (line,) = (line for line in said.splitlines() if "lamra-ret" in line)
    assert line.endswith("unknown: revision")
    schema = json.loads(CliRunner().invoke(cli.app, ["schema", "--model"]).output)
    assert {"prompt", "pooling", "frame_pixels"} <= set(schema["properties"])
