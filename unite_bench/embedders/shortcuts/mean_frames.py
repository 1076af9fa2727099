"""The mean over the frames, each read by itself: a clip as a bag of pictures."""

from __future__ import annotations

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.reading import AXES, still, told
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import frames
from unite_bench.items import Item


class MeanFramesEmbedder(Shortcut):
    """The mean of the readings of the frames."""

    card = shortcut_card("mean-frames", len(AXES), frozenset({"text", "video"}))
    expected_failures = {"undeclared": "a picture is a clip of one frame"}

    def of_text(self, text: str) -> Vectors:
        return told(text)

    def of_media(self, item: Item) -> Vectors:
        # sorted, so that equal bags of frames give equal sums to the last bit
        return np.asarray(np.sort([still(frame) for frame in frames(item)], axis=0).mean(axis=0))
