"""Estimates are held to what they estimate: parameters and FLOPs to torch's, activations to what autograd saves."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_model import clip, picture

from reference_model import cost
from reference_model.backbone import prepare
from reference_model.cost import memory
from reference_model.cost.flops import Adapters, language_backward, language_forward, vision_forward
from reference_model.cost.shapes import VISION_DEFAULTS
from reference_model.curation.rows import Row
from reference_model.preprocess import Grid, Preprocessing
from reference_model.prompt import render
from unite_bench.errors import ModelError, UsageError
from unite_bench.items import File, Image, Item, Text

CHECKPOINTS = Path(cost.__file__).parents[1] / "checkpoints"
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
VISION = {
    "qwen2_vl": {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 4},
    "qwen2_5_vl": {"depth": 3, "hidden_size": 32, "intermediate_size": 44, "out_hidden_size": 64, "num_heads": 2},
    "qwen3_vl": {"depth": 3, "hidden_size": 32, "intermediate_size": 44, "out_hidden_size": 64, "num_heads": 2},
}
MORE = {
    "qwen2_vl": {},
    "qwen2_5_vl": {"fullatt_block_indexes": [1]},
    "qwen3_vl": {"num_position_embeddings": 16, "deepstack_visual_indexes": [0, 1]},
}


def tiny_config(family: str, **sizes: Any) -> Any:
    from transformers import AutoConfig

    text: dict[str, Any] = {
        "vocab_size": 100,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4},
        "bos_token_id": 0,
        "eos_token_id": 0,
        **({"head_dim": 24} if family == "qwen3_vl" else {}),
        **sizes,
    }
    if family == "qwen3_vl":
        text["rope_parameters"]["mrope_section"] = [4, 4, 4]
    return AutoConfig.for_model(
        family,
        text_config=text,
        vision_config=VISION[family] | MORE[family],
        tie_word_embeddings=family != "qwen2_5_vl",
    )


def tiny(family: str, attention: str = "eager", dtype: torch.dtype = torch.float32, **sizes: Any) -> Any:
    from transformers import AutoModelForImageTextToText

    config = tiny_config(family, **sizes)
    return AutoModelForImageTextToText.from_config(config, attn_implementation=attention, dtype=dtype)


def adapted(model: Any, dropout: float = 0.05) -> Any:
    """The language model with LoRA of rank 4, in fp32 as peft keeps it; all else frozen."""
    from peft import LoraConfig, inject_adapter_in_model

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    config = LoraConfig(r=4, target_modules=targets, lora_dropout=dropout)
    found = inject_adapter_in_model(config, model.model.language_model)
    for name, parameter in found.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_" in name:
            parameter.data = parameter.data.float()
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_and_flops_are_those_of_the_model(family: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = tiny(family)
    shape = cost.ModelShape.from_config(model.config.to_dict())
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shape.vision.parameters == sum(parameter.numel() for parameter in model.model.visual.parameters())

    grid = Grid(2, 10, 12)
    with FlopCounterMode(display=False) as seen, torch.no_grad():
        patches = torch.randn(grid.patches, shape.vision.patches.inputs)
        model.model.visual(patches, grid_thw=torch.tensor([[grid.time, grid.rows, grid.columns]]))
    assert vision_forward(shape.vision, grid) == pytest.approx(seen.get_total_flops(), rel=0.01)

    lora = adapted(model)
    assert shape.lora_parameters(4) == sum(p.numel() for p in lora.parameters() if p.requires_grad)
    given = {"inputs_embeds": torch.randn(2, 40, 64), "position_ids": torch.arange(40).expand(2, -1)}
    with FlopCounterMode(display=False) as forward:
        states = lora(**given, use_cache=False).last_hidden_state
    with FlopCounterMode(display=False) as backward:
        states[:, -1].square().sum().backward()
    counted = language_forward(shape.language, {40: 2}, Adapters(4))
    assert counted == pytest.approx(forward.get_total_flops(), rel=0.01)
    counted = language_backward(shape.language, {40: 2}, Adapters(4))
    assert counted == pytest.approx(backward.get_total_flops(), rel=0.01)


def test_effective_weights_cost_a_full_backward_pass() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from reference_model.study.lora import add_lora

    model = tiny("qwen2_vl")
    shape = cost.ModelShape.from_config(model.config.to_dict()).language
    add_lora(model, 2, 2.0)
    given = {"inputs_embeds": torch.randn(2, 200, 64), "position_ids": torch.arange(200).expand(2, -1)}
    with FlopCounterMode(display=False) as forward:
        states = model.model.language_model(**given, use_cache=False).last_hidden_state
    with FlopCounterMode(display=False) as backward:
        states[:, -1].square().sum().backward()
    adapters = Adapters(2, effective=True)
    assert language_forward(shape, {200: 2}, adapters) == pytest.approx(forward.get_total_flops(), rel=0.02)
    assert language_backward(shape, {200: 2}, adapters) == pytest.approx(backward.get_total_flops(), rel=0.02)


def test_published_checkpoints_have_their_published_sizes() -> None:
    assert cost.ModelShape.of("Qwen/Qwen2-VL-2B-Instruct").parameters == 2_208_985_600
    assert cost.ModelShape.of("Qwen/Qwen2-VL-7B-Instruct").parameters == 8_291_375_616


def test_nano_has_the_parameters_of_its_file() -> None:
    from safetensors import safe_open

    with safe_open(CHECKPOINTS / "nano" / "model.safetensors", "pt") as held:
        counted = sum(int(torch.tensor(held.get_slice(name).get_shape()).prod()) for name in held.keys())  # noqa: SIM118
    assert cost.ModelShape.of(CHECKPOINTS / "nano").parameters == counted


@pytest.mark.parametrize("family", FAMILIES)
def test_sizes_that_a_config_leaves_out_are_those_of_transformers(family: str) -> None:
    from transformers import AutoConfig

    vision = AutoConfig.for_model(family).vision_config.to_dict()
    for key, value in VISION_DEFAULTS[family].items():
        assert (tuple(vision[key]) if isinstance(value, tuple) else vision[key]) == value, key


def test_a_config_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config.json there.*Qwen/Qwen2-VL-2B-Instruct"):
        cost.ModelShape.of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="model_type is 'bert', which is no backbone"):
        cost.ModelShape.of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl", "hidden_size": 8}))
    with pytest.raises(ModelError, match="intermediate_size, num_hidden_layers"):
        cost.ModelShape.of(tmp_path)


def test_a_device_is_named_or_given() -> None:
    assert cost.device_of("165,24") == cost.Device("165,24", 165e12, 24e9, "as given")
    for wrong in ("abacus", "165", "165,0"):
        with pytest.raises(UsageError, match=wrong):
            cost.device_of(wrong)


def saved(model: Any, tokens: int, autocast: bool) -> int:
    """Bytes of the tensors that autograd keeps of a forward pass over 2 items, weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held: dict[int, int] = {}
    kept = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)  # or its address might be given to another
        return tensor

    given = torch.randn(2, tokens, 256, dtype=next(model.parameters()).dtype)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", enabled=autocast):
        model(inputs_embeds=given, position_ids=torch.arange(tokens).expand(2, -1), use_cache=False)
    return sum(held.values())


