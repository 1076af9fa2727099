"""Time of a training step: transformers' Trainer with peft, by a recipe, against the bare loop that it took the place of.

    python benchmarks/train_step.py [--steps 12] [--work FOLDER]

nano's adaptation stage on a small world, 176 pairs a step, one thread. The bare loop is the one that the backbone stages
still use: draw, `contrastive_loss`, clip, AdamW, with nano's own LoRA layers. Both learn from the same batches and take
turns, step by step, because a shared machine only ever adds time; the Trainer prepares no batch ahead here, so that no work
of one is counted to the other. CPU time is what is compared: of all threads, so that waiting for others does not count.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import TrainerCallback

from reference_model.backbone import Backbone
from reference_model.checkpoint import CHECKPOINTS
from reference_model.nano.contrastive import contrastive_loss
from reference_model.nano.stages import CLIP_NORM
from reference_model.study.lora import add_lora
from reference_model.train.mamcl import Options
from reference_model.train.recipe_reader import read_recipe
from reference_model.train.run import train_stage

SIZES = {"stills": 3000, "movings": 1000, "still_edits": 400, "clip_edits": 200, "fused": 200}
RATE, RANK, TAU = 1.5e-3, 64, 0.03
WARM = 2  # steps that are not counted


def recipe(folder: Path, work: Path, steps: int) -> Path:
    stage = {
        "data": {"draws": {"sets": {"scenes-adaptation": 1.0}, "sizes": SIZES}},
        "steps": steps,
        "rate": RATE,
        "betas": [0.9, 0.98],
        "lora": {"r": RANK, "alpha": RANK, "dropout": 0, "effective_weights": True},
        "loss": {"directions": "rows", "temperature": TAU},
        "batches": {"per_device": 176},
        "checkpoints": {},
    }
    whole = {
        "name": "timed",
        "base": "nano-backbone",
        "out": str(folder / "run"),
        "work": str(work),
        "dtype": "float32",
    }
    whole |= {"max_length": 1024, "gradient_checkpointing": False, "stages": {"adaptation": stage}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    return folder / "recipe.yaml"


class Bare:
    """The bare loop over the batches of a material, one step a call."""

    def __init__(self, material: Any, features: Any):
        self.material, self.features = material, features
        self.backbone = Backbone.load(CHECKPOINTS / "nano-backbone")
        self.backbone.model.set_attn_implementation("eager")
        self.trained = add_lora(self.backbone.model, RANK, RANK)
        self.optimizer = torch.optim.AdamW(self.trained, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self.backbone.model.train()

    def step(self, number: int) -> None:
        examples = self.material.examples(number, 0, 1)
        pairs, both = [example.pair for example in examples], all(example.both for example in examples)
        given = (self.features, self.backbone.tokenizer, self.backbone.preprocessing, self.backbone.settings)
        with torch.autocast("cpu", torch.bfloat16):
            loss = contrastive_loss(
                self.backbone.model, pairs, *given, TAU, Options(ways="both" if both else "forward")
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        loss.item()


class Turns(TrainerCallback):
    """After every step of the Trainer, one of the bare loop; seconds of both, by CPU and by wall."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[tuple[float, float]]] = {"trainer": [], "bare": []}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        loader = kwargs["train_dataloader"]
        loader.ahead = False
        self.bare = Bare(loader.dataset.material, loader.dataset.media.features)
        self._since = (time.process_time(), time.perf_counter())

    def _lap(self, name: str) -> None:
        now = (time.process_time(), time.perf_counter())
        self.seconds[name].append((now[0] - self._since[0], now[1] - self._since[1]))
        self._since = now

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._lap("trainer")
        self.bare.step(state.global_step - 1)
        self._lap("bare")


def measure(work: Path, steps: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    turns = Turns()
    with tempfile.TemporaryDirectory() as folder:
        train_stage(read_recipe(recipe(Path(folder), work, steps + WARM)), "adaptation", [turns])
    found: dict[str, Any] = {"steps": steps, "pairs a step": 176, "threads": 1, "torch": torch.__version__}
    for clock, name in enumerate(("cpu", "wall")):
        laps = {who: [lap[clock] for lap in seconds][WARM:] for who, seconds in turns.seconds.items()}
        found |= {f"{who} {name} seconds": round(statistics.median(own), 3) for who, own in laps.items()}
        ratios = [ours / bare for ours, bare in zip(laps["trainer"], laps["bare"], strict=True)]
        found[f"{name} ratio"] = round(statistics.median(ratios), 3)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "train-step")
    given = parser.parse_args()
    print(json.dumps(measure(given.work, given.steps), indent=2))
