"""One stage of a recipe, from its start to a merged checkpoint.

    python -m reference_model train RECIPE.yaml --stage adaptation

A run that was killed goes on from its last state when it is started again. The stage's folder then holds `training.jsonl`,
`bad-rows.jsonl` where there are any, `adapter` (as peft writes it) and `merged`, a checkpoint folder like any other.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_model.adapters import check_adapter
from reference_model.checkpoint import Checkpoint
from reference_model.train.model_card import MADE_FILE, made_of, write_card
from reference_model.train.recipe import Stage, StageName, Visual
from reference_model.train.recipe_reader import Plan
from unite_bench.errors import ModelError, UsageError

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainingArguments

    from reference_model.backbone import Backbone
    from reference_model.preprocess import Preprocessing
    from reference_model.train.feature_store import FeatureStore
    from reference_model.train.material import Material
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
    if (plan.merged(name) / "config.json").exists():
        return plan.merged(name)
    start = plan.start(name)
    if start != plan.base and not (Path(start) / "config.json").exists():
        raise UsageError(
            f"{start}: {name} starts from the merged model of the stage before it, which is not there; "
            f"run that stage first, or set `start: base`"
        )
    check_launch(stage)
    from transformers import set_seed
    from transformers.utils import logging

    from reference_model.train.adapters import add_adapters, base_digest, load_adapters, save_adapters
    from reference_model.train.bad_rows import BadRows
    from reference_model.train.batch import Batches
    from reference_model.train.encoder import Encoder
    from reference_model.train.trainer import ContrastiveTrainer
    from reference_model.train.watching import Log, States, last_state

    logging.disable_progress_bar()  # the log says how far the stage is
    checkpoint = find_start(plan, start)
    if (first_adapter := plan.adapter if start == plan.base else None) is not None:
        check_adapter(first_adapter, checkpoint.name)
    arguments = training_arguments(plan, name)
    backbone = open_backbone(plan, checkpoint, arguments)
    base = base_digest(backbone.model)
    material, media, store = open_material(plan, name, backbone, arguments)
    resumed = last_state(folder / "states")
    check_run(plan, name, material, base, arguments, resumed is not None)
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
        BadRows(folder, plan.recipe.max_bad_rows),
        [Log(folder / "training.jsonl", name), States(stage.checkpoints)],
    )
    for callback in (*evaluations(plan, name, backbone, checkpoint, trainer, arguments), *callbacks):
        trainer.add_callback(callback)
    sharded = encoder.in_step = bool(trainer.is_fsdp_enabled)
    set_seed(plan.recipe.seed)
    trainer.train(resume_from_checkpoint=None if resumed is None else str(resumed))
    if sharded:
        trainer.save_model(str(folder / "last"))  # every process has a piece; a whole model takes the adapters
    if arguments.process_index == 0:
        if sharded:
            backbone = open_backbone(plan, checkpoint, arguments)
            adapted = add_adapters(backbone.model, stage.lora, plan.recipe.seed)
            load_adapters(adapted, folder / "last", base)
            shutil.rmtree(folder / "last")
        save_adapters(adapted, folder / "adapter", base)
        write_merged(
            plan, name, adapted, backbone, material, made_of(plan, name, checkpoint, base, material, arguments)
        )
    return plan.merged(name)


def evaluations(
    plan: Plan,
    name: StageName,
    backbone: Backbone,
    start: Checkpoint,
    trainer: ContrastiveTrainer,
    arguments: TrainingArguments,
) -> list[TrainerCallback]:
    """The scores that the recipe asks for: of a suite, of scenes."""
    asked = plan.stage(name).evaluation
    found: list[TrainerCallback] = []
    if asked is not None and asked.suite is not None:
        from reference_model.train.live import live_embedder
        from reference_model.train.watching import Evaluation

        wrap = live_embedder(backbone, start, plan.recipe.name)
        found.append(Evaluation(wrap, trainer.log, asked.suite, asked.steps, plan.folder(name) / "results"))
    if asked is not None and asked.scenes is not None:
        from reference_model.train.scene_validation import open_scenes

        with arguments.main_process_first():
            found.append(open_scenes(asked.scenes, asked.steps, plan.work, backbone, trainer.log))
    return found


def check_launch(stage: Stage) -> None:
    """Raises UsageError for the gradient cache under a launcher whose gradients are not the parameters' own, and for an
    evaluation where no process has the whole model.

    DeepSpeed takes gradients from its own backward call alone, so that the cache would train nothing, and say nothing.
    """
    for variable, launcher in (("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"), ("ACCELERATE_USE_FSDP", "FSDP")):
        if stage.batches.chunk is not None and os.environ.get(variable, "false").lower() == "true":
            raise UsageError(
                f"batches.chunk (the gradient cache) does not work under {launcher}; launch with "
                "reference_model/recipes/accelerate/8-gpus-ddp.yaml, or take `chunk` out of the recipe"
            )
    if stage.evaluation is not None and os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise UsageError(
            "evaluation runs in the first process alone, which under FSDP has a piece of the weights; take it out of the "
            "recipe, and measure the merged checkpoint"
        )


def training_arguments(plan: Plan, name: StageName) -> TrainingArguments:
    """The stage in the Trainer's words."""
    import torch
    from transformers import TrainingArguments

    recipe, stage = plan.recipe, plan.stage(name)
    schedule: dict[str, Any] = {
        "lr_scheduler_type": {"constant": "constant_with_warmup"}.get(stage.schedule.kind, stage.schedule.kind)
    }
    if stage.schedule.floor:
        schedule = {
            "lr_scheduler_type": "cosine_with_min_lr",
            "lr_scheduler_kwargs": {"min_lr_rate": stage.schedule.floor},
        }
    arguments = TrainingArguments(
        output_dir=str(plan.folder(name) / "states"),
        num_train_epochs=1,
        per_device_train_batch_size=stage.batches.per_device,
        gradient_accumulation_steps=stage.batches.accumulate,
        learning_rate=stage.rate,
        warmup_steps=stage.schedule.warmup,
        weight_decay=stage.weight_decay,
        adam_beta1=stage.betas[0],
        adam_beta2=stage.betas[1],
        max_grad_norm=stage.clip_norm,
        bf16=recipe.autocast and recipe.dtype == "float32",
        tf32=recipe.tf32 if torch.cuda.is_available() else None,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=stage.log_steps,
        logging_nan_inf_filter=False,
        save_strategy="no" if stage.checkpoints.steps is None else "steps",
        save_steps=stage.checkpoints.steps or 500,
        save_total_limit=stage.checkpoints.keep,
        ignore_data_skip=True,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        seed=recipe.seed,
        ddp_find_unused_parameters=False,
        **schedule,
    )
    if arguments.n_gpu > 1:
        raise UsageError(
            "several GPUs and one process: start with `accelerate launch -m reference_model train ...`, "
            "or choose one GPU with CUDA_VISIBLE_DEVICES=0"
        )
    return arguments


