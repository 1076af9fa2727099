"""Colour words against the shares of the colours in the pixels."""

from __future__ import annotations

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import PALETTE, frames, patches
from unite_bench.embedders.shortcuts.words import attributes
from unite_bench.items import Item


class ColourHistogramEmbedder(Shortcut):
    """Square roots of counts and of shares; frames of a clip averaged."""

    card = shortcut_card("colour-histogram", len(PALETTE) + 1)
    expected_failures = dict.fromkeys(("stale-cache", "fused"), "it reads a few colours, which a picture may lack")

    def of_text(self, text: str) -> Vectors:
        found = attributes(text)
        return np.sqrt([*(float(found[name]) for name in PALETTE), 1e-3])

    def of_media(self, item: Item) -> Vectors:
        seen = [patches(frame) for frame in frames(item)]
        shares = [float(np.mean([patch[name].area if name in patch else 0.0 for patch in seen])) for name in PALETTE]
        return np.sqrt([*shares, 1e-3])
