"""What a stage needs before its first step: the model, under the recipe's rules, and what it learns from."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_model.checkpoint import Checkpoint
from reference_model.train.recipe import StageName, Visual
from reference_model.train.recipe_reader import Plan

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from reference_model.backbone import Backbone
    from reference_model.preprocess import Preprocessing
    from reference_model.train.feature_store import FeatureStore
    from reference_model.train.material import Material
    from reference_model.train.media import MediaSource


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
        from reference_model.nano.drawn import open_draws

        with arguments.main_process_first():
            return (*open_draws(plan, stage, backbone, arguments.world_size), None)
    from reference_model.curation.manifest import read_manifest
    from reference_model.train.bank import Bank

    manifests = [
        read_manifest(plan.data / path, lambda bank: Bank(plan.data / bank)) for path in stage.data.manifests or ()
    ]
    size = stage.batches.per_device * arguments.world_size
    least = max(2, arguments.world_size)
    steps = None if stage.steps is None else stage.steps * stage.batches.accumulate
    material = manifest_rows(
        manifests,
        None if stage.data.rows == "all" else name,
        size=size,
        least=least,
        mode=stage.batches.mode,
        seed=recipe.seed,
        epochs=stage.epochs,
        batches=steps,
    )
    if material.order.left_out and arguments.process_index == 0:
        sys.stderr.write(
            f"{name}: rows in no batch, over all epochs: {material.order.left_out:,}; the last batch of an epoch"
            f"{' and modality set' * (stage.batches.mode == 'homogeneous')} would have fewer than {least}\n"
        )
    store = None
    if recipe.cache_features:
        tower = tower_digest(backbone.model.model.visual)[:16]
        store = FeatureStore(plan.work / "features" / f"{tower}-{recipe.dtype}-{'bf16' if arguments.bf16 else 'plain'}")
    media = AnyMedia(backbone.preprocessing, recipe.frames, store)
    return material, media, store
