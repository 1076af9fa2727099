"""One score of a model in training: a small suite, run on the live model, with ordinary records.

The model is borrowed: it is put into evaluation mode without gradients, and afterwards its modes and the states of the
random generators are as they were, so that training goes on as if nothing had happened.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unite_bench.callbacks.subset import Difference, differences, mean_above_chance, pairs_with_full
from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import UsageError
from unite_bench.items import Item, Role
from unite_bench.protocol import Settings
from unite_bench.results import Result, committed_root
from unite_bench.running import DEFAULT_RESULTS, declared, run
from unite_bench.spec.catalogue import load_suite, tasks_of
from unite_bench.spec.model import Task

if TYPE_CHECKING:
    import torch

Wrap = Callable[["torch.nn.Module"], Embedder]


class AtStep(Embedder):
    """An embedder around a model in training, under a name of its own for every step."""

    def __init__(self, inner: Embedder, step: int):
        self.inner = inner
        self.card: EmbedderCard = replace(inner.card, name=f"{inner.card.name}@{step}", revision=f"step {step}")

    def cost(self, item: Item) -> float:
        return self.inner.cost(item)

    def upcoming(self, items: Sequence[Item], role: Role) -> None:
        self.inner.upcoming(items, role)

    def embed(self, items: Sequence[Item], role: Role) -> Vectors | torch.Tensor | Sequence[Vectors | torch.Tensor]:
        return self.inner.embed(items, role)


class CheckpointScore:
    """Scores the model that `wrap` makes an embedder of, on the tasks of `suite` that its card can do.

    `wrap` is called with the model anew each time; `setup` of what it returns is not, since the model is where it is.
    Records are written under `results` as `NAME@STEP`. Vectors are thrown away: the next step has others.
    """

    def __init__(self, wrap: Wrap, suite: str = "checkpoint", results: Path | str = DEFAULT_RESULTS):
        self.wrap = wrap
        self.suite = load_suite(suite)
        self.results = Path(results)

    def begin(self, model: torch.nn.Module) -> None:
        """What can be wrong is said before training, not after its first hours.

        Raises UsageError if the embedder can do none of the tasks, ModelError if it cannot be told from another.
        """
        embedder = self.wrap(model)
        fingerprint(embedder, "float32")
        if not self._tasks(embedder):
            raise UsageError(
                f"{embedder.card.name} can do none of the tasks of {self.suite.name}: {embedder.card.modalities}"
            )

    def __call__(self, model: torch.nn.Module, step: int) -> dict[str, float]:
        """`unite_bench_mean`, the mean over tasks of (score - chance) / (1 - chance), and the primary measure of every task.

        A task that fails is warned of and left out, and then there is no mean.
        """
        start = time.monotonic()
        embedder = AtStep(self.wrap(model), step)
        tasks = self._tasks(embedder)
        found: list[Result] = []
        with undisturbed(model), tempfile.TemporaryDirectory() as store:
            for outcome in run(embedder, tasks, _settings(model), results_root=self.results, store=Path(store)):
                if outcome.result is None:
                    warnings.warn(f"{outcome.task.name} gave no score: {outcome.reason}", stacklevel=2)
                else:
                    found.append(outcome.result)
        scores = {f"unite_bench_{result.task}": result.primary for result in found}
        if len(found) == len(tasks):
            scores["unite_bench_mean"] = mean_above_chance(found)
        over = f"mean of {len(tasks)} task{'s' * (len(tasks) > 1)}"
        said = f"{100 * scores.get('unite_bench_mean', np.nan):.1f} % above chance, {over}"
        took = f"in {time.monotonic() - start:.0f} s"
        far = "" if self.suite.variant is None else f"; {self.difference(tasks)}"
        sys.stderr.write(f"{embedder.card.name} on {self.suite.name}: {said}, {took}{far}\n")
        return scores

    def difference(self, tasks: Sequence[Task]) -> Difference:
        """How far the mean over these tasks has been from that over the full ones, in results of both."""
        return differences(pairs_with_full(self.suite, tasks), (committed_root(), self.results))

    def _tasks(self, embedder: Embedder) -> list[Task]:
        return [task for task in tasks_of(self.suite) if declared(task) <= embedder.card.modalities]


def _settings(model: torch.nn.Module) -> Settings:
    """Where the model is, and in what dtype, for the record."""
    first = next(model.parameters(), None)
    if first is None:
        return Settings()
    return Settings(device=first.device.type, dtype=str(first.dtype).removeprefix("torch."))


@contextmanager
def undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients; afterwards the mode of every module and all random states are as before."""
    import torch

    modes = [(module, module.training) for module in model.modules()]
    states = random.getstate(), np.random.get_state()
    devices = {parameter.device.index for parameter in model.parameters() if parameter.is_cuda}
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=sorted(d for d in devices if d is not None)):
            yield
    finally:
        for module, training in modes:
            module.training = training
        random.setstate(states[0])
        np.random.set_state(states[1])
