"""Long texts with large files: the bytes of the text against those of its pictures as PNG."""

from __future__ import annotations

import io

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.shortcut import Shortcut, shortcut_card
from unite_bench.embedders.shortcuts.shown import at_angle, frames
from unite_bench.items import RGB, Item

_LONG, _LARGE = 120, 6000  # bytes


class FileSizeEmbedder(Shortcut):
    """Sizes after compression; of a clip, the mean over its frames."""

    card = shortcut_card("file-size", 2)
    expected_failures = {"fused": "files of nearly one size have nearly one vector"}

    def of_text(self, text: str) -> Vectors:
        return at_angle(len(text.encode()) / _LONG)

    def of_media(self, item: Item) -> Vectors:
        return at_angle(float(np.mean([_png_bytes(frame) for frame in frames(item)])) / _LARGE)


def _png_bytes(frame: RGB) -> int:
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(frame).save(buffer, format="PNG", compress_level=1)
    return buffer.tell()
