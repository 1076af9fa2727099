"""Bad input of a training run: a clear error, before the first step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file
from training_folder import Ground, make_data, rows, save_manifest, text

from reference_model.__main__ import main
from reference_model.adapters import base_digest
from reference_model.backbone import Backbone
from reference_model.curation.rows import Row
from reference_model.preprocess import Grid
from reference_model.train import feature_store
from reference_model.train.adapters import add_adapters, save_adapters
from reference_model.train.feature_store import FeatureStore, Ready
from reference_model.train.opening import open_rows
from reference_model.train.recipe import Lora
from reference_model.train.run import train_stage
from reference_model.train.trainer import ContrastiveTrainer
from unite_bench.errors import DataError, ModelError, UniteBenchError, UsageError


@pytest.fixture()
def ground(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """No step may be taken here."""

    def never(*given: object, **named: object) -> torch.Tensor:
        raise AssertionError("a step was taken")

    monkeypatch.setattr(ContrastiveTrainer, "training_step", never)
    shutil.copytree(tiny, tmp_path / "base")
    return Ground(make_data(tmp_path / "data"), tmp_path / "base", tmp_path)


def refused(ground: Ground, kind: type[UniteBenchError], said: str, **recipe: object) -> None:
    with pytest.raises(kind, match=said):
        train_stage(ground.plan(**recipe), "adaptation")


def test_a_checkpoint_that_cannot_be_read(ground: Ground) -> None:
    (ground.base / "model.safetensors").write_bytes(b"torn")
    refused(ground, ModelError, "not a checkpoint that Qwen2-VL can load")


def test_a_tokenizer_without_the_vision_tokens(ground: Ground) -> None:
    path = ground.base / "tokenizer.json"
    raw = path.read_text(encoding="utf-8").replace("<|image_pad|>", "<|other|>")
    path.write_text(raw, encoding="utf-8")
    refused(ground, ModelError, r"lacks <\|image_pad\|>")


@pytest.mark.parametrize("words", ["see <|image_pad|> here", "<|IMAGE|> and more", "<|im_end|>"])
def test_texts_whose_placeholders_do_not_match_their_media(ground: Ground, words: str) -> None:
    given = [*rows(ground.data), Row("z:9", "z", text("fine"), text("fine"), (text(words),))]
    save_manifest(ground.data / "pairs.parquet", ground.data, given)
    refused(ground, DataError, r"z:9 \(negatives: <\|")


def test_what_is_wrong_with_data_is_told_at_once_and_before_weights_are_read(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference_model.train.run.open_backbone", None)
    broken = ["torn.parquet", "other.parquet"]
    (ground.data / broken[0]).write_bytes(b"torn")
    pq.write_table(pa.table({"a": [1]}), ground.data / broken[1])
    with pytest.raises(DataError) as told:
        train_stage(ground.plan(stage={"data": {"manifests": broken, "rows": "all"}}), "adaptation")
    assert "torn.parquet: cannot be read" in str(told.value) and "other.parquet: a Parquet file, but no" in str(
        told.value
    )
    marked = [*rows(ground.data), Row("z:9", "z", text("<|im_end|>"), text("fine"), weight=float("nan"))]
    save_manifest(ground.data / "pairs.parquet", ground.data, marked)
    with pytest.raises(DataError, match=r"(?s)z:9 \(query: <\|im_end.*1 weights are negative or no numbers"):
        train_stage(ground.plan(), "adaptation")


def test_a_row_that_is_no_item_names_manifest_and_place(ground: Ground) -> None:
    table = pq.read_table(ground.data / "pairs.parquet")
    at = table.schema.get_field_index("query")
    broken = table.set_column(at, "query", pa.array(["{}", *table["query"].to_pylist()[1:]]))
    pq.write_table(broken.replace_schema_metadata(table.schema.metadata), ground.data / "pairs.parquet")
    found = open_rows(ground.plan(), "adaptation", 1)
    with pytest.raises(DataError, match=r"pairs\.parquet, row 0: not the JSON of an item"):
        [found.examples(number, 0, 1) for number in range(len(found))]


@pytest.mark.slow
def test_workers_pass_more_tensors_than_a_process_may_open_files(tiny: Path, tmp_path: Path) -> None:
    """Each takes a descriptor by torch's own choice; the run would wait for ever."""
    ground = Ground(make_data(tmp_path / "data"), tiny, tmp_path)
    many = [row for n in range(12) for row in (replace(one, id=f"{one.id}-{n}") for one in rows(ground.data))]
    save_manifest(ground.data / "pairs.parquet", ground.data, many)
    ground.plan(stage={"steps": 2, "batches": {"per_device": 200}}, workers=1, cache_features=False)
    limited = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160)); "
    run = "from reference_model.__main__ import main; raise SystemExit(main())"
    command = [sys.executable, "-c", limited + run, "train", str(tmp_path / "recipe.yaml"), "--stage", "adaptation"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_cannot_be_written_is_one_line(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    ground.plan()
    (ground.folder / "taken").write_text("a file")
    asked = [
        "train",
        str(ground.folder / "recipe.yaml"),
        "--stage",
        "adaptation",
        "--out",
        str(ground.folder / "taken"),
    ]
    assert main(asked) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ") and "taken" in said and "start the same command again" in said


def test_an_adapter_for_another_base(ground: Ground) -> None:
    """Of other shapes; of another rank; and of the same shapes, but trained on other weights."""
    backbone = Backbone.load(ground.base)
    own = base_digest(backbone.model)
    adapter = ground.folder / "adapter"
    save_adapters(add_adapters(backbone.model, Lora(r=2), seed=0), adapter, own)
    refused(ground, ModelError, "another base or of another rank", adapter=str(adapter))
    save_adapters(add_adapters(Backbone.load(ground.base).model, Lora(r=4), seed=0), adapter, "f" * 64)
    refused(ground, ModelError, "trained on another base", adapter=str(adapter))
    held = load_file(adapter / "adapter_model.safetensors")
    name = next(name for name in held if "lora_A" in name)
    save_file({**held, name: held[name][:, :-1].contiguous()}, adapter / "adapter_model.safetensors")
    (adapter / "base.json").unlink()
    refused(ground, ModelError, "another base or of another rank", adapter=str(adapter))
    (adapter / "adapter_model.safetensors").write_bytes(b"torn")
    refused(ground, ModelError, "restore the adapter", adapter=str(adapter))


def test_a_stage_without_rows(ground: Ground) -> None:
    wrong = {"data": {"manifests": ["pairs.parquet"]}}
    save_manifest(ground.data / "pairs.parquet", ground.data, [])
    refused(ground, DataError, "rows of stage 'adaptation' fill no batch", stage=wrong)


def test_a_stage_that_its_warm_up_takes_whole(ground: Ground) -> None:
    short = {"steps": None, "epochs": 1, "batches": {"per_device": 64}, "schedule": {"warmup": 0.03}}
    refused(ground, UsageError, r"1 step \(1 batches\), and the warm-up takes them all", stage=short)


def test_a_folder_that_is_no_checkpoint_stands_in_the_recipe(ground: Ground) -> None:
    (ground.base / "config.json").unlink()
    refused(ground, UniteBenchError, r"recipe.yaml:\d+:1: .*no checkpoint here")


def test_a_second_run_in_the_folder_of_one_that_goes_on(ground: Ground) -> None:
    folder = ground.folder / "run/adaptation"
    folder.mkdir(parents=True)
    with FileLock(folder / "run.lock"):
        refused(ground, UsageError, "adaptation: another run is training in it")
    with pytest.raises(AssertionError, match="a step was taken"):
        train_stage(ground.plan(), "adaptation")
    with pytest.raises(AssertionError, match="a step was taken"):
        train_stage(ground.plan(), "adaptation")  # the one that ended has let go


def test_a_kill_while_the_run_is_noted_leaves_no_half_of_a_note(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        train_stage(ground.plan(), "adaptation")
    assert not (ground.folder / "run/adaptation/run.json").exists()


def test_a_torn_index_line_is_not_read_and_lost_numbers_are_an_error(tmp_path: Path) -> None:
    store, beside = FeatureStore(tmp_path), FeatureStore(tmp_path)
    ready = Ready(torch.arange(12, dtype=torch.bfloat16).view(3, 4), Grid(1, 6, 2, (0.5,), 2.0))
    store.put("one", ready)
    store.put("two", Ready(ready.features + 1, ready.grid))
    assert beside.get("two") is not None and len(beside) == 2, "written by another process since"
    (index,) = tmp_path.glob("*.jsonl")
    index.write_text(index.read_text() + json.dumps({"key": "three"})[:-3])
    again = FeatureStore(tmp_path)
    assert len(again) == 2 and again.get("three") is None
    found = again.get("two")
    assert found is not None and found.grid == ready.grid and torch.equal(found.features, ready.features + 1)
    (shard,) = tmp_path.glob("*.bf16")
    shard.write_bytes(shard.read_bytes()[:20])
    with pytest.raises(UniteBenchError, match="shorter than its index"):
        FeatureStore(tmp_path).get("two")


def test_threads_that_look_at_once_lose_no_place_in_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that prepares the next batch looks while the one that computes does."""
    store, beside = FeatureStore(tmp_path), FeatureStore(tmp_path)
    ready = Ready(torch.arange(12, dtype=torch.bfloat16).view(3, 4), Grid(1, 6, 2, (0.5,), 2.0))
    grid = feature_store._grid
    threads: list[Thread] = []

    def interrupted(row: dict[str, Any]) -> Grid:
        if not threads:
            threads.append(Thread(target=store.get, args=("unknown",)))
            threads[0].start()
            threads[0].join()
        return grid(row)

    monkeypatch.setattr(feature_store, "_grid", interrupted)
    beside.put("one", ready)
    assert store.get("one") is not None and threads
    beside.put("another", ready)
    assert store.get("another") is not None
