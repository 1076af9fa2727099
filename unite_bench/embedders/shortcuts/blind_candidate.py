"""A score that ignores the candidate: every candidate ties, so whatever is scored above chance is a fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unite_bench.embedders.base import Embedder, Vectors
from unite_bench.embedders.baselines import UNDECODED_FAILURES
from unite_bench.embedders.shortcuts.blind_query import BlindQueryEmbedder, hashed
from unite_bench.items import Item, Role


class BlindCandidateEmbedder(Embedder):
    """Every candidate is one vector; a query is a vector of its content."""

    card = replace(BlindQueryEmbedder.card, name="blind-candidate")
    expected_failures = {"collapse": "one vector for every candidate", **UNDECODED_FAILURES}

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        if role == "candidate":
            return np.ones((len(items), self.card.dim), dtype=np.float32)
        return np.stack([hashed(item) for item in items]).astype(np.float32)
