"""The model as it is trained: a batch's prompts and media -> vectors, in forward passes over rows of like length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from reference_model.backbone import Prepared, last_states
from reference_model.train.batches import length_groups
from reference_model.train.feature_store import Ready
from reference_model.train.media import Medium

if TYPE_CHECKING:
    from reference_model.backbone import Backbone

Keep = Callable[[str, Ready], None]


class Encoder(nn.Module):
    """One forward call a batch (or chunk), as data parallelism wants it, whatever number of passes that takes.

    `adapted` is the `PeftModel` around the backbone's model. `keep` gets the features that had to be computed. The loss's
    temperature lives here as a logarithm, so that it is saved, moved and, where it is learned, trained with the adapters.
    """

    def __init__(self, adapted: Any, backbone: Backbone, tokens: int, temperature: float, learned: bool, keep: Keep):
        super().__init__()
        self.adapted = adapted
        self.log_temperature = nn.Parameter(torch.tensor(temperature).log(), requires_grad=learned)
        self._backbone = backbone
        self._tokens = tokens
        self._keep = keep

    @property
    def temperature(self) -> torch.Tensor:
        return self.log_temperature.exp()

    def forward(self, prompts: Sequence[Prepared], media: Sequence[list[Medium]]) -> torch.Tensor:
        """(n, width) fp32, L2-normalised, in the order of the prompts."""
        self._fill(media)
        held = [self._features(own) for own in media]
        groups = length_groups([len(prompt) for prompt in prompts], self._tokens)
        model = self._backbone.model
        states = [last_states(model, [prompts[i] for i in rows], [held[i] for i in rows]) for rows in groups]
        order = torch.tensor([row for rows in groups for row in rows])
        vectors = nn.functional.normalize(torch.cat(states).float(), dim=-1)
        return vectors[torch.argsort(order).to(vectors.device)]

    def _fill(self, media: Sequence[list[Medium]]) -> None:
        """Pending media take their features, in place. One medium at a time: what they are must not depend on a batch."""
        done: dict[str, Ready] = {}
        for own in media:
            for place, medium in enumerate(own):
                if isinstance(medium, Ready):
                    continue
                if medium.key not in done:
                    with torch.no_grad():
                        device = self._backbone.device
                        features = self._backbone.visual(medium.patches.to(device), [medium.grid])
                    done[medium.key] = Ready(features.to(torch.bfloat16), medium.grid)
                    self._keep(medium.key, done[medium.key])
                own[place] = done[medium.key]

    def _features(self, own: list[Medium]) -> torch.Tensor | None:
        pieces = [medium.features.to(self._backbone.device) for medium in own if isinstance(medium, Ready)]
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0] if pieces else None
