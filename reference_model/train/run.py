"""One stage of a recipe, from its start to a merged checkpoint.

    python -m reference_model train RECIPE.yaml --stage adaptation

A run that was killed goes on from its last state when it is started again. The stage's folder then holds `training.jsonl`,
`bad-rows.jsonl` where there are any, `adapter` (as peft writes it) and `merged`, a checkpoint folder like any other.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from reference_model.adapters import check_adapter
from reference_model.checkpoint import MADE_FILE, Checkpoint
from reference_model.train.launching import check_launch, check_warm_up, training_arguments
from reference_model.train.model_card import made_of, write_card
from reference_model.train.opening import (
    find_start,
    open_backbone,
    open_manifests,
    open_media,
    open_rows,
    tell_left_out,
)
from reference_model.train.recipe import Stage, StageName
from reference_model.train.recipe_reader import Plan
from unite_bench.encode.store import publish
from unite_bench.errors import ModelError, UsageError
from unite_bench.items import content_digest

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainingArguments

    from reference_model.backbone import Backbone
    from reference_model.settings import Settings
    from reference_model.train.material import ManifestRows, Material
    from reference_model.train.media import MediaSource
    from reference_model.train.trainer import ContrastiveTrainer

RUN_FILE = "run.json"


def train_stage(plan: Plan, name: StageName, callbacks: Sequence[TrainerCallback] = ()) -> Path:
    """Train the stage, or go on with it; the folder of its merged checkpoint. A finished stage is not repeated.
    `callbacks` are called beside its own.

    Raises SpecError, UsageError, DataError or ModelError for what is wrong with recipe, data or checkpoint, before the first
    step wherever it can be known then.
    """
    stage, folder = plan.stage(name), plan.folder(name)
    start = plan.start(name)
    if (plan.merged(name) / "config.json").exists():
        check_same(folder, {"recipe": plan.stage_digest(name), **sources_of(plan, name, start)})
        sys.stderr.write(f"{name}: finished before; nothing was trained\n")
        return plan.merged(name)
    if start != plan.base and not (Path(start) / "config.json").exists():
        raise UsageError(
            f"{start}: {name} starts from the merged model of the stage before it, which is not there; "
            f"run that stage first, or set `start: base`"
        )
    check_launch(stage)
    from transformers.utils import logging

    logging.disable_progress_bar()  # the log says how far the stage is
    checkpoint = find_start(plan, start)
    if (first_adapter := plan.adapter if start == plan.base else None) is not None:
        check_adapter(first_adapter, checkpoint.name)
    arguments = training_arguments(plan, name)
    rows = None if stage.data.manifests is None else open_rows(plan, name, arguments.world_size)
    if rows is not None:
        check_warm_up(stage, len(rows), arguments)
    with sole_run(folder, arguments):
        _train(plan, name, checkpoint, first_adapter, rows, arguments, callbacks)
    return plan.merged(name)


def sources_of(plan: Plan, name: StageName, start: str) -> dict[str, Any]:
    """What tells the stage's manifests, and the checkpoint that it starts from, from others; no weights are read."""
    folder = Path(start)
    files = [folder / "config.json", folder / MADE_FILE]
    said = [path.read_bytes() for path in files if path.is_file()]
    sizes = [f"{path.name} {path.stat().st_size}" for path in sorted(folder.glob("*.safetensors"))]
    manifests = [manifest.digest for manifest in open_manifests(plan, name)]
    return {"manifests": manifests, "start": content_digest("start", start if not said else "", *said, *sizes)}


@contextmanager
def sole_run(folder: Path, arguments: TrainingArguments) -> Iterator[None]:
    """The stage's folder for this run alone; the system takes the lock from a process that ends, however it ends.
    Raises UsageError where another run has it."""
    from reference_model.train.watching import first_process

    lock = FileLock(folder / "run.lock", blocking=False)
    with first_process("taking the stage's folder", arguments.device):
        if arguments.process_index == 0:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                raise UsageError(f"{folder}: another run is training in it; wait for it or stop it") from None
    try:
        yield
    finally:
        lock.release()