@pytest.mark.parametrize("precision", ["autocast", "bfloat16", "float32"])
@pytest.mark.parametrize("dropout", [0.05, 0.0])
def test_activations_are_what_autograd_keeps(precision: memory.Precision, dropout: float) -> None:
    sizes = {"hidden_size": 256, "intermediate_size": 640, "num_hidden_layers": 6}
    sizes |= {"rope_parameters": {"rope_type": "default", "mrope_section": [8, 12, 12], "rope_theta": 1e4}}
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    model = tiny("qwen2_vl", "sdpa", dtype, **sizes)
    shape = cost.ModelShape.from_config(model.config.to_dict()).language
    lora = adapted(model, dropout).train()
    more = saved(lora, 96, precision == "autocast") - saved(lora, 32, precision == "autocast")
    assert memory.activations(shape, 2 * 64, precision, dropout > 0, False) == pytest.approx(more, rel=0.05)


def test_checkpointing_keeps_each_layers_input() -> None:
    shape = cost.ModelShape.of("Qwen/Qwen2-VL-2B-Instruct").language
    kept = memory.activations(shape, 1000, "autocast", True, True)
    layer = memory.activations(replace(shape, layers=1), 1000, "autocast", True, False)
    assert kept == 28 * 1536 * 2 * 1000 + layer


def test_sharding_divides_what_it_says() -> None:
    shape = cost.ModelShape.of("Qwen/Qwen2-VL-7B-Instruct")
    whole = memory.standing(shape, 8, 2, "ddp", 8)
    assert memory.standing(shape, 8, 2, "zero1", 8) == (*whole[:3], whole[3] / 8)
    assert memory.standing(shape, 8, 2, "zero2", 8) == (*whole[:2], whole[2] / 8, whole[3] / 8)
    weights, *trained = memory.standing(shape, 8, 2, "fsdp", 8)
    assert trained == [size / 8 for size in whole[1:]]
    assert weights == whole[0] / 8 + 2 * shape.language.layer_parameters * 2


BUDGET = Preprocessing(patch=20, merge=2, min_pixels=90**2, max_pixels=120**2)


