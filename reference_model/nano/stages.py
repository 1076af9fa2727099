"""The loop of the backbone's two stages: draw, loss, step; log, validate, save; resume after a kill."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from reference_model.backbone import SETTINGS_FILE, Settings
from reference_model.nano.budget import Budget, learning_rate
from reference_model.preprocess import Preprocessing
from reference_model.train.saving import save_checkpoint

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

Batch = TypeVar("Batch")
CLIP_NORM = 1.0
CHECKPOINT_FILES = ("model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json", SETTINGS_FILE)


@dataclass(frozen=True)
class Stage:
    """One stage: how long, how fast, and how often it looks at itself."""

    name: str
    budget: Budget
    rate: float
    seed: int
    weight_decay: float = 0.0
    save_minutes: float = 3.0
    validate_minutes: float = 4.0


@dataclass(frozen=True)
class Group:
    """Parameters that are trained at `scale` times the rate of their stage."""

    parameters: list[torch.nn.Parameter]
    scale: float = 1.0


@dataclass(frozen=True)
class Workplace:
    """Where a run keeps what is large (`work`: states, banks) and what it is for (`out`: the checkpoint, the log)."""

    work: Path
    out: Path
    tokenizer: Tokenizer
    preprocessing: Preprocessing
    settings: Settings

    def log(self, **values: object) -> None:
        """Append one line to the log beside the checkpoint."""
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / "training.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(values) + "\n")

    def export(self, model: Any) -> None:
        """Write the model as a checkpoint; each old file is replaced by a whole new one."""
        fresh = self.work / "export"
        save_checkpoint(model, self.tokenizer, self.preprocessing, self.settings, fresh)
        self.out.mkdir(parents=True, exist_ok=True)
        for name in CHECKPOINT_FILES:
            shutil.copyfile(fresh / name, self.out / f"{name}.new")
            (self.out / f"{name}.new").replace(self.out / name)


def run_stage(
    stage: Stage,
    model: Any,
    groups: Sequence[Group],
    draw: Callable[[np.random.Generator], Batch],
    loss_of: Callable[[Batch], torch.Tensor],
    validate: Callable[[], dict[str, float]],
    place: Workplace,
) -> None:
    """Train until the budget is spent; a run that was killed goes on from its last saved state."""
    import torch

    trained = [parameter for group in groups for parameter in group.parameters]
    optimizer = torch.optim.AdamW(
        [{"params": group.parameters, "scale": group.scale} for group in groups],
        lr=stage.rate,
        betas=(0.9, 0.98),
        weight_decay=stage.weight_decay,
        fused=True,
    )
    state = place.work / f"state-{stage.name}.pt"
    rng, step, before = np.random.default_rng(stage.seed), 0, 0.0
    if state.exists():
        held = torch.load(state, weights_only=True)
        model.load_state_dict(held["model"])
        optimizer.load_state_dict(held["optimizer"])
        rng.bit_generator.state = json.loads(held["rng"])
        step, before = held["step"], held["seconds"]
        if held["finished"]:
            return
    ahead = Ahead(draw, rng)
    started = time.monotonic() - before
    due = Timers(stage, before)
    losses: list[float] = []
    model.train()
    while (done := stage.budget.progress(step, time.monotonic() - started)) < 1.0:
        rate = learning_rate(stage.rate, done, step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        with torch.autocast(model.device.type, torch.bfloat16):
            loss = loss_of(ahead.next())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        step += 1
        seconds = time.monotonic() - started
        if due.log(seconds):
            mean = round(sum(losses) / len(losses), 4)
            place.log(stage=stage.name, step=step, seconds=round(seconds, 1), loss=mean, rate=rate)
            losses.clear()
        if due.validate(seconds):
            place.log(stage=stage.name, step=step, seconds=round(seconds, 1), validation=validate())
        if due.save(seconds):
            _save(state, model, optimizer, ahead.state, step, seconds)
            place.export(model)
    seconds = time.monotonic() - started
    place.log(stage=stage.name, step=step, seconds=round(seconds, 1), validation=validate(), finished=True)
    _save(state, model, optimizer, ahead.state, step, seconds, finished=True)
    place.export(model)


class Ahead(Generic[Batch]):
    """Batches drawn one step ahead by a thread: drawing is Python, and the step before it is mostly not.

    `state` is that of the generator before the batch that is drawn but not yet used, so that a resumed run draws it again.
    """

    def __init__(self, draw: Callable[[np.random.Generator], Batch], rng: np.random.Generator):
        self._draw, self._rng = draw, rng
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._begin()

    def next(self) -> Batch:
        """The next batch; the one after it is begun."""
        batch = self._pending.result()
        self._begin()
        return batch

    def _begin(self) -> None:
        self.state = json.dumps(self._rng.bit_generator.state)
        self._pending = self._thread.submit(self._draw, self._rng)


class Timers:
    """Which of the regular duties of a stage are due."""

    def __init__(self, stage: Stage, seconds: float):
        self.log = _every(30.0, seconds)
        self.validate = _every(stage.validate_minutes * 60, seconds)
        self.save = _every(stage.save_minutes * 60, seconds)


def _every(period: float, start: float) -> Callable[[float], bool]:
    last = [start]

    def due(seconds: float) -> bool:
        if seconds - last[0] < period:
            return False
        last[0] = seconds
        return True

    return due


def _save(
    path: Path,
    model: Any,
    optimizer: torch.optim.Optimizer,
    rng: str,
    step: int,
    seconds: float,
    finished: bool = False,
) -> None:
    """Write the state beside its place and move it there, so that a kill leaves the old one whole."""
    import torch

    held = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": rng,
        "step": step,
        "seconds": seconds,
        "finished": finished,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(held, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)
