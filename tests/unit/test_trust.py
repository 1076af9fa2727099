"""Code and pickled weights that come with a checkpoint: refused with the cure, taken when asked for, and then recorded."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_decoders
import tiny_encoders
import torch
from safetensors.torch import load_file, save_file

from unite_bench.embedders.base import Embedder
from unite_bench.embedders.checkpoint import Trust, size_of
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import ModelError
from unite_bench.registry import load_embedder
from unite_bench.testing import material

KINDS = [
    pytest.param("dual", tiny_encoders.clip, id="dual"),
    pytest.param(
        "st",
        tiny_encoders.clip,
        id="st",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("sentence_transformers") is None, reason="sentence-transformers is not installed"
        ),
    ),
]
CUSTOM = """
from pathlib import Path
from transformers import CLIPConfig, CLIPModel

Path({marker!r}).touch()

class OddConfig(CLIPConfig):
    model_type = "odd_clip"

class OddModel(CLIPModel):
    config_class = OddConfig
"""


def decisive(model: Embedder) -> set[str]:
    """Names of the files that are in the fingerprint of a model, or of the one that it lifts by fusion."""
    return {path.name for path in getattr(model, "inner", model).weights()}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for modules that come with checkpoints."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))


@pytest.mark.parametrize(("name", "make"), KINDS)
def test_pickled_weights_are_loaded_only_when_asked_for(
    name: str, make: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder, items = make(tmp_path / "tiny"), material.items("text")
    before = np.asarray(load_embedder(f"{name}:{folder}").embed(items, "query"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    assert "pytorch_model.bin" not in decisive(load_embedder(f"{name}:{folder}"))
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model.bin: pickled .* give --model-arg pickle_weights=true"):
        load_embedder(f"{name}:{folder}").embed(items, "query")
    asked = load_embedder(f"{name}:{folder}", ["pickle_weights=true"])
    np.testing.assert_array_equal(np.asarray(asked.embed(items, "query")), before)
    assert "pytorch_model.bin" in decisive(asked)
    assert dict(asked.arguments)["pickle_weights"] == "True", "which stands in the record"


@pytest.mark.parametrize(("name", "make"), KINDS)
@pytest.mark.usefixtures("modules")
def test_code_of_a_checkpoint_runs_only_when_asked_for(name: str, make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder, items, marker = make(tmp_path / "tiny"), material.items("text"), tmp_path / "ran"
    before = np.asarray(load_embedder(f"{name}:{folder}").embed(items, "query"))
    config = json.loads((folder / "config.json").read_text())
    told = {"AutoConfig": "odd.OddConfig", "AutoModel": "odd.OddModel"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "odd_clip", "auto_map": told}))
    (folder / "odd.py").write_text(CUSTOM.format(marker=str(marker)))
    with pytest.raises(ModelError, match="if you trust its authors, give --model-arg trust_remote_code=true"):
        load_embedder(f"{name}:{folder}").embed(items, "query")
    assert not marker.exists(), "it did not run"
    asked = load_embedder(f"{name}:{folder}", ["trust_remote_code=true"])
    np.testing.assert_array_equal(np.asarray(asked.embed(items, "query")), before)
    assert marker.exists()
    assert dict(asked.arguments)["trust_remote_code"] == "True", "which stands in the record"
    first = fingerprint(asked, "float32")
    (folder / "odd.py").write_text(CUSTOM.format(marker=str(marker)) + "\n# changed")
    assert fingerprint(load_embedder(f"{name}:{folder}", ["trust_remote_code=true"]), "float32") != first


def test_a_decoder_has_the_same_two_flags(tmp_path: Path) -> None:
    path = tiny_decoders.model_file(tiny_decoders.save(tmp_path, "qwen2_vl"), "qwen2_vl")
    items, weights = material.items("text"), tmp_path / "tiny" / "model.safetensors"
    before = np.asarray(load_embedder(f"vlm:{path}").embed(items, "query"))
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(ModelError, match=r"pytorch_model.bin: pickled .* give --model-arg pickle_weights=true"):
        load_embedder(f"vlm:{path}").embed(items, "query")
    asked = load_embedder(f"vlm:{path}", ["pickle_weights=true"])
    np.testing.assert_array_equal(np.asarray(asked.embed(items, "query")), before)
    assert dict(asked.arguments)["pickle_weights"] == "True"
    config = tmp_path / "tiny" / "config.json"
    told = {"model_type": "odd", "auto_map": {"AutoConfig": "odd.OddConfig"}}
    config.write_text(json.dumps({**json.loads(config.read_text()), **told}))
    with pytest.raises(ModelError, match="if you trust its authors, give --model-arg trust_remote_code=true"):
        load_embedder(f"vlm:{path}", ["pickle_weights=true"]).setup()


def test_the_gate_is_shut_only_while_a_model_is_loaded(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1)}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="tiny: pickled weights"), Trust().loading("tiny"):
        torch.load(tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt")["a"] == 1
    with pytest.raises(ValueError, match="of another kind"), Trust().loading("tiny"):
        raise ValueError("of another kind")


def test_the_size_of_a_checkpoint_is_counted_from_the_headers_of_its_weights(tmp_path: Path) -> None:
    def saved(name: str, **tensors: torch.Tensor) -> Path:
        save_file(tensors, tmp_path / name)
        return tmp_path / name

    first = saved("a.safetensors", w=torch.zeros(1000, 1500, dtype=torch.bfloat16), positions=torch.arange(512))
    second = saved("b.safetensors", w=torch.zeros(2, 2))
    assert size_of([first, tmp_path / "config.json"]) == "1.50M"
    assert size_of([first, second]) is None, "two sets of weights, or one and a copy"
    (tmp_path / "2_Dense").mkdir()
    assert size_of([first, saved("2_Dense/model.safetensors", w=torch.zeros(700, 1000))]) == "2.20M"
    shards = [saved(f"model-0000{n}-of-00002.safetensors", w=torch.zeros(60_000, 1000)) for n in (1, 2)]
    assert size_of(shards) == "120M"
    assert size_of([tmp_path / "config.json"]) is None, "no weights here"
    assert size_of([first, tmp_path / "more.bin"]) is None, "not all of them can be counted"
    packed = saved("int8.safetensors", w=torch.zeros(9, 9, dtype=torch.int8), scale=torch.ones(9))
    assert size_of([packed]) is None, "maybe several in one"
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(first.read_bytes()[:1000])
    with pytest.raises(
        ModelError, match=r"broken.safetensors: not a safetensors file, or not all of it .*fetch it again"
    ):
        size_of([broken])
