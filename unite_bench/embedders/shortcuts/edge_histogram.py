"""Shape words against the directions of the edges in the pixels."""

from __future__ import annotations

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import frames
from unite_bench.embedders.shortcuts.words import attributes
from unite_bench.items import RGB, Item

_BINS = 12  # of 15 degrees; the angle is that of the gradient, so an upright edge is in bin 0 and a level one in bin 6
_EDGES: dict[str, tuple[int, ...]] = {  # bins in which a drawn shape has its edges
    "circle": tuple(range(_BINS)),
    "square": (0, 0, 6, 6),
    "triangle": (2, 6, 10),
    "star": (1, 3, 5, 7, 9, 11),
    "cross": (0, 0, 0, 6, 6, 6),
    "heart": (0, 2, 3, 4, 8, 9, 10),
    "diamond": (3, 3, 9, 9),
    "moon": tuple(range(_BINS)),
}


class EdgeHistogramEmbedder(Shortcut):
    """Histograms of unit length around their mean; frames of a clip averaged."""

    card = shortcut_card("edge-histogram", _BINS + 1)
    expected_failures = {
        **dict.fromkeys(("stale-cache", "fused"), "it reads the names of a few shapes, which a text may lack"),
        "image-1x1": "one pixel has no edges",
    }

    def of_text(self, text: str) -> Vectors:
        total = np.zeros(_BINS)
        for shape, number in attributes(text).items():
            total[:] += number * np.bincount(_EDGES.get(shape, ()), minlength=_BINS)
        return _centred(total)

    def of_media(self, item: Item) -> Vectors:
        return _centred(np.mean([orientations(frame) for frame in frames(item)], axis=0))


def orientations(frame: RGB) -> Vectors:
    """Gradient directions of the grey picture, weighted by length, (_BINS,)."""
    down, right = np.gradient(frame.astype(np.float64).mean(axis=2))
    length = np.hypot(down, right)
    bins = np.rint(np.arctan2(down, right) % np.pi / np.pi * _BINS).astype(np.int64) % _BINS
    return np.asarray(np.bincount(bins.ravel(), weights=length.ravel(), minlength=_BINS), dtype=np.float64)


def _centred(histogram: Vectors) -> Vectors:
    spread = histogram - histogram.mean()
    length = np.linalg.norm(spread)
    return np.append(spread / length if length > 0 else spread, 1e-3)
