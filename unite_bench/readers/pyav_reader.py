"""PyAV: builds the frame table of every clip, and reads frames from it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from unite_bench.errors import MediaError
from unite_bench.items import RGB, Blob, File

if TYPE_CHECKING:
    from av.container import InputContainer


class PyAVReader:
    """Decodes in this process, in one pass over the clip."""

    def read(self, medium: File | Blob, indices: Sequence[int], times: npt.NDArray[np.float64]) -> list[RGB]:
        wanted = {round(times[i] * 1e6): i for i in indices}
        found: dict[int, RGB] = {}
        with opened(medium) as container:
            for frame in container.decode(video=0):
                index = None if frame.time is None else wanted.get(round(frame.time * 1e6))
                if index is not None:
                    found[index] = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                if len(found) == len(wanted):
                    break
        missing = [i for i in indices if i not in found]
        if missing:
            raise MediaError(f"{medium.name}: frames {missing} are in the index but did not decode; re-encode the clip")
        return [found[i] for i in indices]


def frame_table(medium: File | Blob) -> npt.NDArray[np.float64]:
    """Presentation time in seconds of every shown frame, from packet time stamps alone (nothing is decoded)."""
    with opened(medium) as container:
        stream = container.streams.video[0]
        stamps = sorted(p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard)
        if not stamps or stream.time_base is None:
            raise MediaError(f"{medium.name}: the clip holds no frames; re-encode it or drop the row")
        return np.array([float(stamp * stream.time_base) for stamp in stamps])


@contextmanager
def opened(medium: File | Blob) -> Iterator[InputContainer]:
    """An open container with at least one video stream; everything PyAV says is turned into MediaError."""
    import av

    try:
        with av.open(io.BytesIO(medium.data) if isinstance(medium, Blob) else str(medium.path), "r") as container:
            if not container.streams.video:
                raise MediaError(f"{medium.name}: holds no video stream")
            yield container
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError(
            f"{medium.name}: not a readable video ({error}); re-encode the file or drop the row"
        ) from error
