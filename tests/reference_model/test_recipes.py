"""The recipes that are shipped: every one is valid and says what was published; launch configurations load; plans add up."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_folder import Ground, make_data

import reference_model
from reference_model import cost
from reference_model.__main__ import main
from reference_model.train.launching import autocast
from reference_model.train.material import manifest_rows
from reference_model.train.opening import open_rows
from reference_model.train.plan import Machine, plan_stage, setting_of, stage_estimate
from reference_model.train.recipe import Stage
from reference_model.train.recipe_reader import STAGES, Plan, read_recipe
from reference_model.train.run import train_stage
from unite_bench.errors import DataError, UsageError

RECIPES = Path(reference_model.__file__).parent / "recipes"
LARGE = ["qwen2-vl-2b", "qwen2-vl-7b"]
PROCESSES = {"": 8, "-one-gpu": 1, "-nodes": 64}
LAUNCH = sorted(path.name for path in (RECIPES / "accelerate").glob("*.yaml"))

# scripts/multi_gpu and scripts/multi_node of the published code: pairs of a step, over all GPUs.
BATCHES = {
    ("qwen2-vl-2b", "adaptation"): {"": 512, "-one-gpu": 512, "-nodes": 4096},
    ("qwen2-vl-2b", "instruction"): {"": 512, "-one-gpu": 512, "-nodes": 4096},
    ("qwen2-vl-7b", "adaptation"): {"": 128, "-one-gpu": 128, "-nodes": 1024},
    ("qwen2-vl-7b", "instruction"): {"": 512, "-one-gpu": 512, "-nodes": 1024},
}


def shipped(name: str, folder: Path) -> Plan:
    """The recipe, read as a user would whose manifests lie in `folder`."""
    for manifest in ("unite-adaptation.parquet", "unite-instruction.parquet"):
        (folder / manifest).touch()
    return read_recipe(RECIPES / f"{name}.yaml", data=folder, out=folder / "run")


def test_every_recipe_is_valid(tmp_path: Path) -> None:
    names = [path.stem for path in RECIPES.glob("*.yaml")]
    assert sorted(names) == sorted(["nano", *(name + size for name in LARGE for size in PROCESSES)])
    for name in names:
        plan = shipped(name, tmp_path)
        assert plan.recipe.name == name
        for stage in STAGES:
            plan.stage(stage)


@pytest.mark.parametrize("size", PROCESSES)
@pytest.mark.parametrize("name", LARGE)
def test_large_recipes_are_the_published_ones(name: str, size: str, tmp_path: Path) -> None:
    plan = shipped(name + size, tmp_path)
    recipe = plan.recipe
    assert recipe.base == f"Qwen/Qwen2-VL-{name[-2:].upper()}-Instruct"
    assert (recipe.max_length, recipe.frames.fps, recipe.frames.least, recipe.frames.most) == (2048, 1.0, 4, 12)
    assert recipe.visual.image == (256, 1280)
    assert (recipe.dtype, recipe.tf32, recipe.gradient_checkpointing) == ("bfloat16", True, True)
    for stage_name, alpha, rate in (("adaptation", 16, 1e-4), ("instruction", 64, 2e-5)):
        stage: Stage = plan.stage(stage_name)  # type: ignore[arg-type]
        assert (stage.lora.r, stage.lora.alpha, stage.lora.dropout) == (8, alpha, 0.05)
        assert (stage.rate, stage.weight_decay, stage.epochs) == (rate, 0, 1)
        assert (stage.schedule.kind, stage.schedule.warmup, stage.schedule.floor) == ("cosine", 0.03, 0)
        unmasked = (name, stage_name) == ("qwen2-vl-2b", "adaptation")
        loss = (stage.loss.temperature, stage.loss.mask, stage.loss.directions)
        assert loss == (0.03, not unmasked, "both" if unmasked else "forward")
        assert stage.batches.per_device * PROCESSES[size] == BATCHES[name, stage_name][size]
        assert stage.batches.accumulate == 1 and (stage.batches.chunk is not None) == (size == "-one-gpu")
    assert plan.start("adaptation") == plan.base
    assert plan.start("instruction") == str(plan.merged("adaptation"))


@pytest.mark.parametrize("name", LARGE)
def test_the_frame_budget_holds_and_clips_fit_the_prompt(name: str, tmp_path: Path) -> None:
    recipe = shipped(name, tmp_path).recipe
    assert recipe.visual.frames is not None
    most = recipe.visual.frames[1]
    assert most * 28 * 28 <= 240 * 320 < (most + 1) * 28 * 28
    assert recipe.frames.most // 2 * most < recipe.max_length


def test_nano_goes_on_from_its_backbone_as_it_was_trained(tmp_path: Path) -> None:
    from reference_model.nano.training import Recipe as Nano

    plan, nano = shipped("nano", tmp_path), Nano()
    assert Path(plan.base).name == "nano-backbone"
    for name in STAGES:
        stage = plan.stage(name)
        assert stage.lora.effective_weights and stage.loss.temperature == 0.03
        assert stage.data.draws is not None and stage.data.draws.seed == nano.seed
        assert stage.steps is not None and round(stage.schedule.warmup * stage.steps) == 60


def launched(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What `accelerate launch` makes of a configuration; the environment that its processes get is set."""
    from accelerate.commands import launch

    monkeypatch.setattr("accelerate.utils.launch.is_port_in_use", lambda port: False)  # whatever runs here
    path = str(RECIPES / "accelerate" / name)
    given = launch.launch_command_parser().parse_args(["--config_file", path, "train.py"])
    found, defaults, _ = launch._validate_launch_command(given)
    if found.use_deepspeed:
        found.deepspeed_fields_from_accelerate_config = ",".join([*defaults.deepspeed_config, "mixed_precision"])
        environment = launch.prepare_deepspeed_cmd_env(found)[1]
    elif found.multi_gpu or found.use_fsdp:
        environment = launch.prepare_multi_gpu_env(found)
    else:
        environment = launch.prepare_simple_launcher_cmd_env(found)[1]
    for key, value in environment.items():
        if os.environ.get(key) != value:
            monkeypatch.setenv(key, value)
    return found


