"""Embedders that know nothing: what they score is what a task gives away for free."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.items import KINDS, Item, Role, content_digest

EVERY_MODALITY = frozenset("+".join(chosen) for n in (1, 2, 3) for chosen in combinations(KINDS, n))
UNDECODED = "media are never decoded"  # why checks of decoding are expected to fail
UNDECODED_FAILURES = {
    **{f"image-{form}": UNDECODED for form in ("rgba", "cmyk", "16-bit", "exif", "animated")},
    "corrupt-media": UNDECODED,
}


class RandomEmbedder(Embedder):
    """A normal vector drawn from the item's content, its role and a seed: repeatable, and unrelated across roles."""

    expected_failures = UNDECODED_FAILURES

    def __init__(self, seed: str = "0"):
        self.seed = int(seed)
        self.card = EmbedderCard(
            name=f"random-{self.seed}" if self.seed else "random",
            modalities=EVERY_MODALITY,
            dim=64,
            revision="1",
            training_sets=frozenset(),
        )

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        rows = [self._draw(item, role) for item in items]
        return np.stack(rows).astype(np.float32)

    def _draw(self, item: Item, role: Role) -> Vectors:
        digest = content_digest(item.digest, item.instruction or "", role, str(self.seed))
        return np.random.default_rng(int(digest[:32], 16)).standard_normal(self.card.dim)


class ConstantEmbedder(Embedder):
    """The same vector for everything. Whatever it scores above chance is a fault of the scoring."""

    card = EmbedderCard(
        name="constant",
        modalities=EVERY_MODALITY,
        dim=8,
        revision="1",
        role_matters=False,
        instruction_matters=False,
        training_sets=frozenset(),
    )
    expected_failures = {
        **dict.fromkeys(("collapse", "stale-cache", "fused"), "one vector for everything"),
        "corrupt-media": UNDECODED,
    }

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        return np.ones((len(items), self.card.dim), dtype=np.float32)
