"""Training by a recipe: runs that resume, features that are computed once, stages that follow each other."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from training_folder import PICTURES, Ground, make_data

from reference_model.adapters import base_digest
from reference_model.backbone import Backbone, Settings
from reference_model.checkpoint import Checkpoint
from reference_model.cost import ModelShape
from reference_model.nano.world import Sizes
from reference_model.preprocess import patches
from reference_model.train.encoder import in_step
from reference_model.train.model_card import trained_before
from reference_model.train.opening import find_start
from reference_model.train.plan import reading_of
from reference_model.train.run import train_stage
from reference_model.train.trainer import ContrastiveTrainer
from reference_model.train.watching import WHOLE, States, last_state, state_step
from unite_bench.errors import DataError, UsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("training") / "data")


@pytest.fixture()
def ground(data: Path, tiny: Path, tmp_path: Path) -> Ground:
    return Ground(data, tiny, tmp_path)


@dataclass(frozen=True)
class Done:
    """Both stages of the recipe as it stands, how many media had gone through the tower after each, and how many the second
    opened."""

    ground: Ground
    merged: tuple[Path, Path]
    through_tower: tuple[int, int]
    opened_by_the_second: int


@pytest.fixture(scope="module")
def done(data: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    ground = Ground(data, tiny, tmp_path_factory.mktemp("done"))
    with pytest.MonkeyPatch.context() as patch:
        seen = counted(patch)
        plan = ground.plan()
        first = train_stage(plan, "adaptation")
        after, opened = len(seen), 0

        def opening(*given: Any, **named: Any) -> Any:
            nonlocal opened
            opened += 1
            return patches(*given, **named)

        patch.setattr("reference_model.train.media.patches", opening)
        second = train_stage(plan, "instruction")
        return Done(ground, (first, second), (after, len(seen)), opened)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every medium that goes through the tower."""
    seen: list[int] = []
    tower = Backbone.visual

    def counting(self: Backbone, patches: torch.Tensor, grids: Any) -> torch.Tensor:
        seen.extend(grid.patches for grid in grids)
        return tower(self, patches, grids)

    monkeypatch.setattr(Backbone, "visual", counting)
    return seen


def killed_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run dies in the step after these."""
    whole = ContrastiveTrainer.compute_loss

    def dying(self: ContrastiveTrainer, *given: Any, **named: Any) -> torch.Tensor:
        if self.state.global_step == steps:
            raise KeyboardInterrupt
        return whole(self, *given, **named)

    monkeypatch.setattr(ContrastiveTrainer, "compute_loss", dying)


def same(first: Path, second: Path, within: float = 0.0) -> bool:
    held, expected = (load_file(path) for path in (first, second))
    return all(bool((held[name].float() - weight.float()).abs().max() <= within) for name, weight in expected.items())


def test_a_killed_run_goes_on_to_the_same_loss_curve(
    done: Done, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six steps with dropout; killed in the sixth, whose last state is that of step 4: same losses and weights, to the bit.
    In between, another recipe is refused."""
    plan = ground.plan("parts")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        killed_after(5, patch)
        train_stage(plan, "adaptation")
    assert len(ground.losses("parts")) == 5
    (ground.folder / "parts/adaptation/states/checkpoint-5").mkdir()  # killed as it was begun
    with (ground.folder / "parts/adaptation/training.jsonl").open("a") as file:
        file.write('{"stage": "adap')
    with pytest.raises(UsageError, match="begun with another recipe, data, batches"):
        train_stage(ground.plan("parts", {"steps": 7}), "adaptation")
    merged = train_stage(plan, "adaptation")
    assert ground.losses("parts") == done.ground.losses()
    assert len(set(done.ground.losses())) == 6
    assert same(merged / "model.safetensors", done.merged[0] / "model.safetensors")


