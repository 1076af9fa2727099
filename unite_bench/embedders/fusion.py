"""Lifting an embedder of single modalities to fused items and clips by a declared rule, which the record names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.contract import Rows, as_rows
from unite_bench.embedders.handed_over import png
from unite_bench.items import Blob, Image, Item, Part, Role, Text, Video


class FusedEmbedder(Embedder):
    """`sum`: the normalised sum of the L2-normalised vectors of the parts. `mean-frames`: a clip is the normalised mean of
    its frames' normalised vectors. An instruction joins the first text part by a newline; without a text part it is
    a text part of its own. What the inner embedder can do by itself is left to it.

    With late interaction (`all-tokens`), an item has the tokens of all its parts, a clip those of all its frames.
    """

    def __init__(self, inner: Embedder):
        self.inner = inner
        kinds = {m for m in inner.card.modalities if "+" not in m}
        if "image" in kinds:
            kinds.add("video")
        lifted = frozenset({"+".join(sorted({a, b})) for a in kinds for b in kinds}) | inner.card.modalities
        self.card: EmbedderCard = replace(
            inner.card,
            name=f"{inner.card.name}+fused",
            modalities=lifted,
            fusion="all-tokens" if inner.card.similarity == "maxsim" else "sum, mean-frames",
            instruction_matters=True,
            normalised=inner.card.normalised if inner.card.similarity == "maxsim" else True,
            frame_order_matters=inner.card.frame_order_matters if "video" in inner.card.modalities else False,
        )

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        self.inner.setup(device, dtype)

    def cost(self, item: Item) -> float:
        return self.inner.cost(item)

    def embed(self, items: Sequence[Item], role: Role) -> Vectors | list[Rows]:
        shown = [[self._shown(part) for part in self._parts(item)] for item in items]
        flat = [piece for parts in shown for pieces in parts for piece in pieces]
        found = self._embed_by_modality(flat, role)
        if self.card.similarity == "maxsim":
            tokens = iter(found)
            return [np.concatenate([next(tokens) for pieces in parts for _ in pieces]) for parts in shown]
        rows = iter(_unit(np.concatenate(found)))
        return _unit(np.stack([sum(_unit(sum(next(rows) for _ in pieces)) for pieces in parts) for parts in shown]))

    def _embed_by_modality(self, pieces: Sequence[Item], role: Role) -> list[Rows]:
        """(tokens, dim) of every piece; the inner embedder sees one modality at a time, as it would in a plain run."""
        out: dict[int, Rows] = {}
        for name in sorted({piece.modality for piece in pieces}):
            places = [n for n, piece in enumerate(pieces) if piece.modality == name]
            found = self.inner.embed([pieces[n] for n in places], role)
            out.update(zip(places, as_rows(found, len(places), self.inner.card), strict=True))
        return [out[n] for n in range(len(pieces))]

    def _parts(self, item: Item) -> list[Item]:
        """The item itself if the inner embedder can do it, else one item a part."""
        card = self.inner.card
        if item.modality in card.modalities and (item.instruction is None or card.instruction_matters):
            return [item]
        parts = _with_instruction(item) if "text" in card.modalities else list(item.parts)
        return [Item((part,)) for part in parts]

    def _shown(self, item: Item) -> list[Item]:
        """The item itself, or one item a frame if it is a clip that the inner embedder cannot take."""
        (part, *others) = item.parts
        if others or not isinstance(part, Video) or "video" in self.inner.card.modalities:
            return [item]
        return [Item((Image(Blob(png(frame), "frame")),)) for frame in media.frames(part).pixels]


def _with_instruction(item: Item) -> list[Part]:
    parts = list(item.parts)
    if item.instruction is None:
        return parts
    for n, part in enumerate(parts):
        if isinstance(part, Text):
            parts[n] = Text(f"{item.instruction}\n{part.text}")
            return parts
    return [Text(item.instruction), *parts]


def _unit(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)
