"""Long texts with full pictures: the number of characters against the share of the picture that is drawn on."""

from __future__ import annotations

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import at_angle, frames, patches
from unite_bench.items import Item

_LONG = 120  # characters
_FULL = 0.2  # share of the pixels


class LengthEmbedder(Shortcut):
    """Length of the text, ink of the pixels; of a clip, the mean over its frames."""

    card = shortcut_card("length", 2)
    expected_failures = dict.fromkeys(
        ("stale-cache", "fused"), "it reads the ink of a few colours, which a picture may lack"
    )

    def of_text(self, text: str) -> Vectors:
        return at_angle(len(text) / _LONG)

    def of_media(self, item: Item) -> Vectors:
        inks = [sum(patch.area for patch in patches(frame).values()) for frame in frames(item)]
        return at_angle(float(np.mean(inks)) / _FULL)
