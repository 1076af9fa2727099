"""The model in training as an embedder of the harness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_model.embedder import MODALITIES, ReferenceEmbedder
from unite_bench.embedders.base import EmbedderCard

if TYPE_CHECKING:
    from reference_model.backbone import Backbone


class LiveEmbedder(ReferenceEmbedder):
    """A backbone in memory; it has no folder, no weights to be told by, and its vectors are thrown away."""

    def __init__(self, backbone: Backbone, name: str):
        super().__init__(name)
        self._backbone = backbone

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        assert self._backbone is not None
        return EmbedderCard(
            name=f"training:{self.checkpoint}",
            modalities=MODALITIES,
            dim=self._backbone.model.config.get_text_config().hidden_size,
            role_matters=False,
            instruction_matters=True,
            prompt="unite",
            max_frames=self._backbone.settings.max_frames,
            normalised=True,
            frame_order_matters=True,
        )

    def weights(self) -> Sequence[Path]:
        return ()


def live_embedder(backbone: Backbone, name: str) -> Callable[[Any], LiveEmbedder]:
    """For the callback: an embedder of the model, whichever module it hands over, because the backbone holds the same."""
    return lambda model: LiveEmbedder(backbone, name)
