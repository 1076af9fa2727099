"""What most shortcuts have in common: a vector for a text, a vector for frames, and their sum for mixed items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.baselines import EVERY_MODALITY
from unite_bench.items import Item, Role


def shortcut_card(name: str, dim: int, modalities: frozenset[str] = EVERY_MODALITY) -> EmbedderCard:
    """The card of a shortcut: no role, no instruction, nothing learned; scores are dot products."""
    return EmbedderCard(
        name=name,
        modalities=modalities,
        dim=dim,
        similarity="dot",
        revision="1",
        role_matters=False,
        instruction_matters=False,
        training_sets=frozenset(),
    )


class Shortcut(Embedder):
    """Subclasses say what they make of a text and of the rest of an item; neither knows of the other."""

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        return np.stack([self._both(item) for item in items]).astype(np.float32)

    def _both(self, item: Item) -> Vectors:
        made = [self.of_text(item.text)] if item.text is not None else []
        if item.modality != "text":
            made.append(self.of_media(item))
        return np.asarray(np.sum(made, axis=0))

    @abstractmethod
    def of_text(self, text: str) -> Vectors:
        """(dim,) vector of a text, not zero."""

    @abstractmethod
    def of_media(self, item: Item) -> Vectors:
        """(dim,) vector of the pictures and clips of an item, not zero."""