def test_a_run_killed_before_an_uneven_last_step_takes_it(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three batches, two a step; killed in the second step, which has one. What decides no weight may change meanwhile."""
    uneven = {"steps": None, "epochs": 1, "batches": {"accumulate": 2}, "checkpoints": {"steps": 1}}
    whole = train_stage(ground.plan("whole", uneven), "adaptation")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        killed_after(1, patch)
        train_stage(ground.plan("parts", uneven), "adaptation")
    merged = train_stage(ground.plan("parts", {**uneven, "log_steps": 2}, max_bad_rows=1), "adaptation")
    assert len(ground.losses("whole")) == 2
    assert ground.losses("parts") == ground.losses("whole")
    assert same(merged / "model.safetensors", whole / "model.safetensors")


def test_a_run_that_bad_rows_end_goes_on_from_the_step_before(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clip of the second batch is gone; more is allowed then, and the run is that which was allowed it at once. One row
    of 23 fills no batch, and that is said."""
    ground = Ground(make_data(tmp_path / "data"), tiny, tmp_path)
    shutil.rmtree(ground.data / "clip")
    stage = {"steps": None, "epochs": 1, "batches": {"per_device": 11}, "checkpoints": {"steps": 50}}
    with pytest.raises(DataError, match=r"1 rows cannot be trained on, and max_bad_rows is 0; the last here: \('d:0'"):
        train_stage(ground.plan("parts", stage, seed=2), "adaptation")
    assert "adaptation: rows in no batch, over all epochs: 1;" in capsys.readouterr().err
    states = tmp_path / "parts/adaptation/states"
    assert state_step(last_state(states)) == len(ground.losses("parts")) == 1
    written = (states / "checkpoint-1" / WHOLE).stat().st_mtime_ns
    with pytest.raises(DataError, match="max_bad_rows is 0"):
        train_stage(ground.plan("parts", stage, seed=2), "adaptation")
    assert (states / "checkpoint-1" / WHOLE).stat().st_mtime_ns == written, "a whole state is not written over"
    parts = train_stage(ground.plan("parts", stage, seed=2, max_bad_rows=1), "adaptation")
    whole = train_stage(ground.plan("whole", stage, seed=2, max_bad_rows=1), "adaptation")
    assert ground.losses("parts") == ground.losses("whole")
    assert same(parts / "model.safetensors", whole / "model.safetensors")


def test_a_whole_state_goes_only_when_a_newer_one_is_whole(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between writing the second state and marking it, where one is kept: the first is there to go on from."""
    plan = ground.plan(stage={"steps": 3, "checkpoints": {"steps": 1, "keep": 1}})
    marked = States.on_save

    def dying(self: States, args: Any, state: Any, control: Any, **given: Any) -> None:
        if state.global_step == 2:
            raise KeyboardInterrupt
        marked(self, args, state, control, **given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(States, "on_save", dying)
        train_stage(plan, "adaptation")
    states = ground.folder / "run/adaptation/states"
    assert state_step(last_state(states)) == 1
    (states / "checkpoint-2").rename(states / "checkpoint-0")  # torn ones go as well
    train_stage(plan, "adaptation")
    assert [path.name for path in states.iterdir()] == ["checkpoint-3"]


def test_the_length_of_a_prompt_is_the_checkpoints_unless_the_recipe_gives_one(ground: Ground) -> None:
    for given, length in ((None, 160), (99, 99)):
        plan = ground.plan(max_length=given)
        assert find_start(plan, plan.base).settings.max_length == length
        assert reading_of(plan, ModelShape.of(plan.base))[0].max_length == length


@pytest.mark.slow
def test_weight_decay_leaves_the_temperature_alone(ground: Ground) -> None:
    """Towards 0, its logarithm would grow to a temperature of 1."""
    decayed = {"steps": 4, "weight_decay": 20.0, "loss": {"learned_temperature": True, "directions": "rows"}}
    train_stage(ground.plan(stage=decayed), "adaptation")
    assert ground.log()[-1]["temperature"] == pytest.approx(0.03, rel=0.1)


def test_features_are_computed_once_for_all_epochs_and_stages(done: Done) -> None:
    """Eight pictures and a clip go through the tower once, although two stages see each of them several times."""
    assert done.through_tower == (PICTURES + 1, PICTURES + 1)
    assert done.opened_by_the_second == 0


@pytest.mark.slow
def test_what_is_cached_is_what_would_be_computed(done: Done, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = counted(monkeypatch)
    train_stage(ground.plan(cache_features=False), "adaptation")
    assert len(seen) > PICTURES + 1
    assert ground.losses() == done.ground.losses()


def test_the_second_stage_goes_on_from_the_first_and_says_what_it_was_trained_on(done: Done, ground: Ground) -> None:
    with pytest.raises(UsageError, match="run that stage first"):
        train_stage(ground.plan(), "instruction")
    first, second = done.merged
    noted = json.loads((second.parent / "run.json").read_text())
    assert noted["base"] == base_digest(Backbone.load(first).model) != base_digest(Backbone.load(ground.base).model)
    made = json.loads((second / "made.json").read_text())
    assert made["sources"] == ["a", "b", "c", "d", "e"]
    assert Settings.read(second).training_sets is None, "the base does not say what it was trained on"
    assert "a, b, c, d, e; what the base was trained on is not known" in (second / "README.md").read_text()
    assert trained_before(ground.plan(), "instruction", Checkpoint.find(str(first))) == (tuple("abcde"), False)
    assert Settings.read(second).max_length == 160


def test_a_finished_stage_is_not_repeated(done: Done) -> None:
    before = (done.merged[0] / "model.safetensors").stat().st_mtime_ns
    assert train_stage(done.ground.plan(), "adaptation") == done.merged[0]
    assert (done.merged[0] / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="begun with another recipe"):
        train_stage(done.ground.plan(stage={"rate": 2e-2}), "adaptation")
    data = done.ground.data / "pairs.parquet"
    held = data.read_bytes()
    table = pq.read_table(data)
    pq.write_table(table.slice(0, 20), data)
    try:
        with pytest.raises(UsageError, match="begun with another manifests"):
            train_stage(done.ground.plan(), "adaptation")
    finally:
        data.write_bytes(held)
    unknown = done.ground.plan("unknown")
    unknown.merged("adaptation").mkdir(parents=True)
    (unknown.merged("adaptation") / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="what the run is of is unknown"):
        train_stage(unknown, "adaptation")


@pytest.mark.slow
def test_the_gradient_cache_takes_the_plain_step(ground: Ground) -> None:
    plain = {"lora": {"dropout": 0}, "steps": 2, "loss": {"learned_temperature": True}, "batches": {"accumulate": 2}}
    whole = train_stage(ground.plan("whole", plain), "adaptation")
    chunked = {**plain, "batches": {"accumulate": 2, "chunk": 3}}
    cached = train_stage(ground.plan("cached", chunked), "adaptation")
    assert ground.losses("cached") == pytest.approx(ground.losses("whole"), abs=1e-5)
    assert ground.log("whole")[-1]["temperature"] != pytest.approx(0.03, rel=1e-3)
    adapters = [folder.parent / "adapter" / "adapter_model.safetensors" for folder in (whole, cached)]
    assert same(*adapters, within=1e-4)


@pytest.mark.slow
def test_effective_weights_are_the_two_paths_in_one(ground: Ground) -> None:
    train_stage(ground.plan("paths", {"lora": {"dropout": 0}, "steps": 3}), "adaptation")
    train_stage(ground.plan("one", {"lora": {"dropout": 0, "effective_weights": True}, "steps": 3}), "adaptation")
    assert ground.losses("one") == pytest.approx(ground.losses("paths"), abs=1e-4)


@pytest.mark.slow
def test_drawn_pairs_are_trained_on_and_validated_on_scenes_of_another_seed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"stills": 24, "movings": 8, "still_edits": 8, "clip_edits": 4, "fused": 8}
    monkeypatch.setattr("reference_model.nano.scene_validation.SIZES", Sizes(**sizes))
    draws = {"sets": {"scenes-adaptation": 1.0, "scenes-instruction": 0.5}, "sizes": sizes}
    asked = {"suite": None, "scenes": 1_900_000, "steps": 2}
    plan = ground.plan(stage={"data": {"draws": draws}, "steps": 3, "evaluation": asked})
    merged = train_stage(plan, "adaptation")
    scored = [row["validation"] for row in ground.log() if "validation" in row]
    assert len(scored) == 2 and {"t2i", "i2t", "union", "modality"} <= set(scored[0])
    assert json.loads((merged / "made.json").read_text())["sources"] == ["scenes-generator"]
    rendered = {path.name for path in (ground.folder / "work").glob("images-*")}
    assert rendered == {"images-1000001", "images-1900000"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on one core
def test_bf16_weights_recomputed_activations_and_decoding_processes(ground: Ground) -> None:
    """Recomputed activations and workers change no loss; bf16 weights change them a little."""
    plain = {"steps": 3, "batches": {"mode": "homogeneous"}}
    train_stage(ground.plan("plain", plain), "adaptation")
    train_stage(ground.plan("spared", plain, gradient_checkpointing=True, workers=2), "adaptation")
    assert ground.losses("spared") == pytest.approx(ground.losses("plain"), abs=1e-6)
    train_stage(ground.plan("short", plain, dtype="bfloat16", gradient_checkpointing=True), "adaptation")
    assert ground.losses("short") == pytest.approx(ground.losses("plain"), abs=0.1)
    sets = [[name for name in row if name.startswith("negatives ")] for row in ground.log("plain")]
    assert all(len(names) == 1 for names in sets)


@pytest.mark.parametrize(("own", "most"), [([[0, 1, 2, 3, 4], [5]], 4), ([[0], [1]], 4), ([[0, 1]], 1)])
def test_processes_that_share_weights_run_as_many_passes(
    own: list[list[int]], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def largest(count: torch.Tensor, op: object) -> None:
        assert op == torch.distributed.ReduceOp.MAX
        count.fill_(max(most, int(count)))

    monkeypatch.setattr(torch.distributed, "all_reduce", largest)
    groups = in_step(own, torch.device("cpu"))
    assert len(groups) == most
    assert {row for group in groups for row in group} == {row for group in own for row in group}
