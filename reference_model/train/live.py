"""The model in training as an embedder of the harness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_model.checkpoint import Checkpoint
from reference_model.embedder import ReferenceEmbedder
from reference_model.encoding.engine import Engine
from unite_bench.embedders.base import EmbedderCard

if TYPE_CHECKING:
    from reference_model.backbone import Backbone


class LiveEmbedder(ReferenceEmbedder):
    """A backbone in memory under the rules of the checkpoint that its training started from. It has no weights to be told
    by: the records bear the step, and the vectors are thrown away."""

    def __init__(self, backbone: Backbone, start: Checkpoint, name: str):
        super().__init__(name)
        self.checkpoint = start
        self._engine = Engine([backbone])

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        return replace(super().card, name=f"training:{self.name}", training_sets=None)

    def weights(self) -> Sequence[Path]:
        return ()


def live_embedder(backbone: Backbone, start: Checkpoint, name: str) -> Callable[[Any], LiveEmbedder]:
    """For the callback: an embedder of the model, whichever module it hands over, because the backbone holds the same. A new
    one each time: an engine keeps the shared prefix of its prompts, which every step changes."""
    return lambda model: LiveEmbedder(backbone, start, name)
