"""The reading of `shuffled-frames` in the order shown: it solves the temporal quartets, so what that one loses is time."""

from __future__ import annotations

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.reading import AXES, in_order, told
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import frames
from unite_bench.items import Item


class OrderedFramesEmbedder(Shortcut):
    """Displacements from frame to frame, and who is gone when."""

    card = shortcut_card("ordered-frames", len(AXES), frozenset({"text", "video"}))

    def of_text(self, text: str) -> Vectors:
        return told(text)

    def of_media(self, item: Item) -> Vectors:
        return in_order(frames(item))
