"""What a stage needs before its first step: the model, under the recipe's rules, and what it learns from."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_model.adapters import adapter_settings
from reference_model.checkpoint import Checkpoint
from reference_model.train.recipe import Stage, StageName, Visual
from reference_model.train.recipe_reader import Plan
from unite_bench.errors import DataError

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from reference_model.backbone import Backbone
    from reference_model.curation.manifest import Manifest
    from reference_model.preprocess import Preprocessing
    from reference_model.train.feature_store import FeatureStore
    from reference_model.train.material import ManifestRows
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
    adapter = plan.adapter if start == plan.base else None
    return Checkpoint.find(start, given=given, adapted=None if adapter is None else adapter_settings(adapter))


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


def open_manifests(plan: Plan, name: StageName) -> list[Manifest]:
    """The stage's manifests. Raises DataError with what is wrong with each of them."""
    from reference_model.curation.manifest import read_manifest
    from reference_model.train.bank import Bank

    found, wrong = [], []
    for path in plan.stage(name).data.manifests or ():
        try:
            found.append(read_manifest(plan.data / path, lambda bank: Bank(plan.data / bank)))
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        raise DataError("\n".join(wrong))
    return found


def open_rows(plan: Plan, name: StageName, processes: int) -> ManifestRows:
    """The rows that the stage learns from, in their order over so many processes; no model is needed."""
    from reference_model.train.material import manifest_rows

    stage = plan.stage(name)
    return manifest_rows(
        open_manifests(plan, name),
        None if stage.data.rows == "all" else name,
        size=stage.batches.per_device * processes,
        least=least_rows(processes),
        mode=stage.batches.mode,
        seed=plan.recipe.seed,
        epochs=stage.epochs,
        batches=None if stage.steps is None else stage.steps * stage.batches.accumulate,
    )


def least_rows(processes: int) -> int:
    """Of a batch: each process has a row, and each row a negative."""
    return max(2, processes)


def tell_left_out(rows: ManifestRows, name: StageName, stage: Stage, processes: int) -> None:
    """Say how many rows fill no batch, where there are any."""
    if rows.order.left_out:
        sys.stderr.write(
            f"{name}: rows in no batch, over all epochs: {rows.order.left_out:,}; the last batch of an epoch"
            f"{' and modality set' * (stage.batches.mode == 'homogeneous')} would have fewer than {least_rows(processes)}\n"
        )


def open_media(plan: Plan, backbone: Backbone, arguments: TrainingArguments) -> tuple[MediaSource, FeatureStore | None]:
    """Where the media of rows come from, and what keeps the features that are computed on the way."""
    from reference_model.train.feature_store import FeatureStore
    from reference_model.train.features import tower_digest
    from reference_model.train.media import AnyMedia

    recipe, store = plan.recipe, None
    if recipe.cache_features:
        tower = tower_digest(backbone.model.model.visual)[:16]
        store = FeatureStore(plan.work / "features" / f"{tower}-{recipe.dtype}-{'bf16' if arguments.bf16 else 'plain'}")
    return AnyMedia(backbone.preprocessing, recipe.frames, store), store
