"""Decoding: from a part of an item to pixels. The only place where files become arrays.

Pictures come out as RGB uint8 with EXIF orientation applied and alpha laid on white. For clips, one indexer (PyAV) builds
a *frame table*, the presentation time of every shown frame, once per clip; a policy chooses indices from it; the frames
are then asked for by index and checked by time, so every decoder and every model gets the same frames.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unite_bench.errors import MediaError
from unite_bench.items import RGB, Blob, ClipProgram, File, FramePolicy, Image, Item, PairedFrames, StillProgram, Video
from unite_bench.readers import FrameReader, Name, frame_reader
from unite_bench.readers.pyav_reader import frame_table

if TYPE_CHECKING:
    from PIL import Image as PillowImage

MAX_PIXELS = 100_000_000  # a picture above this (10,000 x 10,000) is refused before it is decoded


@dataclass(frozen=True)
class Clip:
    """Decoded frames: `pixels` (frames, height, width, 3) uint8 and `times` (frames,) in seconds."""

    pixels: npt.NDArray[np.uint8]
    times: npt.NDArray[np.float64]


def pixels(part: Image) -> RGB:
    """Decode a picture to (height, width, 3) uint8 RGB.

    Raises MediaError naming the medium if it is missing, truncated, no picture, or above MAX_PIXELS.
    """
    medium = part.medium
    if isinstance(medium, StillProgram):
        return medium.picture()
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # our own limit follows
            with Pillow.open(_openable(medium)) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise MediaError(_too_large(medium.name, picture.width, picture.height))
                picture.load()
                return np.asarray(_upright_on_white(picture))
    except Pillow.DecompressionBombError as error:
        raise MediaError(f"{medium.name}: more than {MAX_PIXELS:,} pixels; scale it down first") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(
            f"{medium.name}: not a readable picture ({error}); re-export the file or drop the row"
        ) from error


def frame_times(medium: File | Blob | ClipProgram) -> npt.NDArray[np.float64]:
    """Presentation time in seconds of every shown frame, ascending, the first at its own time stamp."""
    if isinstance(medium, ClipProgram):
        return np.asarray(medium.times(), dtype=np.float64)
    return _indexed_times(medium.digest, _Hidden(medium))


def resolve(item: Item) -> Item:
    """The item with the frames of each clip chosen by its policy (`Video.indices` filled in)."""
    if all(not isinstance(part, Video) or part.indices is not None for part in item.parts):
        return item
    chosen = (replace(p, indices=choose(p)) if isinstance(p, Video) and p.indices is None else p for p in item.parts)
    return replace(item, parts=tuple(chosen))


def choose(part: Video) -> tuple[int, ...]:
    """Frame indices that the part's policy picks from the frame table, within [start, end].

    Uniform sampling takes the centres of equal spans of the table; `fps` takes the frame shown at every 1/fps seconds.
    A clip with fewer frames than asked for gives each of its frames once.
    """
    times = frame_times(part.medium)
    span = np.flatnonzero(
        (times >= (part.start if part.start is not None else -np.inf))
        & (times <= (part.end if part.end is not None else np.inf))
    )
    if span.size == 0:
        raise MediaError(f"{part.medium.name}: no frame between {part.start} s and {part.end} s")
    chosen = span[_positions(times[span], part.policy)]
    if part.policy.order == "shuffled":
        chosen = _shuffled(chosen, part.source_digest)
    return tuple(int(i) for i in chosen)


def frames(part: Video) -> Clip:
    """Decode exactly the frames in `part.indices` (chosen by the policy if None), scaled to the pixel budget.

    The times are ascending whatever the order of the frames: a shuffled clip does not give itself away by them.
    """
    indices = part.indices if part.indices is not None else choose(part)
    medium = part.medium
    if isinstance(medium, ClipProgram):
        times = np.asarray(medium.times(), dtype=np.float64)
        shown = [medium.frame(i) for i in indices]
    else:
        times = frame_times(medium)
        shown = _reader().read(medium, indices, times)
    return Clip(np.stack([_within(frame, part.policy.pixels) for frame in shown]), np.sort(times[list(indices)]))


def read_with(name: Name) -> None:
    """Choose the frame reader of this process. Raises UsageError if it is not installed."""
    if name != _chosen.name:
        _chosen.reader, _chosen.name = frame_reader(name), name


def decoder() -> str:
    """The name of the reader in use; it is in the record and in the key of every video vector."""
    return _chosen.name


class _Chosen:
    name: Name = "pyav"
    reader: FrameReader | None = None


_chosen = _Chosen()


def _reader() -> FrameReader:
    if _chosen.reader is None:
        _chosen.reader = frame_reader(_chosen.name)
    return _chosen.reader


def check(item: Item) -> None:
    """Decode every medium of the item and throw the pixels away; raises MediaError."""
    for part in item.parts:
        if isinstance(part, Image):
            pixels(part)
        elif isinstance(part, Video):
            frames(part)


def _positions(times: npt.NDArray[np.float64], policy: FramePolicy) -> npt.NDArray[np.int64]:
    if isinstance(policy, PairedFrames):
        return _paired(times, policy)
    if policy.fps is not None:
        wanted = np.arange(times[0], times[-1] + 1e-9, 1.0 / policy.fps)
        at = np.unique(np.searchsorted(times, wanted + 1e-9, side="right") - 1)
        limit = policy.max_frames
    else:
        at = np.arange(times.size)
        limit = policy.frames or at.size
    if at.size > limit and policy.sampling == "linspace":
        at = at[np.linspace(0, at.size - 1, limit).astype(np.int64)]
    elif at.size > limit:
        at = at[((np.arange(limit) + 0.5) * at.size / limit).astype(np.int64)]
    return at.astype(np.int64)


def _paired(times: npt.NDArray[np.float64], policy: PairedFrames) -> npt.NDArray[np.int64]:
    """Indices under the rule of qwen-vl-utils; the clip's rate is the mean of its frame table."""
    if policy.fps is None:
        wanted: float = policy.frames or times.size
    elif times.size == 1:
        wanted = 1
    else:
        seconds = float(times[-1] - times[0]) * times.size / (times.size - 1)
        least, most = 2 * math.ceil(policy.min_frames / 2), 2 * (policy.max_frames // 2)
        wanted = min(max(seconds * policy.fps, least), most)
    number = min(2 * round(wanted / 2), times.size)
    return np.linspace(0, times.size - 1, max(number, 1)).round().astype(np.int64)


def _shuffled(indices: npt.NDArray[np.int64], digest: str) -> npt.NDArray[np.int64]:
    """An order other than the shown one (where there is more than one frame), drawn from the clip's digest."""
    random = np.random.default_rng(int(digest[:32], 16))
    while indices.size > 1:
        order = random.permutation(indices.size)
        if (order != np.arange(indices.size)).any():
            return np.asarray(indices[order])
    return indices


class _Hidden:
    """Carries a medium past `lru_cache`, whose key is the digest alone."""

    def __init__(self, medium: File | Blob):
        self.medium = medium

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hidden)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4096)
def _indexed_times(digest: str, hidden: _Hidden) -> npt.NDArray[np.float64]:
    return frame_table(hidden.medium)


