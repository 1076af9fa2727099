"""Frame readers: equals behind one interface, all asked by index and checked by time.

PyAV builds every frame table and is the default. decord may be faster, but has had no release since 2021 and can hang; it
works in a process of its own, which is killed when it does not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from unite_bench.errors import UsageError
from unite_bench.items import RGB, Blob, File

Name = Literal["pyav", "decord"]


class FrameReader(Protocol):
    """Decodes chosen frames of an encoded clip."""

    def read(self, medium: File | Blob, indices: Sequence[int], times: npt.NDArray[np.float64]) -> list[RGB]:
        """Frames by index in shown order, in the order asked for; `times` (frames,) is the clip's frame table in seconds.

        Raises MediaError if a frame does not decode or lies at another time than the table says.
        """


def frame_reader(name: Name) -> FrameReader:
    """The reader of that name. Raises UsageError if it is not installed or not known."""
    if name == "pyav":
        from unite_bench.readers.pyav_reader import PyAVReader

        return PyAVReader()
    if name == "decord":
        from unite_bench.readers.decord_reader import DecordReader

        return DecordReader()
    raise UsageError(f"unknown frame reader {name!r}; there are pyav and decord")
