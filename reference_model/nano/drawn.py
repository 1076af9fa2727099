"""Drawn pairs of a recipe: worlds rendered, pictures of the real train splits banked, all features computed beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_model.nano import real_pairs, scene_pairs
from reference_model.nano.real import load_real
from reference_model.nano.world import Sizes, build_world
from reference_model.train.features import cached_features
from reference_model.train.material import DrawnPairs, weighted
from reference_model.train.media import BankedMedia
from reference_model.train.pairs import Kind

if TYPE_CHECKING:
    from reference_model.backbone import Backbone
    from reference_model.train.recipe import Stage
    from reference_model.train.recipe_reader import Plan

SETS = {
    "scenes-adaptation": lambda world, real: scene_pairs.adaptation_kinds(world),
    "scenes-adaptation-hard": lambda world, real: scene_pairs.adaptation_kinds(world, hard=True),
    "scenes-instruction": lambda world, real: scene_pairs.instruction_kinds(world),
    "real-adaptation": lambda world, real: real_pairs.adaptation_kinds(real),
    "real-instruction": lambda world, real: real_pairs.instruction_kinds(real),
}


def open_draws(plan: Plan, stage: Stage, backbone: Backbone, world_size: int) -> tuple[DrawnPairs, BankedMedia]:
    """The stage's kinds of pairs and the features of their media; what `work` holds already is not made again."""
    draws, work = stage.data.draws, plan.work
    assert draws is not None and stage.steps is not None
    work.mkdir(parents=True, exist_ok=True)
    world = build_world(draws.seed, Sizes(**draws.sizes.model_dump()), work, backbone.preprocessing)
    real = load_real(plan.data / draws.real, work, backbone.preprocessing) if draws.real else None
    kinds: list[Kind] = []
    for name, factor in draws.sets.items():
        kinds += weighted(SETS[name](world, real), factor)
    banks = [world.images, world.clips, *(real.banks.values() if real else ())]
    features = cached_features(backbone.model, banks, backbone.preprocessing, work)
    sets = ("scenes-generator", *(f"{name}-train" for name in sorted(real.digests if real else ())))
    pairs = DrawnPairs(
        tuple(kinds),
        draws.kinds_per_batch,
        stage.batches.per_device * world_size,
        stage.steps * stage.batches.accumulate,
        plan.recipe.seed,
        sets,
    )
    return pairs, BankedMedia(features)
