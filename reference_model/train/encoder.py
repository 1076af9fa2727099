"""The model as it is trained: a batch's prompts and media -> vectors, in forward passes over rows of like length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn

from reference_model.backbone import Prepared, last_states
from reference_model.train.batches import length_groups
from reference_model.train.feature_store import FeatureStore, Ready
from reference_model.train.media import Medium, Pending

if TYPE_CHECKING:
    from reference_model.backbone import Backbone


class Encoder(nn.Module):
    """One forward call a batch (or chunk), as data parallelism wants it, whatever number of passes that takes.

    `adapted` is the `PeftModel` around the backbone's model. `store` keeps the features that had to be computed. The loss's
    temperature lives here as a logarithm, so that it is saved, moved and, where it is learned, trained with the adapters.
    """

    def __init__(
        self,
        adapted: Any,
        backbone: Backbone,
        tokens: int,
        temperature: float,
        learned: bool,
        store: FeatureStore | None,
    ):
        super().__init__()
        self.adapted = adapted
        self.log_temperature = nn.Parameter(torch.tensor([temperature]).log(), requires_grad=learned)
        self._backbone = backbone
        self._tokens = tokens
        self._store = store
        self.in_step = False  # where the weights are divided among processes

    @property
    def temperature(self) -> torch.Tensor:
        return self.log_temperature.exp()[0]

    def forward(self, prompts: Sequence[Prepared], media: Sequence[list[Medium]]) -> torch.Tensor:
        """(n, width) fp32, L2-normalised, in the order of the prompts."""
        self._fill(media)
        held = [self._features(own) for own in media]
        groups = length_groups([len(prompt) for prompt in prompts], self._tokens)
        if self.in_step:
            groups = in_step(groups, self._backbone.device)
        model = self._backbone.model
        states = [last_states(model, [prompts[i] for i in rows], [held[i] for i in rows]) for rows in groups]
        place = {row: number for number, row in enumerate(row for rows in groups for row in rows)}
        vectors = nn.functional.normalize(torch.cat(states).float(), dim=-1)
        own = vectors[torch.tensor([place[row] for row in range(len(prompts))], device=vectors.device)]
        return own + 0 * vectors.sum() if len(own) < len(vectors) else own

    def _fill(self, media: Sequence[list[Medium]]) -> None:
        """Pending media take their features, in place. One medium at a time: what they are must not depend on a batch."""
        done: dict[str, Ready] = {}
        for own in media:
            for place, medium in enumerate(own):
                if isinstance(medium, Ready):
                    continue
                if medium.key not in done:
                    done[medium.key] = self._known(medium.key) or self._computed(medium)
                own[place] = done[medium.key]

    def _known(self, key: str) -> Ready | None:
        """What was computed since this batch was prepared."""
        return None if self._store is None else self._store.get(key)

    def _computed(self, medium: Pending) -> Ready:
        with torch.no_grad():
            features = self._backbone.visual(medium.patches.to(self._backbone.device), [medium.grid])
        ready = Ready(features.to(torch.bfloat16), medium.grid)
        if self._store is not None:
            self._store.put(medium.key, ready)
        return ready

    def _features(self, own: list[Medium]) -> torch.Tensor | None:
        pieces = [medium.features.to(self._backbone.device) for medium in own if isinstance(medium, Ready)]
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0] if pieces else None


def in_step(groups: list[list[int]], device: torch.device) -> list[list[int]]:
    """As many groups as the process with most of them has: where the weights are divided (FSDP), every forward pass is a
    meeting of all processes. The largest groups are halved; where each is one row, one is run again, to no effect."""
    most = torch.tensor([len(groups)], device=device)
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    while len(groups) < int(most.item()):
        largest = max(groups, key=len)
        if len(largest) == 1:
            groups = [*groups, largest]
        else:
            half = len(largest) // 2
            groups = [*(group for group in groups if group is not largest), largest[:half], largest[half:]]
    return groups
