"""For the Trainer of Lightning: a score after every validation, or every epoch where there is none.

    Trainer(callbacks=[CheckpointCallback(MyEmbedder)])

where `MyEmbedder(module)` is an embedder around the LightningModule.
"""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from unite_bench.callbacks.scoring import CheckpointScore, Wrap
from unite_bench.running import DEFAULT_RESULTS


class CheckpointCallback(Callback):  # type: ignore[misc]
    """Scores are logged under `unite_bench_...` by the first process, once a step, so that
    `ModelCheckpoint(monitor="unite_bench_mean", mode="max")` works.
    """

    def __init__(self, wrap: Wrap, suite: str = "checkpoint", results: Path | str = DEFAULT_RESULTS):
        self.score = CheckpointScore(wrap, suite, results)
        self._scored = -1

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._scored = -1
        if trainer.is_global_zero:
            self.score.begin(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._once(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._once(trainer, pl_module)

    def _once(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.is_global_zero and trainer.global_step != self._scored:
            self._scored = trainer.global_step
            module.log_dict(self.score(module, trainer.global_step), rank_zero_only=True)
