"""For the Trainer of transformers: a score at every evaluation and at every saved checkpoint.

    trainer.add_callback(CheckpointCallback(MyEmbedder, trainer.log))

where `MyEmbedder(model)` is an embedder around the model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from unite_bench.callbacks.scoring import CheckpointScore, Wrap
from unite_bench.running import DEFAULT_RESULTS

if TYPE_CHECKING:
    import torch
    from transformers import TrainerControl, TrainerState, TrainingArguments


class CheckpointCallback(TrainerCallback):  # type: ignore[misc]
    """`log` gets the scores under `eval_unite_bench_...`, once a step and in the first process alone. At an evaluation they
    join its metrics too, so that `metric_for_best_model="eval_unite_bench_mean"` works (in a single process).
    """

    def __init__(
        self,
        wrap: Wrap,
        log: Callable[[dict[str, float]], None],
        suite: str = "checkpoint",
        results: Path | str = DEFAULT_RESULTS,
    ):
        self.score = CheckpointScore(wrap, suite, results)
        self.log = log
        self._scored = -1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._scored = -1
        if state.is_world_process_zero:
            self.score.begin(kwargs["model"])

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        kwargs["metrics"].update(self._once(state, kwargs["model"]))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._once(state, kwargs["model"])

    def _once(self, state: TrainerState, model: torch.nn.Module) -> dict[str, float]:
        """The scores of this step, logged; nothing if it has been scored already."""
        if not state.is_world_process_zero or state.global_step == self._scored:
            return {}
        self._scored = state.global_step
        scores = {f"eval_{name}": value for name, value in self.score(model, state.global_step).items()}
        self.log(dict(scores))
        return scores
