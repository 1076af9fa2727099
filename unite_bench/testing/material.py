"""What the conformance kit shows to an embedder: a few texts, pictures and clips, made on the spot.

Pictures are real files (PNG, JPEG, GIF, TIFF) and clips real MP4 files, because decoding is a part of what is checked.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from unite_bench.items import KINDS, RGB, Blob, FramePolicy, Image, Item, Part, Text, Video

TEXTS = (
    "a red circle",
    "two dogs run along a beach at sunset",
    "snow",
    "The quarterly report shows that sales of bicycles rose by four percent, mostly in the north of the country.",
    "a recipe for lentil soup with cumin, garlic and a squeeze of lemon",
    "a blue square to the left of a green triangle",
)
INSTRUCTIONS = ("Find a picture that was taken at night.", "Find a recipe that uses the same vegetables.")
COLOURS = ((200, 30, 30), (20, 90, 200), (40, 160, 60), (230, 200, 40), (120, 60, 150), (60, 60, 60))
SIZES = ((64, 64), (120, 48), (48, 120), (96, 96), (33, 57), (224, 160))  # width, height
CLIPS = 4
FRAMES = 8


def items(modality: str, instruction: str | None = None) -> list[Item]:
    """Plainly different items of one modality; parts stand in the order image, video, text, as in a task."""
    kinds = sorted(modality.split("+"), key=("image", "video", "text").index)
    count = CLIPS if "video" in kinds else len(TEXTS)
    return [Item(tuple(part(kind, n) for kind in kinds), instruction) for n in range(count)]


def part(kind: str, number: int) -> Part:
    """The text, picture or clip of that number."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    if kind == "text":
        return Text(TEXTS[number])
    return picture(number) if kind == "image" else clip(number)


@cache
def picture(number: int) -> Image:
    """A PNG of a size of its own: a coloured shape on white."""
    return Image(Blob(encoded(drawn(*SIZES[number], number)), f"picture-{number}.png"))


def drawn(width: int, height: int, number: int) -> RGB:
    """(height, width, 3) pixels: an ellipse or a bar of the numbered colour, with stripes below."""
    down, across = np.mgrid[0:height, 0:width]
    x, y = across / width - 0.5, down / height - 0.5
    shape = x**2 + y**2 < 0.12 if number % 2 else (abs(x) < 0.35) & (abs(y) < 0.08 + 0.05 * number)
    canvas = np.full((height, width, 3), 255, dtype=np.uint8)
    canvas[(y > 0.3) & (across // (2 + number) % 2 == 0)] = 128
    canvas[shape] = COLOURS[number]
    return canvas


def encoded(pixels: RGB, form: str = "PNG", mode: str | None = None, **options: Any) -> bytes:
    """The pixels as the bytes of a file, converted to a Pillow mode if one is given."""
    from PIL import Image as Pillow

    made = Pillow.fromarray(pixels)
    buffer = io.BytesIO()
    (made.convert(mode) if mode else made).save(buffer, format=form, **options)
    return buffer.getvalue()


@cache
def clip(number: int) -> Video:
    """Eight frames of a square that moves across, down or both over a coloured ground, at even times."""
    return Video(Blob(movie(moving(number)), f"clip-{number}.mp4"), policy=FramePolicy(frames=FRAMES))


def moving(number: int, frames: int = FRAMES) -> list[RGB]:
    """Frames of 64 x 48 pixels in which a white square moves; no two of them are equal."""
    shown = []
    for n in range(frames):
        frame = np.empty((48, 64, 3), dtype=np.uint8)
        frame[:] = COLOURS[number]
        left = 4 + 6 * n if number % 2 == 0 else 26
        top = 2 + 4 * n if number >= 1 else 18
        frame[top : top + 12, left : left + 12] = 255
        shown.append(frame)
    return shown


def movie(frames: Sequence[RGB], seconds: Sequence[float] | None = None) -> bytes:
    """The frames as an MP4 file (MPEG-4 part 2), at even steps of 0.1 s or at the given times."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10, options={"qscale": "2"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for n, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = round(1000 * (seconds[n] if seconds is not None else n / 10))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()
