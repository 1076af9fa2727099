"""What is embedded: items, their parts, and the media the parts point at.

An `Item` is an ordered tuple of parts (text, image, video; several of a kind allowed, interleaved) with an optional
instruction that is never glued to the text. Parts hold *references*; `unite_bench.media` decodes them. Everything has a
content digest, so two items with equal content are one item wherever they came from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from unite_bench.errors import MediaError

Kind = Literal["text", "image", "video"]
Role = Literal["query", "candidate"]
KINDS: tuple[Kind, ...] = ("image", "text", "video")  # alphabetical: the order in which modalities are written
RGB = npt.NDArray[np.uint8]  # (height, width, 3)


def content_digest(*fields: str | bytes) -> str:
    """SHA-256 (hex) over length-prefixed fields, so that no two different field lists collide by concatenation."""
    state = hashlib.sha256()
    for value in fields:
        raw = value.encode() if isinstance(value, str) else value
        state.update(len(raw).to_bytes(8, "little"))
        state.update(raw)
    return state.hexdigest()


def modality(kinds: Iterable[str]) -> str:
    """The canonical name of a set of kinds: sorted and joined by `+`, as in `image+text`."""
    return "+".join(sorted(set(kinds)))


@lru_cache(maxsize=200_000)
def _file_digest(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@dataclass(frozen=True)
class File:
    """A medium in a file of its own. The digest is that of the bytes, not of the path."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def digest(self) -> str:
        try:
            stat = self.path.stat()
            return _file_digest(str(self.path), stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise MediaError(f"{self.path}: cannot read the file ({error.strerror})") from error


@dataclass(frozen=True)
class Blob:
    """A medium held as encoded bytes (from Parquet, an archive, a test)."""

    data: bytes = field(repr=False)
    name: str = "bytes"

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@runtime_checkable
class StillProgram(Protocol):
    """A picture that is computed, not stored. `digest` covers everything that decides its pixels."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    def picture(self) -> RGB: ...


@runtime_checkable
class ClipProgram(Protocol):
    """A clip that is computed, not stored: `times` (seconds, ascending) and one frame per time."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    def times(self) -> npt.NDArray[np.float64]: ...
    def frame(self, index: int) -> RGB: ...


@dataclass(frozen=True)
class FramePolicy:
    """Which frames of a clip are shown, and at how many pixels each. A task has one; a model's card may have its own.

    `frames` of them, or one every 1/`fps` seconds up to `max_frames`. `sampling` spreads a number of frames uniformly
    (centres of equal spans) or by `linspace` (from the first to the last, positions rounded down). With
    `order` "shuffled" they are shown in a random order that follows from the clip's content: a control, which tells
    what a score owes to time.
    """

    frames: int | None = 8
    fps: float | None = None
    max_frames: int = 64
    pixels: int | None = None
    order: Literal["shown", "shuffled"] = "shown"
    sampling: Literal["uniform", "linspace"] = "uniform"


@dataclass(frozen=True)
class PairedFrames(FramePolicy):
    """The rule of qwen-vl-utils, which released models were measured with: `fps` frames a second of the clip, at least
    `min_frames` and at most `max_frames`, rounded to an even number (halves of it as Python rounds), from the first frame
    to the last at equal steps, each index rounded. There it is an error if a clip has fewer frames; here all are shown.
    """

    min_frames: int = 4


@dataclass(frozen=True)
class Text:
    """A piece of text."""

    text: str
    kind: Kind = field(default="text", init=False)

    @cached_property
    def digest(self) -> str:
        return content_digest("text", self.text)


@dataclass(frozen=True)
class Image:
    """A picture: `medium` is a `File`, a `Blob` or a `StillProgram`."""

    medium: File | Blob | StillProgram
    kind: Kind = field(default="image", init=False)

    @cached_property
    def digest(self) -> str:
        return content_digest("image", self.medium.digest)


@dataclass(frozen=True)
class Video:
    """A clip, or the span [`start`, `end`] of it in seconds.

    `indices` are the frames chosen by `unite_bench.media.resolve`; until then they are None and `policy` says how to
    choose. Both the indices and the pixel budget belong to the digest, because they decide what a model sees.
    """

    medium: File | Blob | ClipProgram
    start: float | None = None
    end: float | None = None
    policy: FramePolicy = FramePolicy()
    indices: tuple[int, ...] | None = None
    kind: Kind = field(default="video", init=False)

    @cached_property
    def digest(self) -> str:
        shown = "all" if self.indices is None else ",".join(map(str, self.indices))
        return content_digest(
            "video", self.medium.digest, repr(self.start), repr(self.end), shown, repr(self.policy.pixels)
        )

    def under(self, policy: FramePolicy) -> Video:
        """The clip with frames chosen by another policy. A task's own order stays, and so does a single frame: both are
        what such a task is about."""
        if self.policy.frames == 1:
            return self
        return replace(self, policy=replace(policy, order=self.policy.order), indices=None)

    @cached_property
    def source_digest(self) -> str:
        """The digest of the clip itself, whichever frames are shown."""
        return content_digest("video", self.medium.digest, repr(self.start), repr(self.end))


Part = Text | Image | Video


@dataclass(frozen=True)
class Item:
    """Ordered parts and an optional instruction. `id` serves messages and reports; it is not content.

    `published` is instruction and text in one, as the published code of a task gives them to a model; it takes their place
    where a run asks for it (`as_published`).
    """

    parts: tuple[Part, ...]
    instruction: str | None = None
    id: str = ""
    published: str | None = None

    @cached_property
    def digest(self) -> str:
        """Digest of the parts, in order; neither the instruction nor the id belongs to it."""
        return content_digest("item", *(part.digest for part in self.parts))

    @cached_property
    def content(self) -> str:
        """Like `digest`, but for the clips as such, whichever of their frames are shown: what makes two rows equal."""
        return content_digest("item", *(getattr(part, "source_digest", part.digest) for part in self.parts))

    @property
    def modality(self) -> str:
        return modality(part.kind for part in self.parts)

    @property
    def text(self) -> str | None:
        """The text parts joined by newlines, or None if there are none (the instruction is not among them)."""
        texts = [part.text for part in self.parts if isinstance(part, Text)]
        return "\n".join(texts) if texts else None

    def as_published(self) -> Item:
        """The media, then the published text, and no instruction beside it."""
        assert self.published is not None
        media = tuple(part for part in self.parts if not isinstance(part, Text))
        return Item((*media, Text(self.published)), id=self.id)

    def bare(self, keep_instruction: bool) -> Item:
        """The item as a model may see it: no id, and the instruction only where it is part of the vector's key."""
        return replace(self, id="", instruction=self.instruction if keep_instruction else None)