def _train(
    plan: Plan,
    name: StageName,
    checkpoint: Checkpoint,
    first_adapter: Path | None,
    rows: ManifestRows | None,
    arguments: TrainingArguments,
    callbacks: Sequence[TrainerCallback],
) -> None:
    from transformers import set_seed

    from reference_model.adapters import base_digest
    from reference_model.train.adapters import add_adapters, load_adapters, save_adapters
    from reference_model.train.bad_rows import BadRows
    from reference_model.train.batch import Batches
    from reference_model.train.encoder import Encoder
    from reference_model.train.trainer import ContrastiveTrainer
    from reference_model.train.watching import Log, States, first_process, last_state, state_step

    stage, folder = plan.stage(name), plan.folder(name)
    backbone = open_backbone(plan, checkpoint, arguments)
    base = base_digest(backbone.model)
    material: Material
    media: MediaSource
    if rows is None:
        from reference_model.nano.drawn import open_draws

        with arguments.main_process_first():
            material, media, store = *open_draws(plan, stage, backbone, arguments.world_size), None
        check_warm_up(stage, len(material), arguments)
    else:
        material, (media, store) = rows, open_media(plan, backbone, arguments)
        if arguments.process_index == 0:
            tell_left_out(rows, name, stage, arguments.world_size)
    resumed = last_state(folder / "states")
    check_run(plan, name, material, base, arguments, resumed is not None, sources_of(plan, name, plan.start(name)))
    adapted = add_adapters(backbone.model, stage.lora, plan.recipe.seed)
    if first_adapter is not None:
        load_adapters(adapted, first_adapter, base)
    loss = stage.loss
    encoder = Encoder(adapted, backbone, stage.batches.tokens, loss.temperature, loss.learned_temperature, store)
    batches = Batches(material, backbone, media, arguments.process_index, arguments.world_size)
    trainer = ContrastiveTrainer(
        encoder,
        batches,
        stage,
        arguments,
        plan.recipe.workers,
        BadRows(folder, plan.recipe.max_bad_rows, state_step(resumed) * stage.batches.accumulate),
        [Log(folder / "training.jsonl", name), States(stage.checkpoints)],
    )
    for callback in (*evaluations(plan, name, backbone, checkpoint, trainer, arguments), *callbacks):
        trainer.add_callback(callback)
    sharded = encoder.in_step = bool(trainer.is_fsdp_enabled)
    set_seed(plan.recipe.seed)
    if arguments.process_index == 0:
        rest = (
            f"goes on after step {state_step(resumed):,}"
            if resumed
            else "features of new media are computed on the way"
        )
        sys.stderr.write(f"{name}: {len(material):,} batches on {arguments.device.type}; {rest}\n")
    trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
    if sharded:
        trainer.save_model(str(folder / "last"))  # every process has a piece; a whole model takes the adapters
    with first_process("writing the merged model", arguments.device):
        if arguments.process_index == 0:
            if sharded:
                backbone = open_backbone(plan, checkpoint, arguments)
                adapted = add_adapters(backbone.model, stage.lora, plan.recipe.seed)
                load_adapters(adapted, folder / "last", base)
                shutil.rmtree(folder / "last")
            save_adapters(adapted, folder / "adapter", base, merged_settings(plan, name, backbone))
            made = made_of(plan, name, checkpoint, base, material, arguments)
            write_merged(plan, name, adapted, backbone, made)


def evaluations(
    plan: Plan,
    name: StageName,
    backbone: Backbone,
    start: Checkpoint,
    trainer: ContrastiveTrainer,
    arguments: TrainingArguments,
) -> list[TrainerCallback]:
    """The scores that the recipe asks for: of a suite, of scenes."""
    from reference_model.train.watching import InFirstProcess

    asked = plan.stage(name).evaluation
    found: list[TrainerCallback] = []
    if asked is not None and (suite := plan.suite(name)) is not None:
        from reference_model.train.live import live_embedder
        from reference_model.train.watching import Evaluation

        wrap = live_embedder(backbone, start, plan.recipe.name)
        scores = Evaluation(wrap, trainer.log, suite, plan.folder(name) / "results")
        found.append(InFirstProcess(scores, asked.steps))
    if asked is not None and asked.scenes is not None:
        from reference_model.nano.scene_validation import open_scenes

        with arguments.main_process_first():
            scenes = open_scenes(asked.scenes, asked.steps, plan.work, backbone, trainer.log)
        found.append(InFirstProcess(scenes, asked.steps))
    return found


def check_run(
    plan: Plan,
    name: StageName,
    material: Material,
    base: str,
    arguments: TrainingArguments,
    resumed: bool,
    sources: dict[str, Any],
) -> None:
    """Note what the run is of; one that goes on must be of the same. Raises UsageError."""
    stage: Stage = plan.stage(name)
    path = plan.folder(name) / RUN_FILE
    own = {
        "recipe": plan.stage_digest(name),
        "data": material.digest,
        "base": base,
        "batches": len(material),
        "rows a batch": stage.batches.per_device * arguments.world_size,
        "products in bf16": arguments.bf16,
        **sources,
    }
    if resumed:
        check_same(path.parent, own)
    elif arguments.process_index == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        publish(path, (json.dumps(own, indent=2) + "\n").encode())


def check_same(folder: Path, own: dict[str, Any]) -> None:
    """Raises UsageError where the run in the folder is noted to be of something else."""
    path = folder / RUN_FILE
    if not path.is_file():
        raise UsageError(f"{path}: no such file, so what the run is of is unknown; restore it, or delete {folder}")
    held = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key, value in own.items() if held.get(key) != value]
    if changed:
        raise UsageError(
            f"{folder}: this run was begun with another {', '.join(changed)}; take the old one, "
            "or delete the folder to begin again"
        )


def merged_settings(plan: Plan, name: StageName, backbone: Backbone) -> Settings:
    """The rules that the stage was trained under; but the length of a prompt is what it was, for the recipe's is of
    training."""
    return replace(backbone.settings, max_length=Checkpoint.find(plan.start(name)).settings.max_length)


def write_merged(plan: Plan, name: StageName, adapted: Any, backbone: Backbone, made: dict[str, Any]) -> None:
    """The stage's model with its adapters merged, as a checkpoint folder with its card; it appears whole or not at all."""
    import torch

    from reference_model.train.saving import save_checkpoint

    model = adapted.merge_and_unload()
    if not all(bool(torch.isfinite(weight).all()) for weight in model.state_dict().values()):
        raise ModelError(f"{name}: a merged weight is no number; lower the rate, and train again from the last state")
    sets = tuple(made["sources"]) if made["base"]["sources known"] else None
    fresh = plan.folder(name) / "merged.new"
    shutil.rmtree(fresh, ignore_errors=True)
    save_checkpoint(
        model,
        backbone.tokenizer,
        backbone.preprocessing,
        replace(merged_settings(plan, name, backbone), training_sets=sets),
        fresh,
    )
    (fresh / MADE_FILE).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    write_card(fresh)
    fresh.replace(plan.merged(name))
