"""Colour and gradient statistics of a picture: what low-level appearance alone is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.items import RGB, Image, Item, Role, Video

CELLS = 4  # the picture is described in 4 x 4 cells
ORIENTATIONS = 6


class PixelsEmbedder(Embedder):
    """Mean colour and a histogram of gradient orientations per cell; frames of a clip averaged. Looks at media only."""

    card = EmbedderCard(
        name="pixels",
        modalities=frozenset({"image", "video", "image+text", "text+video", "image+video"}),
        dim=CELLS * CELLS * (3 + ORIENTATIONS),
        revision="1",
        role_matters=False,
        instruction_matters=False,
        training_sets=frozenset(),
    )
    expected_failures = {"fused": "it looks at media only"}

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        return np.stack([self._vector(item) for item in items]).astype(np.float32)

    def _vector(self, item: Item) -> Vectors:
        shown: list[RGB] = []
        for part in item.parts:
            if isinstance(part, Image):
                shown.append(media.pixels(part))
            elif isinstance(part, Video):
                shown.extend(media.frames(part).pixels)
        return np.asarray(np.mean([describe(picture) for picture in shown], axis=0))


def describe(picture: RGB) -> Vectors:
    """(CELLS * CELLS * 9,) float64: colours around mid-grey, then orientation histograms weighted by gradient length."""
    from PIL import Image as Pillow

    small = np.asarray(Pillow.fromarray(picture).resize((64, 64), Pillow.Resampling.BOX), dtype=np.float64) / 255.0
    down, right = np.gradient(small.mean(axis=2))
    length = np.hypot(down, right)
    bins = ((np.arctan2(down, right) % np.pi) / np.pi * ORIENTATIONS).astype(np.int64) % ORIENTATIONS
    oriented = (bins[..., None] == np.arange(ORIENTATIONS)) * length[..., None]
    side = 64 // CELLS
    cells = (
        np.concatenate([small - 0.5, 4.0 * oriented], axis=2).reshape(CELLS, side, CELLS, side, -1).mean(axis=(1, 3))
    )
    flat = np.asarray(cells.reshape(-1), dtype=np.float64)
    flat[0] += 1e-6  # a picture of even mid-grey would have no direction
    return flat
