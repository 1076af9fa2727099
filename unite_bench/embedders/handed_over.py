"""An item as plain data for another process: texts as they are, pictures and frames as PNG files in a folder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from unite_bench import media
from unite_bench.items import RGB, Image, Item, Part, Text


def handed_over(item: Item, folder: Path) -> dict[str, Any]:
    """`instruction` and `parts`: a text, the `path` of a picture, or the paths and times (seconds) of a clip's `frames`.

    Files are written to `folder` under the digest of what they show, so equal media are written once.
    """
    return {"instruction": item.instruction, "parts": [_part(part, folder) for part in item.parts]}


def png(pixels: RGB, level: int = 1) -> bytes:
    """(height, width, 3) uint8 pixels as the bytes of a PNG file."""
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, format="PNG", compress_level=level)
    return buffer.getvalue()


def _part(part: Part, folder: Path) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"kind": "text", "text": part.text}
    if isinstance(part, Image):
        path = folder / f"{part.digest}.png"
        if not path.exists():
            path.write_bytes(png(media.pixels(part)))
        return {"kind": "image", "path": str(path)}
    clip = media.frames(part)
    paths = [folder / f"{part.digest}-{n:04}.png" for n in range(len(clip.pixels))]
    for path, frame in zip(paths, clip.pixels, strict=True):
        if not path.exists():
            path.write_bytes(png(frame))
    return {"kind": "video", "frames": [str(path) for path in paths], "times": [float(t) for t in clip.times]}
