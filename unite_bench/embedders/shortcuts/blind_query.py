"""A score that ignores the query: what the candidates alone give away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.baselines import EVERY_MODALITY, UNDECODED
from unite_bench.items import Item, Role

_DIM = 32


def hashed(item: Item, dim: int = _DIM) -> Vectors:
    """A normal vector drawn from the item's content."""
    return np.random.default_rng(int(item.digest[:32], 16)).standard_normal(dim)


class BlindQueryEmbedder(Embedder):
    """Every query is one vector; a candidate is a vector of its content. Exactly 1/2 pairwise and 0 for the group."""

    card = EmbedderCard(
        name="blind-query",
        modalities=EVERY_MODALITY,
        dim=_DIM,
        revision="1",
        instruction_matters=False,
        training_sets=frozenset(),
    )
    expected_failures = {
        **dict.fromkeys(("collapse", "stale-cache", "fused"), "one vector for every query"),
        "corrupt-media": UNDECODED,
    }

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        if role == "query":
            return np.ones((len(items), _DIM), dtype=np.float32)
        return np.stack([hashed(item) for item in items]).astype(np.float32)
