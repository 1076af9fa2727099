"""The published training code's defects (by the numbers of its list), each with a test that fails where it is.

| defect | test |
|---|---|
| 1. stages that cannot start | here |
| 2. the mask lost from candidate to query | test_mamcl.py: test_loss_is_that_of_the_double_loop_in_both_directions |
| 3. explicit negatives never masked | test_mamcl.py: test_explicit_negatives_are_masked_too |
| 4. repeated targets as negatives | test_mamcl.py: test_repeated_targets_are_never_negatives; here: known by content |
| 5. gathers without gradient, no gradient cache | test_gathering.py; here: whole training, 2 processes |
| 6. similarities in bf16 | test_mamcl.py: test_similarities_are_fp32_under_autocast; here: vectors of a bf16 model |
| 11. bad data replaced by another sample | here |
| 14. stage 2 not from stage 1 | test_trainer.py: test_the_second_stage_goes_on_from_the_first... |
| 15. no evaluation | here |
| 16. LoRA on the vision MLP | here |
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as multiprocessing
from safetensors.torch import load_file
from training_folder import PICTURES, TASK, Ground, make_data, picture, rows, text
from transformers import TrainerState

from reference_model.backbone import Backbone
from reference_model.curation.rows import Row
from reference_model.prompt import render
from reference_model.train.adapters import add_adapters, trained
from reference_model.train.bad_rows import BadRows
from reference_model.train.batch import Batch, prepare_batch
from reference_model.train.encoder import Encoder
from reference_model.train.material import Example
from reference_model.train.media import AnyMedia
from reference_model.train.objective import Objective, summary
from reference_model.train.pairs import Pair
from reference_model.train.recipe import Frames, Lora, Loss
from reference_model.train.recipe_reader import read_recipe
from reference_model.train.run import train_stage
from reference_model.train.watching import Log
from unite_bench.errors import DataError
from unite_bench.items import File, Image, Item


@pytest.fixture()
def ground(tiny: Path, tmp_path: Path) -> Ground:
    return Ground(make_data(tmp_path / "data"), tiny, tmp_path)


def batch_of(ground: Ground, given: list[Row], dtype: str = "float32") -> tuple[Batch, Backbone]:
    backbone = Backbone.load(ground.base, dtype=dtype)
    examples = [Example(row.id, Pair(row.query, row.target, row.negatives, row.unmasked), row.both) for row in given]
    return prepare_batch(0, examples, backbone, AnyMedia(backbone.preprocessing, Frames(), None)), backbone


def test_1_and_15_both_stages_run_and_are_scored_by_the_harness(ground: Ground) -> None:
    """Stage 2 and the masked stage 1 could not start, and no evaluation was ever released."""
    lines = "".join(json.dumps({"asked": f"words {n}", "said": f"picture {n}"}) + "\n" for n in range(6))
    (ground.folder / "rows.jsonl").write_text(lines)
    (ground.folder / "own.yaml").write_text(TASK)
    (ground.folder / "suite.yaml").write_text("name: quick\ntitle: One task\ntasks: [own.yaml]\n")
    asked = {"suite": "suite.yaml", "steps": 2}  # named from the recipe's folder
    plan = ground.plan(stage={"steps": 2, "evaluation": asked})
    train_stage(plan, "adaptation")
    train_stage(plan, "instruction")
    for stage in ("adaptation", "instruction"):
        (scores,) = [row["validation"] for row in ground.log(stage=stage) if "validation" in row]
        assert set(scores) == {"own", "mean"} and 0 <= scores["own"] <= 1
        assert len(list((ground.folder / "run" / stage / "results").rglob("*.json"))) == 1
        assert len(ground.losses(stage=stage)) == 2, "a step that is scored has its loss in the log as well"


def test_4_a_repeated_target_is_known_by_its_content(ground: Ground) -> None:
    """Two labels that are one text, two files that are one picture: no row has the other's target as a negative."""
    shutil.copy(ground.data / "0.png", ground.data / "copy.png")
    copied = Item((Image(File(ground.data / "copy.png")),))
    targets = [text("label"), text("label"), picture(ground.data, 0), copied]
    given = [Row(f"r:{n}", "r", text(f"query {n}"), target) for n, target in enumerate(targets)]
    batch, _ = batch_of(ground, given)
    assert summary(Objective(Loss()).describe(torch.empty(len(batch.sets), 0), batch))["rows without negatives"] == 4
    contents = batch.contents[batch.candidates].tolist()
    assert contents[0] == contents[1] != contents[2] == contents[3]


def test_6_the_loss_gets_fp32_vectors_from_a_bf16_model(ground: Ground) -> None:
    batch, backbone = batch_of(ground, rows(ground.data)[:4], "bfloat16")
    adapted = add_adapters(backbone.model, Lora(r=2, dropout=0.0), seed=0)
    encoder = Encoder(adapted, backbone, 300, 0.03, False, None)
    vectors = encoder(batch.prompts, batch.media)
    assert vectors.dtype == torch.float32
    assert Objective(Loss()).loss(vectors, encoder.temperature, batch).dtype == torch.float32
    assert (vectors.norm(dim=-1) - 1).abs().max() < 1e-6


