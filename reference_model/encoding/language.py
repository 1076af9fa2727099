"""The language model's pass over packed prompts, from which the state of each last token is taken.

Every prompt opens with the same words. Their keys and values are computed once and given to every later pass, so that
only what differs is run. A prompt that does not begin with those tokens is run whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_model.backbone import Backbone, Prepared
from reference_model.encoding.attention import Packing, Prefix, has_varlen, pack, packed
from reference_model.prompt import OPENING, VISION_START
from reference_model.states import deepstack, padded
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch

FOLLOWING = ("\n", " ", "a", "A", "1", ".", VISION_START)  # what may come after the opening, and merge with its end


class LanguagePass:
    """Last-token vectors of packed prompts. With `share` off, nothing is kept of the opening."""

    def __init__(self, backbone: Backbone, share: bool = True):
        self.backbone = backbone
        self._language_model = backbone.model.model.language_model
        if getattr(self._language_model, "has_sliding_layers", False):
            raise ModelError("the language model has sliding-window layers, which packed prompts do not know")
        weight = next(self._language_model.parameters())
        self.varlen = has_varlen(weight.device, weight.dtype)
        self.prefix = self._shared() if share else None

    def attending(self) -> AbstractContextManager[None]:
        """Within it `vectors` may be called; the model attends to packed prompts, and to nothing else."""
        return packed(self.backbone.model.model, self.varlen)

    def shares(self, prompt: Prepared) -> bool:
        """Whether the prompt begins with the shared tokens, and has more."""
        if self.prefix is None:
            return False
        ids = prompt.ids[: len(self.prefix.ids)]
        return len(prompt) > len(ids) and tuple(ids.tolist()) == self.prefix.ids

    def length(self, prompt: Prepared) -> int:
        """How many of the prompt's tokens are run."""
        return len(prompt) - (len(self.prefix.ids) if self.prefix is not None and self.shares(prompt) else 0)

    def vectors(self, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """(n, width) fp32 on the device, L2-normalised. Prompts either all share the prefix or none does.

        `features[i]` holds the visual features of prompt i, all its media in order, or None. Raises ModelError if their
        number is not that of the prompt's placeholders.
        """
        import torch

        prefix = self.prefix if self.shares(prompts[0]) else None
        packing = pack([self.length(prompt) for prompt in prompts], prefix, self.backbone.device, self.varlen)
        states = self._states(prompts, features, packing, None)
        last = packing.bounds[1:].long() - 1
        return torch.nn.functional.normalize(states[last].float(), dim=-1)

    def _states(
        self,
        prompts: Sequence[Prepared],
        features: Sequence[torch.Tensor | None],
        packing: Packing,
        cache: Any,
    ) -> torch.Tensor:
        """(tokens, width) final states of what is run of the prompts; with a cache, keys and values are left in it."""
        import torch

        skipped = 0 if packing.prefix is None else len(packing.prefix.ids)
        for prompt, held in zip(prompts, features, strict=True):
            wanted, given = int(prompt.visual.sum()), 0 if held is None else len(held)
            if wanted != given:
                raise ModelError(f"{wanted} visual placeholders but {given} visual features")
        row = Prepared(
            np.concatenate([prompt.ids[skipped:] for prompt in prompts]),
            np.concatenate([prompt.positions[:, skipped:] for prompt in prompts], axis=1),
            np.concatenate([prompt.visual[skipped:] for prompt in prompts]),
        )
        held_all = [held for held in features if held is not None]
        of_row = [torch.cat(held_all) if held_all else None]
        model = self.backbone.model
        embeddings, positions, _ = padded(model, [row], of_row)
        states: torch.Tensor = self._language_model(
            inputs_embeds=embeddings,
            position_ids=positions,
            past_key_values=cache,
            use_cache=cache is not None,
            packing=packing,
            **deepstack(model, [row], of_row),
        ).last_hidden_state
        return states[0]

    def _shared(self) -> Prefix | None:
        """Keys and values of the tokens with which every prompt begins, whatever follows the opening."""
        import torch
        from transformers import DynamicCache

        tokenizer = self.backbone.tokenizer
        beginnings = [tokenizer.encode(OPENING + text, add_special_tokens=False).ids for text in FOLLOWING]
        ids = tuple(step[0] for step in takewhile(lambda step: len(set(step)) == 1, zip(*beginnings, strict=False)))
        if not ids:
            return None
        count = len(ids)
        opening = Prepared(np.array(ids), np.tile(np.arange(count), (3, 1)), np.zeros(count, dtype=np.bool_))
        cache = DynamicCache(config=self._language_model.config)
        packing = pack([count], None, self.backbone.device, self.varlen)
        with torch.inference_mode(), self.attending():
            self._states([opening], [None], packing, cache)
        return Prefix(ids, tuple((layer.keys[0], layer.values[0]) for layer in cache.layers))
