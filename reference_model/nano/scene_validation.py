"""hit@1 of small pools of scenes while a stage is trained: of a training seed that nothing trains on, so of no test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from reference_model.nano.validate import Pool, pools, retrieval
from reference_model.nano.world import Sizes, build_world
from reference_model.train.features import Features, cached_features
from unite_bench.callbacks.scoring import undisturbed

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from reference_model.backbone import Backbone

SIZES = Sizes(400, 250, 300, 200, 300)


@dataclass
class Scenes(TrainerCallback):  # type: ignore[misc]
    """Logs `eval_NAME` of every pool, every so many steps and at the end, in the first process alone."""

    tests: Sequence[Pool]
    features: Features
    backbone: Backbone
    steps: int
    log: Callable[[dict[str, float]], None]

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        due = state.global_step % self.steps == 0 or state.global_step == state.max_steps
        if not (due and state.is_world_process_zero):
            return
        own = self.backbone
        with undisturbed(kwargs["model"]):
            scores = retrieval(own.model, self.tests, self.features, own.tokenizer, own.preprocessing, own.settings)
        self.log({f"eval_{name}": value for name, value in scores.items()})


def open_scenes(
    seed: int, steps: int, work: Path, backbone: Backbone, log: Callable[[dict[str, float]], None]
) -> Scenes:
    """Render the scenes and compute their features, unless `work` holds them already."""
    work.mkdir(parents=True, exist_ok=True)
    world = build_world(seed, SIZES, work, backbone.preprocessing)
    features = cached_features(backbone.model, [world.images, world.clips], backbone.preprocessing, work)
    return Scenes(pools(world), features, backbone, steps, log)
