"""What a page shows of an item: its parts in order, pictures as thumbnails, clips as a strip of frames and a file to play.

Files are named by the content they show, so each is made once, whatever number of items, pages or runs share it. A medium
that cannot be opened says so in its place and fails nothing.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unite_bench import media
from unite_bench.errors import MediaError
from unite_bench.items import RGB, Blob, ClipProgram, File, Image, Item, Kind, Part, Text, Video, content_digest
from unite_bench.report import clips

if TYPE_CHECKING:
    from PIL import Image as Pillow

SIDE = 320  # longest side of a thumbnail in pixels, unless asked for otherwise
STRIP_FRAMES, STRIP_SIDE = 8, 160  # frames of a strip at most, and the longest side of each
QUALITY = 82


@dataclass(frozen=True)
class Preview:
    """One part of an item on a page.

    `picture` is the file of a thumbnail or of a strip of `frames` frames, of `size` (width, height) in all; `shown` is how
    many frames a model is given. `clip` is the file to play, with its span as a fragment. `lost` says why a medium cannot
    be shown. Files are relative to the folder of the previews.
    """

    kind: Kind
    text: str | None = None
    picture: str | None = None
    size: tuple[int, int] | None = None
    frames: int | None = None
    shown: int | None = None
    clip: str | None = None
    lost: str | None = None

    def as_data(self) -> dict[str, Any]:
        """Plain data without what is not there."""
        return {name: value for name, value in vars(self).items() if value is not None}


class Previews:
    """Makes previews; their files lie in `folder`."""

    def __init__(self, folder: Path, side: int = SIDE):
        self.folder = folder
        self.side = side
        self._made: dict[str, Preview] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, item: Item) -> tuple[Preview, ...]:
        """The parts of an item in their order; its instruction is no part and stands in `item.instruction`."""
        return tuple(map(self._part, item.parts))

    def _part(self, part: Part) -> Preview:
        if isinstance(part, Text):
            return Preview("text", text=part.text)
        try:
            key = content_digest(part.digest, repr(part.policy) if isinstance(part, Video) else "")
            if key not in self._made:
                self._made[key] = self._picture(part) if isinstance(part, Image) else self._clip(part)
            return self._made[key]
        except MediaError as error:
            return Preview(part.kind, lost=str(error))

    def _picture(self, part: Image) -> Preview:
        name = f"{content_digest(part.digest, repr(self.side))[:20]}.webp"
        size = self._once(name, lambda: _within(media.pixels(part), self.side))
        return Preview("image", picture=name, size=size)

    def _clip(self, part: Video) -> Preview:
        """Strip frames are those that a model is given, in the order in which it is given them."""
        indices = part.indices or media.choose(part)
        chosen = _spread(indices)
        shown = Video(part.medium, part.start, part.end, part.policy, chosen)
        name = f"{content_digest(shown.digest, repr(chosen))[:20]}.webp"
        size = self._once(name, lambda: _side_by_side(media.frames(shown).pixels))
        return Preview(
            "video", picture=name, size=size, frames=len(chosen), shown=len(indices), clip=self._played(part)
        )

    def _played(self, part: Video) -> str:
        medium = part.medium
        suffix = clips.played_as_is(medium)
        if suffix is None or isinstance(medium, ClipProgram):
            name = f"{content_digest(part.source_digest)[:20]}{clips.encoded_suffix()}"
            self._write(name, lambda: clips.encoded(part))
            return name
        name = f"{medium.digest[:20]}{suffix}"
        self._write(name, lambda: _bytes_of(medium))
        return name + _span(part)

    def _once(self, name: str, make: Callable[[], Pillow.Image]) -> tuple[int, int]:
        """Write a picture unless it is there; returns its size."""
        from PIL import Image as Pillow

        self._write(name, lambda: _webp(make()))
        with Pillow.open(self.folder / name) as picture:
            return picture.size

    def _write(self, name: str, make: Callable[[], bytes]) -> None:
        """Write a file unless it is there; one that is there is whole, for it was renamed into its place."""
        path = self.folder / name
        if path.exists():
            return
        temporary = path.with_name(f".{name}.{uuid.uuid4().hex[:8]}")
        temporary.write_bytes(make())
        temporary.replace(path)


def _spread(indices: Sequence[int]) -> tuple[int, ...]:
    """At most STRIP_FRAMES of the indices, at even distances."""
    kept = min(len(indices), STRIP_FRAMES)
    return tuple(indices[(2 * k + 1) * len(indices) // (2 * kept)] for k in range(kept))


def _span(part: Video) -> str:
    """The span of a clip as a media fragment, which browsers keep to."""
    if part.start is None and part.end is None:
        return ""
    return f"#t={part.start or 0:g}" + ("" if part.end is None else f",{part.end:g}")


def _bytes_of(medium: File | Blob) -> bytes:
    return medium.data if isinstance(medium, Blob) else medium.path.read_bytes()


def _within(pixels: RGB, side: int) -> Pillow.Image:
    """A picture scaled down so that its longest side is `side` at most."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(pixels)
    picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    return picture


def _side_by_side(frames: RGB) -> Pillow.Image:
    from PIL import Image as Pillow

    small = [np.asarray(_within(frame, STRIP_SIDE)) for frame in frames]
    return Pillow.fromarray(np.concatenate(small, axis=1))


def _webp(picture: Pillow.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()