@pytest.mark.parametrize("name", LAUNCH)
def test_launch_configurations_are_what_their_names_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = launched(name, monkeypatch)
    machines, processes = (8, 64) if name.startswith("nodes") else (1, 1 if name.startswith("one") else 8)
    assert (found.num_machines, found.num_processes) == (machines, processes)
    if zero := re.search(r"zero(\d)", name):
        from accelerate import DeepSpeedPlugin

        plugin = DeepSpeedPlugin()
        assert plugin.zero_stage == plugin.hf_ds_config.config["zero_optimization"]["stage"] == int(zero[1])
        assert plugin.hf_ds_config.config["gradient_accumulation_steps"] == "auto"
    elif "fsdp" in name:
        from accelerate import FullyShardedDataParallelPlugin
        from transformers.models.qwen2_vl import modeling_qwen2_vl

        wrapped = FullyShardedDataParallelPlugin()
        assert wrapped.fsdp_version == 2 and wrapped.reshard_after_forward
        assert wrapped.transformer_cls_names_to_wrap is not None
        assert all(hasattr(modeling_qwen2_vl, layer) for layer in wrapped.transformer_cls_names_to_wrap)
    else:
        assert found.multi_gpu == (processes > 1) and not found.use_deepspeed and not found.use_fsdp


