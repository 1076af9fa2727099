"""How a stage is launched: its settings in the words of transformers' Trainer, and what a launcher cannot do."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from reference_model.train.recipe import Stage, StageName
from reference_model.train.recipe_reader import Plan
from unite_bench.errors import UsageError

if TYPE_CHECKING:
    from transformers import TrainingArguments


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


def autocast(asked: bool | None, dtype: str) -> bool:
    """Whether products are taken in bf16 beside fp32 weights: as the recipe says, else where this device is fast at them."""
    import torch

    from reference_model.precision import fast_bf16

    if dtype != "float32":
        return False
    return fast_bf16("cuda" if torch.cuda.is_available() else "cpu") if asked is None else asked


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
        bf16=autocast(recipe.autocast, recipe.dtype),
        tf32=recipe.tf32 if torch.cuda.is_available() else None,
        use_cpu=not torch.cuda.is_available(),
        logging_steps=stage.log_steps,
        logging_nan_inf_filter=False,
        save_strategy="no" if stage.checkpoints.steps is None else "steps",
        save_steps=stage.checkpoints.steps or 500,
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


def check_warm_up(stage: Stage, batches: int, arguments: TrainingArguments) -> None:
    """Raises UsageError for a stage that ends with its warm-up, whose first step has a rate of 0: it might learn nothing."""
    steps = math.ceil(batches / stage.batches.accumulate)
    if steps <= arguments.get_warmup_steps(steps):
        raise UsageError(
            f"the stage has {steps} step{'s' * (steps > 1)} ({batches} batches), and the warm-up takes them all; make the "
            "batches smaller, train more epochs, or set schedule: {warmup: 0}"
        )