def open_backbone(plan: Plan, start: Checkpoint, arguments: TrainingArguments) -> Backbone:
    """The model that the stage trains, on its device, with the recipe's lengths, positions and visual budgets."""
    from reference_model.backbone import Backbone

    backbone = Backbone.load(start, "cpu", plan.recipe.dtype)
    if arguments.device.type == "cpu":
        backbone.model.set_attn_implementation("eager")  # the fused kernel's backward pass is slow on a CPU
    if plan.recipe.gradient_checkpointing:
        with warnings.catch_warnings():  # the name that every transformers 5 knows
            warnings.filterwarnings("ignore", message=".*gradient_checkpointing_enable.*", category=FutureWarning)
            backbone.model.gradient_checkpointing_enable({"use_reentrant": False})
    backbone.model.to(arguments.device)
    return backbone


def find_start(plan: Plan, start: str) -> Checkpoint:
    """The checkpoint that a stage trains, under the recipe's settings; what the recipe leaves open is the checkpoint's own.
    Raises ModelError where there is none."""
    recipe = plan.recipe
    shown = budgeted(Checkpoint.find(start).preprocessing, recipe.visual)
    given: dict[str, Any] = {"positions": recipe.positions, "max_length": recipe.max_length}
    if recipe.visual.image is not None:
        given |= {"min_pixels": shown.min_pixels, "max_pixels": shown.max_pixels}
    if recipe.visual.frames is not None:
        given |= {"frame_min_pixels": shown.frame_min_pixels, "frame_max_pixels": shown.frame_max_pixels}
    return Checkpoint.find(start, given=given)


