"""The size of a picture or clip, from its header where it has one: nothing is decoded that need not be."""

from __future__ import annotations

import io
from dataclasses import dataclass

from unite_bench.errors import MediaError
from unite_bench.items import Blob, ClipProgram, File, Image, StillProgram, Video
from unite_bench.sources.frame_folder import FrameFolder


@dataclass(frozen=True)
class Size:
    """Pixels, and for clips frames in all and seconds, both of the span that is shown."""

    height: int
    width: int
    frames: int = 1
    seconds: float = 0.0


def medium_size(part: Image | Video) -> Size:
    """Raises MediaError naming the medium if it cannot be opened."""
    medium = part.medium
    if isinstance(medium, StillProgram):
        height, width, _ = medium.picture().shape
        return Size(height, width)
    if isinstance(medium, FrameFolder):
        if not medium.path.is_dir() or not medium.pictures:
            raise MediaError(f"{medium.name}: no folder of pictures")
        first = _picture_size(medium.pictures[0])
        return Size(first.height, first.width, len(medium.pictures), float(len(medium.pictures)))
    if isinstance(medium, ClipProgram):
        times = medium.times()
        height, width, _ = medium.frame(0).shape
        spacing = float(times[-1] - times[0]) / max(len(times) - 1, 1)
        return Size(height, width, len(times), spacing * len(times))
    return _picture_size(medium) if isinstance(part, Image) else _clip_size(medium, part)


def _picture_size(medium: File | Blob) -> Size:
    from PIL import Image as Pillow

    try:
        with Pillow.open(_source(medium)) as picture:
            turned = picture.getexif().get(0x0112, 1) >= 5  # Orientation: the sides change places
            width, height = picture.size
            return Size(width, height) if turned else Size(height, width)
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise MediaError(f"{medium.name}: not a readable picture ({error})") from error


def _clip_size(medium: File | Blob, part: Video) -> Size:
    import av

    try:
        with av.open(_source(medium), mode="r") as container:
            (stream, *_) = container.streams.video
            whole = float(container.duration or 0) / av.time_base
            rate = float(stream.average_rate or 0)
            height, width = stream.height, stream.width
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{medium.name}: not a readable clip ({error})") from error
    start, end = part.start or 0.0, part.end if part.end is not None else whole
    seconds = max(0.0, min(end, whole) - start)
    return Size(height, width, max(1, round(seconds * rate)), seconds)


def _source(medium: File | Blob) -> io.BytesIO | str:
    return io.BytesIO(medium.data) if isinstance(medium, Blob) else str(medium.path)