@pytest.mark.parametrize("launcher", ["DeepSpeed", "FSDP"])
def test_the_gradient_cache_is_refused_where_it_would_train_nothing(
    ground: Ground, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{launcher.upper()}", "true")
    with pytest.raises(UsageError, match=f"does not work under {launcher}"):
        train_stage(ground.plan(stage={"batches": {"chunk": 4}}), "adaptation")


@pytest.mark.slow
@pytest.mark.parametrize("launch", ["8-gpus-zero1.yaml", "8-gpus-zero2.yaml"])
def test_deepspeed_has_the_losses_of_plain_data_parallelism(ground: Ground, launch: str) -> None:
    """Two processes on the CPU. DeepSpeed is in no extra of this package: install it to run this."""
    pytest.importorskip("deepspeed")
    ground.plan(stage={"batches": {"per_device": 4}, "lora": {"dropout": 0}}, gradient_checkpointing=True)
    for name in (launch, "8-gpus-ddp.yaml"):
        given = [
            "--config_file",
            str(RECIPES / "accelerate" / name),
            "--num_processes",
            "2",
            "--main_process_port",
            "0",
        ]
        asked = [str(ground.folder / "recipe.yaml"), "--stage", "adaptation", "--out", str(ground.folder / name)]
        call = [sys.executable, "-m", "accelerate.commands.launch", *given, "-m", "reference_model", "train", *asked]
        done = subprocess.run(call, capture_output=True, text=True, env={**os.environ, "DS_ACCELERATOR": "cpu"})
        assert done.returncode == 0, done.stderr[-2000:]
    assert ground.losses(launch) == pytest.approx(ground.losses("8-gpus-ddp.yaml"), rel=1e-4)


def test_no_weight_is_a_scalar_which_deepspeed_cannot_send() -> None:
    import torch

    from reference_model.train.encoder import Encoder

    encoder = Encoder(torch.nn.Identity(), None, 10, 0.03, True, None)  # type: ignore[arg-type]
    assert all(weight.dim() for weight in encoder.parameters())
    assert encoder.temperature.dim() == 0 and encoder.temperature.item() == pytest.approx(0.03)


@pytest.mark.parametrize("name", LARGE)
def test_recipes_name_launch_configurations_that_exist(name: str) -> None:
    for size in PROCESSES:
        text = (RECIPES / f"{name}{size}.yaml").read_text(encoding="utf-8")
        (launch,) = re.findall(r"recipes/accelerate/(\S+)", text)
        assert launch in LAUNCH
        assert f"recipes/{name}{size}.yaml" in text


@pytest.fixture()
def ground(tiny: Path, tmp_path: Path) -> Ground:
    return Ground(make_data(tmp_path / "data"), tiny, tmp_path)


def test_a_plan_has_the_steps_and_tokens_of_the_run(ground: Ground) -> None:
    plan = ground.plan(stage={"steps": None, "epochs": 2.0})
    found, statistics, counted = stage_estimate(plan, "adaptation", Machine())
    from reference_model.curation.manifest import read_manifest

    manifest = read_manifest(plan.data / "pairs.parquet")
    material = manifest_rows([manifest], None, size=8, least=2, mode="mixed", seed=0, epochs=2.0, batches=None)
    assert (found.steps, found.pairs) == (len(material), 2 * len(manifest))
    assert found.items == 2 * (2 * len(manifest) + 8)
    assert "tokenizer" in counted and statistics.unreadable == 0
    assert sum(statistics.distinct.values()) == 9  # eight pictures and a clip
    assert found.memory.weights == 4 * cost.ModelShape.of(ground.base).parameters


@pytest.mark.parametrize("mode", ["mixed", "homogeneous"])
@pytest.mark.parametrize(("epochs", "per_device", "devices"), [(1.0, 8, 1), (3.0, 11, 1), (1.5, 5, 2)])
def test_a_plan_counts_the_batches_that_the_run_has(
    ground: Ground, mode: str, epochs: float, per_device: int, devices: int
) -> None:
    """A rest of one row fills no batch, each modality set has a rest of its own, half an epoch is half of its batches."""
    stage = {"steps": None, "epochs": epochs, "batches": {"per_device": per_device, "mode": mode, "accumulate": 2}}
    plan = ground.plan(stage=stage)
    rows = open_rows(plan, "adaptation", devices)
    found, _, _ = stage_estimate(plan, "adaptation", Machine(devices))
    assert found.steps == -(-len(rows) // 2)
    assert found.pairs == pytest.approx(sum(map(len, rows.order.batches)))


def test_features_on_disk_are_told_where_they_are_kept(ground: Ground) -> None:
    for cached in (True, False):
        plan = ground.plan(cache_features=cached)
        found, statistics, _ = stage_estimate(plan, "adaptation", Machine())
        shape = cost.ModelShape.of(ground.base)
        tokens = sum(count * grid.tokens(shape.vision.merge) for grid, count in statistics.distinct.items())
        assert found.disk == cached * tokens * shape.language.width * 2
        assert ("cache_features is off" in "\n".join(plan_stage(plan, "adaptation"))) is not cached


def test_bf16_is_taken_where_the_device_is_fast_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, fast in (({}, False), ({"avx512_bf16": False, "avx2": True}, False), ({"amx_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda told=told: told, raising=False)
        assert autocast(None, "float32") is fast
        assert autocast(True, "float32") and not autocast(False, "float32") and not autocast(None, "bfloat16")


def test_a_plan_reads_the_rows_of_its_stage_and_the_recipes_precision(ground: Ground) -> None:
    stage = {"data": {"manifests": ["pairs.parquet"]}}
    _, adaptation, _ = stage_estimate(ground.plan(stage=stage), "adaptation", Machine())
    assert adaptation.rows == 23
    with pytest.raises(DataError, match="0 rows of stage 'instruction' fill no batch"):  # all are of the first stage
        plan_stage(ground.plan(stage=stage), "instruction")
    for dtype, products, told in (
        ("bfloat16", True, ("bfloat16", 2)),
        ("float32", True, ("autocast", 4)),
        ("float32", False, ("float32", 4)),
    ):
        plan = ground.plan(dtype=dtype, autocast=products)
        setting = setting_of(plan.recipe, plan.stage("adaptation"), Machine())
        assert (setting.precision, setting.weight_bytes) == told


def test_a_plan_of_drawn_pairs_renders_little_and_keeps_nothing(ground: Ground) -> None:
    draws = {
        "sets": {"scenes-adaptation": 1.0},
        "sizes": {"stills": 400, "movings": 8, "still_edits": 8, "clip_edits": 8, "fused": 8},
    }
    plan = ground.plan(stage={"data": {"draws": draws}, "steps": 5})
    found, statistics, _ = stage_estimate(plan, "adaptation", Machine())
    assert (found.steps, found.pairs) == (5, 40)
    assert sum(statistics.distinct.values()) > 400
    assert not plan.work.exists()


def test_the_command_prints_a_plan_and_trains_nothing(
    ground: Ground, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ground.plan()
    recipe = str(ground.folder / "recipe.yaml")
    asked = ["train", recipe, "--stage", "adaptation", "--plan", "--devices", "2", "--device", "100,24"]
    assert main([*asked, "--sharding", "zero1", "--utilisation", "0.5"]) == 0
    said = capsys.readouterr().out
    for part in ("6 of 16 pairs on 2 devices", "23 rows, 23 of them measured", "50% (assumed) of 100 TFLOP/s"):
        assert part in said
    assert not plan.out.exists()
    assert main([*asked[:-1], "abacus"]) == 1
    assert "none of a100-40gb" in capsys.readouterr().err
    for wrong, said in (
        (["--devices", "8"], "--devices: of the plan"),
        (["--plan", "--devices", "0"], "--devices is 1 or more"),
        (["--plan", "--utilisation", "0"], "--utilisation a share above 0"),
    ):
        assert main(["train", recipe, "--stage", "adaptation", *wrong]) == 1
        assert said in capsys.readouterr().err


def test_a_base_that_is_not_here_is_planned_by_its_published_sizes(ground: Ground, tmp_path: Path) -> None:
    text = (RECIPES / "qwen2-vl-7b.yaml").read_text(encoding="utf-8").replace("unite-adaptation", "pairs")
    (tmp_path / "seven.yaml").write_text(text, encoding="utf-8")
    plan = read_recipe(tmp_path / "seven.yaml", data=ground.data, stages=["adaptation"])
    said = "\n".join(plan_stage(plan, "adaptation", Machine(8, cost.device_of("a100-80gb"), "zero1")))
    assert "weights 15.44 GiB" in said and "estimated from characters" in said
    assert np.isfinite(stage_estimate(plan, "adaptation", Machine(8, cost.device_of("h100")))[0].gpu_hours or np.nan)
