"""UNITE's stages as a `transformers.Trainer`: batches in a planned order, the masked loss, states that resume."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from reference_model.adapters import WEIGHTS
from reference_model.backbone import Prepared
from reference_model.train.adapters import adapter_weights, load_adapters, trained
from reference_model.train.bad_rows import BadRows
from reference_model.train.batch import Batch, Batches, Loader
from reference_model.train.encoder import Encoder
from reference_model.train.gradient_cache import cached_step
from reference_model.train.media import Medium
from reference_model.train.objective import Objective, summary
from reference_model.train.recipe import Stage
from unite_bench.errors import DataError, ModelError

TEMPERATURE_FILE = "temperature.json"
Chunk = tuple[list[Prepared], list[list[Medium]]]


class ContrastiveTrainer(Trainer):  # type: ignore[misc]
    """Trains the adapters of an `Encoder`.

    Its dataset is all batches of all epochs, so that for the Trainer a run is one epoch; a resumed run starts its loader at
    the batch where it stopped.
    """

    def __init__(
        self,
        encoder: Encoder,
        batches: Batches,
        stage: Stage,
        arguments: TrainingArguments,
        workers: int,
        bad_rows: BadRows,
        callbacks: Sequence[TrainerCallback] = (),
    ):
        super().__init__(encoder, arguments, train_dataset=batches, callbacks=list(callbacks))
        self.remove_callback(PrinterCallback)
        self.loss_is_scaled_for_ga = False  # each batch of a step gives a mean of its own
        self.stage, self.objective = stage, Objective(stage.loss)
        self._workers, self._bad_rows = workers, bad_rows
        self._saved = 0
        self._described = torch.zeros(2, 2, 8, dtype=torch.float64)

    def get_train_dataloader(self) -> Loader:
        return Loader(self.train_dataset, self._first_batch, self._workers)

    def get_decay_parameter_names(self, model: Any) -> list[str]:
        """All but the temperature: its logarithm has no reason to be near 0."""
        return [name for name in super().get_decay_parameter_names(model) if not name.endswith("log_temperature")]

    def _run_epoch(self, *, steps_in_epoch: int, **given: Any) -> None:
        """A resumed run has fewer batches left than there are in all. The Trainer, which counts them from the start of its
        loader, would miss the last one, and with it the step of an uneven accumulation."""
        self._saved = int(self.state.global_step)
        super()._run_epoch(steps_in_epoch=steps_in_epoch - self._first_batch(), **given)

    def _first_batch(self) -> int:
        return int(self.state.global_step) * self.stage.batches.accumulate

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], None]:
        """The batches of a step. Too many bad rows end the run before it, in all processes, with its steps saved."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        try:
            for batch in batches:
                self._bad_rows.add(batch)
        except DataError:
            if self.state.global_step > self._saved:
                self._save_checkpoint(self.model, None)
                self.callback_handler.on_save(self.args, self.state, self.control)
            raise
        return batches, None

    def _get_num_items_in_batch(self, batch_samples: list[Batch], device: torch.device) -> None:
        return None

    def _prepare_inputs(self, inputs: Batch) -> Batch:
        return inputs.to(self.args.device)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self._saved = int(self.state.global_step)

    def floating_point_ops(self, inputs: Batch) -> int:
        return 0  # transformers' rule counts the tokens of one padded tensor; cost.py counts ours

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The loss of one batch, by one forward pass (or several, over rows of like length)."""
        vectors: torch.Tensor = model(inputs.prompts, inputs.media)
        self._described += self.objective.describe(vectors, inputs).cpu()
        return self.objective.loss(vectors, self.model.temperature, inputs)

    def training_step(self, model: Any, inputs: Batch, num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward of one batch; where the recipe sets a chunk, by the gradient cache."""
        size = self.stage.batches.chunk
        if size is None:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        model.train()
        batch = self._prepare_inputs(inputs)
        places = sorted(range(len(batch.prompts)), key=lambda place: len(batch.prompts[place]))
        back = torch.tensor(places).argsort().to(self.args.device)
        groups = [places[start : start + size] for start in range(0, len(places), size)]
        chunks: list[Chunk] = [([batch.prompts[i] for i in own], [batch.media[i] for i in own]) for own in groups]

        def embed(chunk: Chunk) -> torch.Tensor:
            vectors: torch.Tensor = model(*chunk)
            return vectors

        def loss_of(vectors: torch.Tensor) -> torch.Tensor:
            self._described += self.objective.describe(vectors, batch).cpu()
            share: float = 1 / self.current_gradient_accumulation_steps
            return self.objective.loss(vectors[back], self.model.temperature, batch) * share

        with self.accelerator.no_sync(model):
            done = cached_step(embed, chunks, loss_of)
        self._average_gradients()
        return done

    def _average_gradients(self) -> None:
        """What data parallelism would do after one backward pass: here there were several, of unequal number."""
        if not dist.is_initialized():
            return
        for _, parameter in trained(self.model):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the negatives since the last line. Raises ModelError for a loss that is no number."""
        self.state.epoch = self.state.global_step / max(self.state.max_steps, 1)
        if "loss" in logs:
            if not math.isfinite(logs["loss"]):
                raise ModelError(
                    f"step {self.state.global_step}: the loss is {logs['loss']}; lower the rate, or train in float32"
                )
            described = self._described.clone()
            if dist.is_initialized():
                described = described.to(self.args.device)
                dist.all_reduce(described)
            logs |= summary(described)
            logs["temperature"] = self.model.temperature.item()
            self._described.zero_()
        due = self.control.should_log
        super().log(logs, start_time)
        if "loss" not in logs:
            self.control.should_log = due  # any line counts as the one that was due; a score is not that of the loss

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Adapters and temperature; everything else of the model is in the checkpoint that the stage started from."""
        if not self.args.should_save:
            return
        from safetensors.torch import save_file

        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(adapter_weights(self.model.adapted, state_dict), folder / WEIGHTS)
        said = {"log_temperature": self.model.log_temperature.item()}
        (folder / TEMPERATURE_FILE).write_text(json.dumps(said) + "\n", encoding="utf-8")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        load_adapters(self.model.adapted, folder)
        held = json.loads((folder / TEMPERATURE_FILE).read_text(encoding="utf-8"))
        with torch.no_grad():
            self.model.log_temperature.fill_(held["log_temperature"])
