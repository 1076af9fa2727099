"""What happens beside the steps of a stage: its log, its saved states, its score on a suite of the harness."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

from unite_bench.callbacks.transformers import CheckpointCallback
from unite_bench.encode.store import publish
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    from reference_model.train.recipe import Checkpoints

WHOLE = "whole"  # in a state's folder: everything of it has been written
PREFIX = "checkpoint-"


def last_state(folder: Path) -> Path | None:
    """The newest state under the folder that was written to its end."""
    whole = [path.parent for path in folder.glob(f"{PREFIX}*/{WHOLE}")]
    return max(whole, key=state_step, default=None)


def state_step(state: Path | None) -> int:
    """The step of a state's folder; 0 where there is none."""
    return 0 if state is None else int(state.name.removeprefix(PREFIX))


class Log(TrainerCallback):  # type: ignore[misc]
    """One line of JSON a log step, and one a score, in `training.jsonl`; a resumed run goes on after its state's step."""

    def __init__(self, path: Path, stage: str):
        self.path, self.stage = path, stage
        self._started = self._begun = time.monotonic()
        self._first = 1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]  # a kill may have torn the last
        kept = [line for line in whole if json.loads(line)["step"] <= state.global_step]
        self._started = time.monotonic() - (json.loads(kept[-1])["seconds"] if kept else 0.0)
        self._first, self._begun = state.global_step + 1, time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        publish(self.path, "".join(kept).encode())

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step == state.max_steps:
            control.should_log = True  # a stage of few steps has a line as well
        if state.global_step == self._first and state.is_world_process_zero:
            took = time.monotonic() - self._begun
            sys.stderr.write(f"{self.stage}: first step, of {state.max_steps:,}, took {took:.1f} s\n")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or logs is None:
            return
        row: dict[str, Any] = {"stage": self.stage, "step": state.global_step}
        row["seconds"] = round(time.monotonic() - self._started, 1)
        if "loss" in logs:
            row |= {
                "rate" if name == "learning_rate" else name: value for name, value in logs.items() if name != "epoch"
            }
        elif any(name.startswith("eval_") for name in logs):
            named = {name.removeprefix("eval_"): value for name, value in logs.items() if name.startswith("eval_")}
            row["validation"] = {name.removeprefix("unite_bench_"): value for name, value in named.items()}
        else:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if "loss" in row:
            left = row["seconds"] / max(state.global_step, 1) * (state.max_steps - state.global_step)
            took = f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min"
            said = f"step {state.global_step:,} of {state.max_steps:,}, loss {row['loss']:.4f}, {took} left"
            sys.stderr.write(f"{self.stage}: {said}\n")


class States(TrainerCallback):  # type: ignore[misc]
    """Asks for a state every so many minutes, as the first process counts them, and marks each that is whole. Only then do
    older ones go: there is always a whole one."""

    def __init__(self, checkpoints: Checkpoints):
        self.period = None if checkpoints.minutes is None else checkpoints.minutes * 60
        self.keep = checkpoints.keep
        self._last = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.period is not None and _first_says(time.monotonic() - self._last >= self.period, args.device):
            self._last = time.monotonic()
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if dist.is_initialized():
            dist.barrier()  # every process has written its random state
        if state.is_world_process_zero:
            folder = Path(args.output_dir)
            (folder / f"{PREFIX}{state.global_step}" / WHOLE).touch()
            kept = sorted((path.parent for path in folder.glob(f"{PREFIX}*/{WHOLE}")), key=state_step)[-self.keep :]
            for old in set(folder.glob(f"{PREFIX}*")) - set(kept):
                shutil.rmtree(old, ignore_errors=True)  # what is left of it goes the next time


def _first_says(due: bool, device: torch.device) -> bool:
    if not dist.is_initialized():
        return due
    said = torch.tensor([int(due)], device=device)
    dist.broadcast(said, src=0)
    return bool(said.item())


@contextmanager
def first_process(what: str, device: torch.device) -> Iterator[None]:
    """Around what the first process does alone, under this name. The others wait for it, and where it fails, they end too.
    Raises ModelError in them."""
    done = False
    try:
        yield
        done = True
    finally:
        done = _first_says(done, device)
    if not done:
        raise ModelError(f"{what} failed in the first process, which says why; mend that, and start all of them again")


class InFirstProcess(TrainerCallback):  # type: ignore[misc]
    """A callback that scores the model in the first process alone, every `steps` steps and at the end."""

    def __init__(self, scores: TrainerCallback, steps: int):
        self.scores, self.steps = scores, steps

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        with first_process("the evaluation", args.device):
            self.scores.on_train_begin(args, state, control, **kwargs)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self.steps == 0 or state.global_step == state.max_steps:
            with first_process("the evaluation", args.device):
                self.scores.on_step_end(args, state, control, **kwargs)


class Evaluation(CheckpointCallback):
    """The harness's score of a small suite after a step: `InFirstProcess` says after which."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._once(state, kwargs["model"])
