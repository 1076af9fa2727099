"""A LoRA adapter beside a base gives the vectors of the merged model, or says that it is of another base."""

from __future__ import annotations

import builtins
import hashlib
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_families import save_family, timed_clip
from tiny_model import picture

from reference_model.adapters import base_digest
from reference_model.backbone import Backbone
from reference_model.embedder import ReferenceEmbedder
from reference_model.families import FAMILIES
from reference_model.train.lora_targets import TARGETS, target_modules
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import ModelError
from unite_bench.items import Item, Text

ITEMS = [Item((Text("a red circle"),)), Item((picture(1), Text("blue"))), Item((timed_clip(2, 4),))]


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(tmp_path_factory.mktemp("bases") / request.param, request.param, tiny / "tokenizer.json")


@pytest.fixture(scope="module")
def qwen2(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(tmp_path_factory.mktemp("base") / "qwen2_vl", "qwen2_vl", tiny / "tokenizer.json")


@pytest.fixture(scope="module")
def trained(qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "adapter"
    adapted(qwen2, folder)
    return folder


@pytest.fixture
def adapter(trained: Path, tmp_path: Path) -> Path:
    """An adapter of `qwen2` that a test may spoil."""
    return shutil.copytree(trained, tmp_path / "adapter")


def adapted(base: Path, out: Path) -> Any:
    """A peft model over the base with random A and B, saved at `out` as training saves it."""
    from peft import LoraConfig

    model = Backbone.load(base).model
    config = LoraConfig(r=4, lora_alpha=16, target_modules=target_modules())
    over = over_base(model, config)
    torch.manual_seed(0)
    for key, weight in over.named_parameters():
        if "lora_" in key:
            torch.nn.init.normal_(weight, std=0.2)
    over.save_pretrained(out)
    return over


def over_base(model: Any, config: Any) -> Any:
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return get_peft_model(model, config)


def vectors(base: Path, adapter: Path | None = None, **given: Any) -> torch.Tensor:
    embedder = ReferenceEmbedder(str(base), adapter=None if adapter is None else str(adapter), **given)
    return torch.as_tensor(embedder.embed(ITEMS, "query"))


def test_vectors_are_those_of_pefts_own_merge(base: Path, tmp_path: Path) -> None:
    over = adapted(base, tmp_path / "adapter")
    merged = tmp_path / "merged"
    shutil.copytree(base, merged)
    over.merge_and_unload().save_pretrained(merged)
    ours = vectors(base, tmp_path / "adapter")
    assert (ours - vectors(merged)).abs().max() < 1e-5
    assert (ours - vectors(base)).abs().max() > 1e-2


def test_targets_are_the_language_model_and_all_of_it(base: Path) -> None:
    """Defect 16: by suffix, the MLP of the vision tower of Qwen2.5-VL would be hit as well."""
    from peft import LoraConfig

    model = Backbone.load(base).model
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    wanted = {name for name in linear if ".language_model." in f".{name}"}
    over = over_base(model, LoraConfig(r=2, target_modules=target_modules()))
    hit = {name.removeprefix("base_model.model.") for name, m in over.named_modules() if hasattr(m, "lora_A")}
    assert hit == wanted
    assert len(hit) == len(TARGETS) * 3
    assert not any("visual" in name or "lm_head" in name for name in hit)
    by_suffix = {name for name in linear if name.rpartition(".")[2] in TARGETS}
    assert (by_suffix != wanted) == (base.name == "qwen2_5_vl"), "the trap that this test is about"


def test_some_targets_can_be_named_and_unknown_ones_cannot() -> None:
    import re

    only = target_modules(("q_proj",))
    assert re.fullmatch(only, "model.language_model.layers.11.self_attn.q_proj")
    assert not re.fullmatch(only, "model.language_model.layers.11.self_attn.k_proj")
    with pytest.raises(ValueError, match="lm_head"):
        target_modules(("q_proj", "lm_head"))


def test_adapters_saved_under_the_old_names_are_taken(adapter: Path, qwen2: Path, tmp_path: Path) -> None:
    shutil.copytree(adapter, tmp_path / "old")
    path = tmp_path / "old" / "adapter_model.safetensors"
    old = {key.replace("model.language_model.", "model."): value for key, value in load_file(path).items()}
    assert any(key.startswith("base_model.model.model.layers.0.") for key in old)
    save_file(old, path)
    config = json.loads((tmp_path / "old" / "adapter_config.json").read_text())
    config["target_modules"] = list(TARGETS)
    (tmp_path / "old" / "adapter_config.json").write_text(json.dumps(config))
    assert (vectors(qwen2, tmp_path / "old") == vectors(qwen2, adapter)).all()


def test_patterns_under_the_old_names_are_taken_too(adapter: Path, qwen2: Path, tmp_path: Path) -> None:
    """A scale of its own for a layer, which would silently be left out."""
    plain = vectors(qwen2, adapter)
    found = []
    for name, prefix in (("new", "model.language_model."), ("old", "model.")):
        folder = shutil.copytree(adapter, tmp_path / name)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["alpha_pattern"] = {f"{prefix}layers.0.self_attn.q_proj": 400, f"{prefix}layers.1.mlp.up_proj": 400}
        (folder / "adapter_config.json").write_text(json.dumps(config))
        found.append(vectors(qwen2, folder))
    assert (found[0] == found[1]).all() and (found[0] - plain).abs().max() > 1e-3


@pytest.mark.parametrize("change", [{"r": 2}, {"lora_alpha": None}, {"r": "many"}])
def test_a_configuration_that_does_not_fit_its_weights_is_an_error(
    adapter: Path, qwen2: Path, change: dict[str, Any]
) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError, match="adapter"):
        vectors(qwen2, adapter)


def test_an_adapter_that_says_what_it_was_trained_on_fits_nothing_else(
    adapter: Path, qwen2: Path, tmp_path: Path, tiny: Path
) -> None:
    """Another base of the same shape; and the same base in another precision is the same."""
    (adapter / "base.json").write_text(json.dumps({"digest": base_digest(Backbone.load(qwen2).model)}))
    vectors(qwen2, adapter)
    ReferenceEmbedder(str(qwen2), adapter=str(adapter)).setup(dtype="bfloat16")
    other = save_family(tmp_path / "other", "qwen2_vl", tiny / "tokenizer.json", seed=9)
    with pytest.raises(ModelError, match="trained on another base"):
        vectors(other, adapter)


def test_an_adapter_brings_the_rules_that_it_was_trained_under(adapter: Path, qwen2: Path) -> None:
    said = {"positions": "1d", "frame_max_pixels": 9000, "training_sets": ["somewhere"]}
    (adapter / "unite.json").write_text(json.dumps(said))
    embedder = ReferenceEmbedder(str(qwen2), adapter=str(adapter))
    assert embedder.card.settings["positions"] == "1d (adapter)" and embedder.card.training_sets is None
    assert embedder.card.settings["frame_pixels"].endswith("to 9000 (adapter)")
    given = ReferenceEmbedder(str(qwen2), adapter=str(adapter), positions="mrope")
    assert given.card.settings["positions"] == "mrope (given)"
    assert adapter / "unite.json" in embedder.weights()


def test_the_record_covers_it(adapter: Path, qwen2: Path) -> None:
    with_it = ReferenceEmbedder(str(qwen2), adapter=str(adapter))
    assert with_it.card.name == "reference:qwen2_vl+adapter"
    path = adapter / "adapter_model.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert with_it.card.settings["adapter"] == f"adapter, weights {digest[:12]}"
    before = fingerprint(with_it, "float32")
    assert before != fingerprint(ReferenceEmbedder(str(qwen2)), "float32")
    save_file({key: value * 2 for key, value in load_file(path).items()}, path)
    assert fingerprint(with_it, "float32") != before, "other weights under the same name"


def test_what_an_adapter_has_seen_is_unknown(adapter: Path, qwen2: Path, tmp_path: Path) -> None:
    base = shutil.copytree(qwen2, tmp_path / "base")
    (base / "unite.json").write_text(json.dumps({"training_sets": ["flags-train"]}))
    assert ReferenceEmbedder(str(base)).card.training_sets == {"flags-train"}
    assert ReferenceEmbedder(str(base), adapter=str(adapter)).card.training_sets is None


def test_an_adapter_of_another_base_is_an_error(adapter: Path, tiny: Path) -> None:
    with pytest.raises(ModelError, match=r"an adapter of another base: .* has \d+ inputs here and \d+ in the adapter"):
        ReferenceEmbedder(str(tiny), adapter=str(adapter)).setup()


def test_layers_that_are_not_there_are_an_error(adapter: Path, qwen2: Path) -> None:
    path = adapter / "adapter_model.safetensors"
    save_file({key.replace("layers.2.", "layers.9."): value for key, value in load_file(path).items()}, path)
    with pytest.raises(ModelError, match=r"no linear layer model\.language_model\.layers\.9\..*, and 13 more"):
        ReferenceEmbedder(str(qwen2), adapter=str(adapter)).setup()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"peft_type": "LOHA"}, "peft_type is 'LOHA'"),
        ({"modules_to_save": ["lm_head"]}, r"replaces whole layers \(lm_head\)"),
    ],
)
def test_what_is_no_plain_lora_is_an_error_before_anything_loads(
    adapter: Path, qwen2: Path, change: dict[str, Any], match: str
) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(ModelError, match=match):
        ReferenceEmbedder(str(qwen2), adapter=str(adapter)).card


def test_a_folder_that_is_no_adapter_is_an_error(qwen2: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"adapter_config\.json: no such file"):
        ReferenceEmbedder(str(qwen2), adapter=str(tmp_path)).card


def test_hub_names_that_differ_are_an_error(adapter: Path) -> None:
    from reference_model.adapters import check_adapter

    path = adapter / "adapter_config.json"
    of = {"base_model_name_or_path": "Qwen/Qwen2-VL-2B-Instruct"}
    path.write_text(json.dumps({**json.loads(path.read_text()), **of}))
    check_adapter(adapter, "Qwen/Qwen2-VL-2B-Instruct")
    check_adapter(adapter, "a-folder-of-any-name")
    with pytest.raises(ModelError, match=r"an adapter of Qwen/Qwen2-VL-2B-Instruct, not of Qwen/Qwen2-VL-7B-Instruct"):
        check_adapter(adapter, "Qwen/Qwen2-VL-7B-Instruct")


def test_without_peft_the_error_says_what_to_install(
    adapter: Path, qwen2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "peft":
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"pip install \"unite-bench\[train\]\""):
        Backbone.load(qwen2, adapter=adapter)
