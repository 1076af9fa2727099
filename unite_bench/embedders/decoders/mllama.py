"""Llama 3.2 Vision (mllama): from items to the states of the decoder, which looks at pictures by cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unite_bench import media
from unite_bench.embedders.decoders.model_file import ModelFile
from unite_bench.embedders.decoders.prompt import segments_of
from unite_bench.embedders.decoders.tokens import padded, running, token_ids
from unite_bench.items import Image, Item, Role

if TYPE_CHECKING:
    import torch


class Mllama:
    """A loaded model with the tokenizer and image processor of its folder, under a model file."""

    def __init__(self, model: Any, tokenizer: Any, processor: Any, file: ModelFile):
        self.model, self.tokenizer, self.processor = model, tokenizer, processor
        self.file: Any = file  # checked to hold no `unknown`
        self.image_id = int(model.config.image_token_id)

    def states(self, items: Sequence[Item], role: Role) -> tuple[torch.Tensor, torch.Tensor]:
        """Final hidden states (n, length, width) and the attention mask (n, length). All items have pictures, or none."""
        rows = [self.ids(item, role) for item in items]
        side, device = self.file.padding, self.model.device
        ids = padded(rows, self.tokenizer.pad_token_id or 0, side, device)  # masked: any token will do
        mask = padded([[1] * len(row) for row in rows], 0, side, device)
        pictures = [[part for part in item.parts if isinstance(part, Image)] for item in items]
        seen = self._seen(pictures, ids, mask) if any(pictures) else {}
        found = self.model(input_ids=ids, attention_mask=mask, position_ids=running(mask), **seen, use_cache=False)
        states: torch.Tensor = found.last_hidden_state
        return states, mask

    def ids(self, item: Item, role: Role) -> list[int]:
        """The token ids of an item's prompt; one token stands for a picture."""
        count = sum(isinstance(part, Image) for part in item.parts)
        segments = segments_of(self.file.prompt, item, role, [self.file.prompt.image] * count)
        return token_ids(segments, [(self.image_id, 1)] * count, self.tokenizer, (self.image_id,), self.file)

    def _seen(
        self, pictures: Sequence[Sequence[Image]], ids: torch.Tensor, mask: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The tiles of one picture a row, and which of them each token sees: all of its picture's, from its place on."""
        import torch
        from PIL import Image as Pillow

        images = [[Pillow.fromarray(media.pixels(part)) for part in row] for row in pictures]
        done = self.processor(images=images, return_tensors="pt")
        most = int(self.processor.max_image_tiles)
        tiles = torch.arange(most) < torch.tensor([row[0] for row in done["num_tiles"]])[:, None]
        after = ((ids == self.image_id).cumsum(-1) > 0) & (mask > 0)
        seen = after.cpu()[:, :, None, None] & tiles[:, None, None, :]
        found = {name: done[name].to(ids.device) for name in ("aspect_ratio_ids", "aspect_ratio_mask")}
        found["pixel_values"] = done["pixel_values"].to(ids.device, self.model.dtype)
        return {**found, "cross_attention_mask": seen.to(ids.device, torch.int64)}
