"""An embedder that is told the answers. It tests the harness and the task: anything below the maximum is a fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.baselines import EVERY_MODALITY
from unite_bench.errors import ModelError
from unite_bench.items import Item, Role, content_digest

Judged = Iterable[tuple[Item, Mapping[int, float]]]  # a query, and the grade of each candidate position judged positive


class OracleEmbedder(Embedder):
    """Candidates on axes of their own; a query is the sum of its positives' axes, longer for a higher grade."""

    card = EmbedderCard(name="oracle", modalities=EVERY_MODALITY, dim=1, revision="1", training_sets=frozenset())

    def __init__(self) -> None:
        self._vectors: dict[tuple[str, Role], Vectors] = {}

    def told(self, candidates: Sequence[Item], judged: Judged) -> OracleEmbedder:
        """The oracle of one task. `evaluate` calls this; no other embedder is ever told anything."""
        oracle = OracleEmbedder()
        oracle.card = replace(self.card, dim=len(candidates))
        oracle._given = (("answers", content_digest(*(_name(c) for c in candidates))),)
        axes = np.eye(len(candidates), dtype=np.float32)
        oracle._vectors = {(_name(c), "candidate"): axes[n] for n, c in enumerate(candidates)}
        for query, grades in judged:
            summed = sum((axes[n] * grade for n, grade in grades.items()), np.zeros(len(candidates), dtype=np.float32))
            key: tuple[str, Role] = (_name(query), "query")
            oracle._vectors[key] = np.maximum(summed, oracle._vectors.get(key, 0.0)) if grades else axes[0]
        return oracle

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        if not self._vectors:
            raise ModelError("the oracle embeds only within a task; use it with `run` or `evaluate`")
        return np.stack([self._vectors[_name(item), role] for item in items])


def _name(item: Item) -> str:
    return content_digest(item.content, item.instruction or "")