def rows() -> list[Row]:
    """Six rows over three pictures and two clips; the last one counts twice."""
    found = []
    for number in range(6):
        target = Item((picture(number % 3),)) if number < 4 else Item((clip(number % 2, 5),))
        negatives = (Item((Text("another"),)),) if number == 0 else ()
        query = Item((Text("what is here"),), "find it")
        found.append(Row(f"a:{number}", "a", query, target, negatives, weight=2.0 if number == 5 else 1.0))
    return found


def test_tokens_are_those_of_the_prompts_that_are_trained_on(tiny: Path) -> None:
    from reference_model.backbone import Settings, load_tokenizer
    from reference_model.preprocess import patches
    from unite_bench import media

    tokenizer = load_tokenizer(tiny)
    found = cost.measure(rows(), cost.Reading(cost.by_tokenizer(tokenizer), BUDGET, max_length=160))
    lengths: dict[int, float] = {}
    visual = 0.0
    for row in rows():
        for item in (row.query, row.target, *row.negatives):
            shown = [
                media.pixels(part)[None] if isinstance(part, Image) else media.frames(part).pixels
                for part in item.parts
                if not isinstance(part, Text)
            ]
            grids = [patches(pixels, BUDGET)[1] for pixels in shown]
            made = prepare(render(item), grids, tokenizer, BUDGET.merge, Settings(max_length=160))
            lengths[len(made)] = lengths.get(len(made), 0) + row.weight
            visual += row.weight * int(made.visual.sum())
    assert found.lengths == lengths
    assert (found.visual_tokens, found.tokens) == (visual, sum(length * count for length, count in lengths.items()))
    assert (found.rows, found.pairs, found.items) == (6, 7, 15)
    assert sum(found.distinct.values()) == 5 and sum(found.used.values()) == 7


def test_rows_that_are_not_measured_are_stood_for_by_those_that_are(tmp_path: Path) -> None:
    every = cost.measure(rows() * 3, cost.Reading(cost.by_characters, BUDGET))
    third = cost.measure(rows() * 3, cost.Reading(cost.by_characters, BUDGET, every=5))
    assert (third.measured, third.rows, third.pairs) == (4, 18, 21)
    assert third.items == pytest.approx(every.items, rel=0.15)
    assert sum(third.distinct.values()) == sum(every.distinct.values()) == 5
    lost = Row("a:9", "a", Item((Image(File(tmp_path / "lost.png")),)), Item((Text("gone"),)))
    assert cost.measure([lost], cost.Reading(cost.by_characters)).unreadable == 1


def test_an_estimate_follows_from_its_parts() -> None:
    shape = cost.ModelShape.of("Qwen/Qwen2-VL-2B-Instruct")
    statistics = cost.measure(rows(), cost.Reading(cost.by_characters))
    plain = cost.Setting(per_device=2, devices=2, checkpointing=False)
    device = cost.device_of("h100")
    one = cost.estimate(statistics, shape, plain, device)
    assert (one.steps, one.batch, one.pairs) == (2, 4, 7)
    assert one.seconds == one.flops / (device.peak * cost.UTILISATION * 2)
    assert one.gpu_hours == pytest.approx(one.seconds * 2 / 3600)
    two = cost.estimate(statistics, shape, replace(plain, epochs=2.0), device)
    assert two.language_flops == 2 * one.language_flops and two.feature_flops == one.feature_flops
    shown = cost.estimate(statistics, shape, replace(plain, epochs=2.0, cached=False), device)
    assert shown.feature_flops == pytest.approx(2 * 7 / 5 * one.feature_flops, rel=0.3)
    forward = language_forward(shape.language, statistics.lengths, Adapters(8))
    cached = cost.estimate(statistics, shape, replace(plain, chunk=1, checkpointing=True), device)
    assert cached.language_flops == pytest.approx(one.language_flops + 2 * forward)
    assert cached.memory.activations < one.memory.activations
    by_steps = cost.estimate(statistics, shape, replace(plain, steps=7, epochs=None), device)
    assert by_steps.pairs == 28


def test_every_assumption_is_shown() -> None:
    statistics = cost.measure(rows(), cost.Reading(cost.by_characters))
    shape = cost.ModelShape.of("Qwen/Qwen2-VL-7B-Instruct")
    small = cost.Device("small", 1e12, 8e9, "a test")
    said = "\n".join(cost.lines(cost.estimate(statistics, shape, cost.Setting(), small, 0.2)))
    for part in ("small reaches 20% (assumed) of 1 TFLOP/s (a test)", "reserve 2.00 GiB (assumed)", "does not fit"):
        assert part in said
    assert "name a device by --device" in cost.lines(cost.estimate(statistics, shape, cost.Setting()))[-1]


def test_estimates_need_no_torch() -> None:
    script = "import sys, reference_model.cost; print(sorted({'torch', 'transformers', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
