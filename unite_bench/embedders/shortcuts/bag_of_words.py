"""Words against the multiset of a scene's attributes: what is solved without knowing what belongs to what.

It reads the program behind a procedural picture or clip (colours, shapes, sizes, fills, number of things; not where they
are nor what they do), so it sees all that a perfect detector of parts would. For any other medium it knows nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.words import ATTRIBUTES, NUMBERS, attributes
from unite_bench.items import Item, Text


class BagOfWordsEmbedder(Shortcut):
    """Counts of attributes on both sides, and one axis more, so that no vector is zero."""

    card = shortcut_card("bag-of-words", len(ATTRIBUTES) + 1)
    expected_failures = dict.fromkeys(
        ("collapse", "stale-cache", "fused", "corrupt-media"), "it reads the programs of scenes only"
    )

    def of_text(self, text: str) -> Vectors:
        return _counts(attributes(text))

    def of_media(self, item: Item) -> Vectors:
        scenes = [getattr(part.medium, "scene", None) for part in item.parts if not isinstance(part, Text)]
        return _counts(sum((_of_scene(scene) for scene in scenes if scene is not None), Counter()))


def _of_scene(scene: Any) -> Counter[str]:
    found: Counter[str] = Counter()
    for thing in scene.things:
        found.update(dict.fromkeys((thing.colour, thing.shape, thing.size, thing.fill), thing.count))
    found[NUMBERS[min(sum(thing.count for thing in scene.things), len(NUMBERS)) - 1]] += 1
    return found


def _counts(found: Counter[str]) -> Vectors:
    return np.array([*(float(found[name]) for name in ATTRIBUTES), 1.0])
