"""Where the study's pairs and queries come from: one training world, and worlds of other seeds that nothing trains on.

Vision tower and projector are frozen, so the features of every medium are computed once and kept on disk, for all arms
and seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from reference_model.backbone import Backbone, Positions, Settings
from reference_model.nano import scene_pairs
from reference_model.nano.architecture import Shape, new_model
from reference_model.nano.scene_pairs import text_item
from reference_model.nano.training import Recipe
from reference_model.nano.world import Sizes, World, build_world
from reference_model.preprocess import Preprocessing
from reference_model.train.features import Features, cached_features
from reference_model.train.pairs import Kind, Pair
from unite_bench.items import Item
from unite_bench.sources.scenes.language import short

BASE = Path(__file__).parents[1] / "checkpoints" / "nano-backbone"
EVALUATION_SEED = 1_700_000  # and the two after it; seeds of the training part that no training draws from
SLICES = 13  # disjoint parts of the evaluation worlds: seeds 0 to 9 take one each, seeds 10 to 12 are the pilot's
PLAIN = Sizes(1300, 1000, 0, 0, 0)  # of one slice; see endpoints.py for what each index is used for
EDITED = Sizes(300, 200, 300, 200, 0)
FORMS = Sizes(300, 200, 0, 0, 300)


@dataclass(frozen=True)
class Laboratory:
    """Everything that all runs share."""

    weights: dict[str, Any]
    tokenizer: Any
    preprocessing: Preprocessing
    settings: Settings
    features: Features
    kinds: dict[str, Kind]
    plain: World
    edited: World
    forms: World

    def model(self, positions: Positions) -> tuple[Any, Settings]:
        """A fresh copy of the backbone, and settings with these positions."""
        model = new_model(Shape(), self.tokenizer, seed=0)
        model.load_state_dict(self.weights)
        return model, replace(self.settings, positions=positions)


def open_laboratory(work: Path, slices: int = SLICES) -> Laboratory:
    """Render the worlds and compute the features, unless `work` holds them already."""
    base = Backbone.load(BASE)
    preprocessing = base.preprocessing
    recipe = Recipe()
    trained = build_world(recipe.seed, recipe.sizes, work, preprocessing)
    sizes = [Sizes(*(slices * count for count in vars(each).values())) for each in (PLAIN, EDITED, FORMS)]
    worlds = [build_world(EVALUATION_SEED + n, size, work, preprocessing) for n, size in enumerate(sizes)]
    banks = [bank for world in (trained, *worlds) for bank in (world.images, world.clips)]
    features = cached_features(base.model, banks, preprocessing, work)
    return Laboratory(
        base.model.state_dict(),
        base.tokenizer,
        preprocessing,
        base.settings,
        features,
        {kind.name: kind for kind in training_kinds(trained)},
        *worlds,
    )


def training_kinds(world: World) -> list[Kind]:
    """Every kind that an arm may name; explicit negatives are cut to one a pair, so that batches cost the same."""
    kinds = [
        *scene_pairs.adaptation_kinds(world),
        *(
            kind
            for kind in scene_pairs.adaptation_kinds(world, hard=True)
            if kind.name.startswith(("scene image", "scene video"))
        ),
        *(kind for kind in scene_pairs.instruction_kinds(world) if kind.name != "scene form"),
        *frame_kinds(world),
    ]
    return [replace(kind, draw=_with_one_negative(kind.draw)) for kind in kinds]


def frame_kinds(world: World) -> list[Kind]:
    """The scenes of the clips, each shown by one frame, with words that leave the motion out."""

    def drawn(rng: np.random.Generator) -> tuple[Item, Item]:
        index = int(rng.integers(len(world.movings)))
        text = short(world.movings[index], int(rng.integers(scene_pairs.PATTERNS)), motion=False)
        return text_item(text), Item((world.images.image(world.frame_at[index]),))

    def find(rng: np.random.Generator) -> Pair:
        return Pair(*drawn(rng))

    def tell(rng: np.random.Generator) -> Pair:
        text, frame = drawn(rng)
        return Pair(frame, text)

    return [Kind("frames text-image", 1.0, find), Kind("frames image-text", 1.0, tell)]


def _with_one_negative(draw: Callable[[np.random.Generator], Pair]) -> Callable[[np.random.Generator], Pair]:
    def fewer(rng: np.random.Generator) -> Pair:
        pair = draw(rng)
        return replace(pair, negatives=pair.negatives[:1])

    return fewer