def test_11_a_bad_row_is_listed_and_left_out_and_no_other_takes_its_place(ground: Ground) -> None:
    whole = (ground.data / "3.png").read_bytes()
    (ground.data / "3.png").write_bytes(b"no picture")
    (ground.data / "5.png").unlink()
    everything = {"steps": None, "epochs": 1, "batches": {"per_device": 23}, "log_steps": 10}
    with pytest.raises(DataError, match="max_bad_rows is 3"):
        train_stage(ground.plan("strict", everything, max_bad_rows=3), "adaptation")
    train_stage(ground.plan("run", everything, max_bad_rows=4), "adaptation")
    (row,) = [row for row in ground.log() if "loss" in row]
    assert row["rows"] == 23 - 4 and row["negatives image"] == PICTURES - 2 - 1
    listed = [json.loads(line) for line in (ground.folder / "run/adaptation/bad-rows.jsonl").read_text().splitlines()]
    assert sorted(entry["row"] for entry in listed) == ["a:3", "a:5", "b:3", "b:5"]
    assert all(entry["row"][2] + ".png" in entry["reason"] for entry in listed)
    (ground.data / "3.png").write_bytes(whole)
    train_stage(ground.plan("strict", everything, max_bad_rows=2), "adaptation")  # two of the four are mended


def test_a_row_that_is_too_long_is_a_bad_row_and_nothing_of_it_is_encoded(ground: Ground) -> None:
    backbone = Backbone.load(ground.base)
    backbone.settings = replace(backbone.settings, max_length=len(backbone.prepare(render(text("seen")), [])))
    given = [Example("z:8", Pair(text("seen"), text("one")), False)]
    given.append(Example("z:9", Pair(text("else"), picture(ground.data, 0)), False))
    batch = prepare_batch(0, given, backbone, AnyMedia(backbone.preprocessing, Frames(), None))
    ((row, reason),) = batch.bad
    assert row == "z:9" and "visual and template tokens alone exceed max_length" in reason
    assert batch.rows == ("z:8",) and len(batch.prompts) == len(batch.media) == len(batch.contents) == 2


def test_bad_rows_of_batches_that_come_again_are_forgotten(tmp_path: Path) -> None:
    """And a line that a kill has torn is none."""
    lines = [json.dumps({"row": f"a:{batch}", "batch": batch, "reason": "torn"}) + "\n" for batch in (1, 2, 5)]
    (tmp_path / "bad-rows.jsonl").write_text("".join(lines) + lines[0][:-9], encoding="utf-8")
    assert set(BadRows(tmp_path, limit=3, first=4).reasons) == {"a:1", "a:2"}
    assert (tmp_path / "bad-rows.jsonl").read_text(encoding="utf-8") == "".join(lines[:2])


def test_a_kill_while_notes_are_rewritten_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, log = tmp_path / "bad-rows.jsonl", tmp_path / "training.jsonl"
    bad.write_text('{"row": "a:1", "batch": 1, "reason": "torn"}\n{"row": "a:2", "batch": 9, "reason": "torn"}\n')
    log.write_text('{"step": 1, "seconds": 1.0}\n{"step": 2, "seconds": 2.0}\n')
    before = bad.read_text(), log.read_text()

    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        BadRows(tmp_path, limit=3, first=4)
    with pytest.raises(KeyboardInterrupt):
        Log(log, "adaptation").on_train_begin(None, TrainerState(global_step=1), None)  # type: ignore[arg-type]
    assert (bad.read_text(), log.read_text()) == before


@pytest.mark.parametrize("kind", ["Qwen2VL", "Qwen2_5_VL", "Qwen3VL"])
def test_16_adapters_are_on_every_linear_layer_of_the_language_model_and_nowhere_else(kind: str) -> None:
    import transformers

    text_config = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    text_config |= {"num_key_value_heads": 1, "vocab_size": 64, "head_dim": 16}
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "out_hidden_size": 32}
    config = getattr(transformers, f"{kind}Config")(text_config=text_config, vision_config=vision)
    with torch.device("meta"):
        model = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
        adapted = add_adapters(model, Lora(), seed=0)
    names = [name for name, _ in trained(adapted)]
    assert len(names) == 2 * 7 * 2  # A and B, seven layers a block, two blocks
    assert all(".language_model.layers." in name for name in names)


def one_rank(rank: int, world: int, port: int, recipes: list[Path]) -> None:
    torch.set_num_threads(1)
    named = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    named |= {"TORCHELASTIC_USE_AGENT_STORE": True, "TORCHELASTIC_RESTART_COUNT": 0}  # as torchrun has it
    os.environ.update({key: str(value) for key, value in named.items()})
    for recipe in recipes:
        assert (train_stage(read_recipe(recipe), "adaptation") / "config.json").exists(), "the first has written it"
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_5_two_processes_train_as_one_does(ground: Ground) -> None:
    """The same batches, halved: the losses and adapters of one process, with the gradient cache and without it, after three
    steps, the last of them on an uneven batch."""
    stage: dict[str, Any] = {"steps": None, "epochs": 1, "lora": {"dropout": 0}, "checkpoints": {"steps": 50}}
    train_stage(ground.plan("one", {**stage, "batches": {"per_device": 10}}), "adaptation")
    assert len(ground.losses("one")) == 3
    recipes = []
    for out, chunk in (("plain", None), ("cached", 3)):
        ground.plan(out, {**stage, "batches": {"per_device": 5, "chunk": chunk}})
        recipes.append((ground.folder / "recipe.yaml").rename(ground.folder / f"{out}.yaml"))
    meeting = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    multiprocessing.spawn(one_rank, (2, meeting.port, recipes), nprocs=2)
    expected = load_file(ground.folder / "one/adaptation/adapter/adapter_model.safetensors")
    for out in ("plain", "cached"):
        assert ground.losses(out) == pytest.approx(ground.losses("one"), abs=1e-5)
        found = load_file(ground.folder / out / "adaptation/adapter/adapter_model.safetensors")
        assert all((found[name] - weight).abs().max() < 1e-4 for name, weight in expected.items())
