"""Clips that are released as folders of pictures, one a frame, as MMEB-V2 does it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unite_bench import media
from unite_bench.errors import MediaError
from unite_bench.items import RGB, File, Image, content_digest
from unite_bench.sources.files import IMAGE_SUFFIXES


@dataclass(frozen=True)
class FrameFolder:
    """A clip whose frames are the pictures of a folder, in the order of the numbers in their names.

    Nothing says when a frame was shown, so the frames count as one a second.
    """

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    @cached_property
    def pictures(self) -> tuple[File, ...]:
        """One file a frame."""
        found = [path for path in self.path.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        return tuple(map(File, sorted(found, key=_in_order)))

    @cached_property
    def digest(self) -> str:
        return content_digest("frames", *(picture.digest for picture in self.pictures))

    def times(self) -> npt.NDArray[np.float64]:
        """Seconds, (frames,): 0, 1, 2, ..."""
        return np.arange(len(self.pictures), dtype=np.float64)

    def frame(self, index: int) -> RGB:
        """One frame, (height, width, 3) uint8. Raises MediaError if it has not the size of the first."""
        pixels = media.pixels(Image(self.pictures[index]))
        if pixels.shape != self.shape:
            raise MediaError(f"{self.pictures[index].name}: not of the size of the folder's first frame")
        return pixels

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return media.pixels(Image(self.pictures[0])).shape


def _in_order(path: Path) -> list[tuple[int, str]]:
    """Numbers within the name by their value: frame_9 stands before frame_10."""
    return [(int(word), "") if word.isdigit() else (0, word.lower()) for word in re.split(r"(\d+)", path.name)]
