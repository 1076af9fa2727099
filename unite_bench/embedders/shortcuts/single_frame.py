"""One frame for the whole clip: what is left of a task without time."""

from __future__ import annotations

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.reading import AXES, still, told
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import frames
from unite_bench.items import Item


class SingleFrameEmbedder(Shortcut):
    """The reading of the middle one of the shown frames."""

    card = shortcut_card("single-frame", len(AXES), frozenset({"text", "video"}))
    expected_failures = {"undeclared": "a picture is a clip of one frame"}

    def of_text(self, text: str) -> Vectors:
        return told(text)

    def of_media(self, item: Item) -> Vectors:
        shown = frames(item)
        return still(shown[len(shown) // 2])