def budgeted(preprocessing: Preprocessing, visual: Visual) -> Preprocessing:
    """The preprocessing with the recipe's visual budgets, which are in tokens."""
    area = preprocessing.factor**2
    if visual.image is not None:
        least, most = visual.image
        preprocessing = replace(preprocessing, min_pixels=least * area, max_pixels=most * area)
    if visual.frames is not None:
        least, most = visual.frames
        preprocessing = replace(preprocessing, frame_min_pixels=least * area, frame_max_pixels=most * area)
    return preprocessing


def open_material(
    plan: Plan, name: StageName, backbone: Backbone, arguments: TrainingArguments
) -> tuple[Material, MediaSource, FeatureStore | None]:
    """What the stage learns from, where its media come from, and what keeps the features that are computed on the way."""
    from reference_model.train.feature_store import FeatureStore
    from reference_model.train.features import tower_digest
    from reference_model.train.material import manifest_rows
    from reference_model.train.media import AnyMedia

    recipe, stage = plan.recipe, plan.stage(name)
    if stage.data.draws is not None:
        from reference_model.train.drawn import open_draws

        with arguments.main_process_first():
            return (*open_draws(plan, stage, backbone, arguments.world_size), None)
    from reference_model.curation.manifest import read_manifest
    from reference_model.train.bank import Bank

    manifests = [
        read_manifest(plan.data / path, lambda bank: Bank(plan.data / bank)) for path in stage.data.manifests or ()
    ]
    size = stage.batches.per_device * arguments.world_size
    steps = None if stage.steps is None else stage.steps * stage.batches.accumulate
    material = manifest_rows(
        manifests,
        None if stage.data.rows == "all" else name,
        size=size,
        least=max(2, arguments.world_size),
        mode=stage.batches.mode,
        seed=recipe.seed,
        epochs=stage.epochs,
        batches=steps,
    )
    store = None
    if recipe.cache_features:
        tower = tower_digest(backbone.model.model.visual)[:16]
        store = FeatureStore(plan.work / "features" / f"{tower}-{recipe.dtype}-{'bf16' if arguments.bf16 else 'plain'}")
    media = AnyMedia(backbone.preprocessing, recipe.frames, store)
    return material, media, store


def check_run(
    plan: Plan, name: StageName, material: Material, base: str, arguments: TrainingArguments, resumed: bool
) -> None:
    """Note what the run is of; one that goes on must be of the same. Raises UsageError."""
    stage: Stage = plan.stage(name)
    path = plan.folder(name) / RUN_FILE
    own = {
        "recipe": plan.digest,
        "data": material.digest,
        "base": base,
        "batches": len(material),
        "rows a batch": stage.batches.per_device * arguments.world_size,
    }
    if resumed:
        held = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key, value in own.items() if held.get(key) != value]
        if changed:
            raise UsageError(
                f"{path.parent}: this run was begun with another {', '.join(changed)}; take the old one to go on, "
                "or delete the folder to begin again"
            )
    elif arguments.process_index == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")


def write_merged(
    plan: Plan, name: StageName, adapted: Any, backbone: Backbone, material: Material, made: dict[str, Any]
) -> None:
    """The stage's model with its adapters merged, as a checkpoint folder with its card; it appears whole or not at all."""
    import torch

    from reference_model.train.architecture import save_checkpoint

    model = adapted.merge_and_unload()
    if not all(bool(torch.isfinite(weight).all()) for weight in model.state_dict().values()):
        raise ModelError(f"{name}: a merged weight is no number; lower the rate, and train again from the last state")
    trained_on = backbone.settings.training_sets
    sets = None if trained_on is None else tuple(sorted({*trained_on, *material.training_sets}))
    fresh = plan.folder(name) / "merged.new"
    shutil.rmtree(fresh, ignore_errors=True)
    save_checkpoint(
        model, backbone.tokenizer, backbone.preprocessing, replace(backbone.settings, training_sets=sets), fresh
    )
    (fresh / MADE_FILE).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    write_card(fresh)
    fresh.replace(plan.merged(name))
