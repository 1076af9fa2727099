"""A bag of hashed words and character n-grams: what word overlap alone is worth."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.items import Item, Role


class HashedTextEmbedder(Embedder):
    """Words, and their character 3- to 5-grams, hashed into signed buckets; square-root counts. Looks at text only."""

    card = EmbedderCard(
        name="hashed-text",
        modalities=frozenset({"text", "image+text", "text+video"}),
        dim=1024,
        revision="1",
        role_matters=False,
        instruction_matters=False,
        training_sets=frozenset(),
    )
    expected_failures = {
        "fused": "it looks at text only",
        "undeclared": "an item without text is an empty text",
        "corrupt-media": "it looks at text only",
    }

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        return np.stack([self._vector(item.text or "") for item in items])

    def _vector(self, text: str) -> Vectors:
        counts = np.zeros(self.card.dim, dtype=np.float32)
        for feature in _features(text):
            code = zlib.crc32(feature.encode())
            counts[code % self.card.dim] += 1.0 if code & 0x80000000 else -1.0
        if not counts.any():
            counts[0] = 1.0  # a text without a single word, or one whose buckets cancel
        return np.asarray(np.sign(counts) * np.sqrt(np.abs(counts)), dtype=np.float32)


def _features(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    grams = [f"#{w}#"[i : i + n] for w in words for n in (3, 4, 5) for i in range(len(w) + 3 - n)]
    return words + grams
