"""The frames in an order drawn from the clip's content: motion can be seen, its direction and what came first cannot."""

from __future__ import annotations

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.reading import AXES, in_order, told
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import frames
from unite_bench.items import Item


class ShuffledFramesEmbedder(Shortcut):
    """The reading of a sequence of frames, after shuffling."""

    card = shortcut_card("shuffled-frames", len(AXES), frozenset({"text", "video"}))
    expected_failures = {"undeclared": "a picture is a clip of one frame"}

    def of_text(self, text: str) -> Vectors:
        return told(text)

    def of_media(self, item: Item) -> Vectors:
        shown = frames(item)
        random = np.random.default_rng(int(item.digest[:32], 16))
        return in_order([shown[k] for k in random.permutation(len(shown))])