def _openable(medium: File | Blob | Any) -> Any:
    return io.BytesIO(medium.data) if isinstance(medium, Blob) else str(medium.path)


def _too_large(name: str, width: int, height: int) -> str:
    return f"{name}: {width} x {height} is more than {MAX_PIXELS:,} pixels; scale it down first"


def _upright_on_white(picture: PillowImage.Image) -> PillowImage.Image:
    """EXIF orientation applied, 16-bit grey scaled to 8, any transparency laid on white."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):
        wide = np.asarray(upright, dtype=np.float64)
        return Pillow.fromarray((wide / 257.0).clip(0, 255).round().astype(np.uint8)).convert("RGB")
    if "A" in upright.getbands() or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        ground = Pillow.new("RGBA", layer.size, (255, 255, 255, 255))
        return Pillow.alpha_composite(ground, layer).convert("RGB")
    return upright.convert("RGB")


def _within(frame: RGB, budget: int | None) -> RGB:
    """The frame scaled down (antialiased) so that width x height is at most `budget`; unchanged if it already is."""
    height, width = frame.shape[:2]
    if budget is None or height * width <= budget:
        return frame
    from PIL import Image as Pillow

    scale = (budget / (height * width)) ** 0.5
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return np.asarray(Pillow.fromarray(frame).resize(size, Pillow.Resampling.BICUBIC))
