"""For the trainers of sentence-transformers: an evaluator, which its trainers and `model.evaluate` take as any other.

SentenceTransformerTrainer(..., evaluator=CheckpointEvaluator())
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator

from unite_bench.callbacks.scoring import CheckpointScore, Wrap
from unite_bench.embedders.sentence_transformer import SentenceTransformerEmbedder
from unite_bench.running import DEFAULT_RESULTS


class LiveModel(SentenceTransformerEmbedder):
    """A model in memory, with the prompts and roles that `st:` would give it."""

    def __init__(self, model: Any, name: str = "model"):
        super().__init__(name)
        self._model = model

    @property
    def folder(self) -> Path:
        return Path(self.name)

    def weights(self) -> tuple[Path, ...]:
        return ()


class CheckpointEvaluator(SentenceEvaluator):  # type: ignore[misc]
    """Scores under `unite_bench_...`; the primary one is their mean. `wrap` makes an embedder of the model."""

    def __init__(self, wrap: Wrap = LiveModel, suite: str = "checkpoint", results: Path | str = DEFAULT_RESULTS):
        super().__init__()
        self.score = CheckpointScore(wrap, suite, results)
        self.primary_metric = "unite_bench_mean"
        self.greater_is_better = True

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """`steps` names the records; without a trainer it is -1."""
        return self.score(model, steps)
