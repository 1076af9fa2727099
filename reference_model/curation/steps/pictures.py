"""Near pictures and clips: small thumbnails, their largest difference, and a perceptual hash that finds candidates.

The usual 64-bit hash of brightness (pHash) takes half of all edited scenes for copies; the largest difference of a block
in colour takes few, and hardly moves when a file is compressed or scaled (benchmarks/near_duplicates.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reference_model.curation.steps.bands import Bands, signs
from unite_bench import media
from unite_bench.errors import MediaError
from unite_bench.items import RGB, FramePolicy, Image, Video

SIDE = 16
FRAMES = 3  # of a clip
BANDS, BITS = 16, 16
ROWS_AT_ONCE = 65_536
Thumbnails = npt.NDArray[np.uint8]


def size(kind: str) -> int:
    """Values of one thumbnail of an `image` or a `video`."""
    return SIDE * SIDE * 3 * (FRAMES if kind == "video" else 1)


def thumbnail(part: Image | Video) -> Thumbnails:
    """Means of overlapping blocks of the picture, or of three frames of the clip at the centres of equal spans, flat uint8.

    Raises MediaError if the medium cannot be decoded.
    """
    if isinstance(part, Image):
        return _small(media.pixels(part)).ravel()
    shown = media.frames(part.under(FramePolicy(frames=FRAMES))).pixels
    thirds = [shown[(i * len(shown)) // FRAMES] for i in range(FRAMES)]  # a clip of fewer frames repeats some
    return np.concatenate([_small(frame) for frame in thirds]).ravel()


def thumbnail_of(part: Image | Video, row: str) -> Thumbnails:
    """The same; the error names the row."""
    try:
        return thumbnail(part)
    except MediaError as error:
        raise MediaError(f"row {row}: {error}; the step `validity` finds and drops such rows") from error


def _small(pixels: RGB) -> Thumbnails:
    from PIL import Image as Pillow

    return np.asarray(Pillow.fromarray(pixels).resize((SIDE, SIDE), Pillow.Resampling.BILINEAR))


def difference(first: Thumbnails, second: Thumbnails) -> npt.NDArray[np.int16]:
    """The largest difference of a block in a colour, 0 to 255: (n, size), (n, size) -> (n,)."""
    return np.asarray(np.abs(first.astype(np.int16) - second.astype(np.int16)).max(axis=1))


def bands_of(thumbnails: Thumbnails) -> Bands:
    """Signs of projections on random vectors of +1 and -1 in equal numbers, (n, size) -> (n, BANDS).

    Every sum is a whole number below 2^24, so single precision is exact and the hash is the same on every machine.
    """
    projections = _projections(thumbnails.shape[1])
    blocks = [thumbnails[start : start + ROWS_AT_ONCE] for start in range(0, len(thumbnails), ROWS_AT_ONCE)]
    return np.concatenate([signs(block.astype(np.float32) @ projections, BITS) for block in blocks])


def _projections(length: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(16)
    halves = np.where(np.arange(length) % 2, -1.0, 1.0)
    columns: list[Any] = [rng.permutation(halves) for _ in range(BANDS * BITS)]
    return np.stack(columns, axis=1).astype(np.float32)
