"""Decoding ahead: frames of the parts that come next, made in worker processes while the model runs.

Workers are spawned, so they know nothing but what they are sent: a part, which is a path, encoded bytes or a program that
renders. What comes back are uint8 pixels; all arithmetic on them is the device's.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from unite_bench import media
from unite_bench.errors import MediaError, ModelError
from unite_bench.items import Image, Video
from unite_bench.readers import Name

Medium = Image | Video
AHEAD = 4  # parts a worker that are decoded, or being decoded, before they are asked for
MOST_BYTES = 2**30  # of frames that wait; those that are still being decoded count as the largest seen


@dataclass(frozen=True)
class Frames:
    """`pixels` (frames, height, width, 3) uint8 and, of a clip, `times` (frames,) in seconds from the start of its span, so
    that where in a film it stood changes nothing; a picture is one frame."""

    pixels: npt.NDArray[np.uint8]
    times: npt.NDArray[np.float64] | None


def decode(part: Medium) -> Frames:
    """The frames of a part. Raises MediaError."""
    if isinstance(part, Video):
        clip = media.frames(part)
        return Frames(clip.pixels, clip.times - (part.start or 0.0))
    return Frames(media.pixels(part)[np.newaxis], None)


def name_of(part: Medium) -> str:
    """What decides the part's pixels; a clip's frames may depend on the reader."""
    return f"{part.digest} {media.decoder()}" if isinstance(part, Video) else part.digest


def _begin(reader: Name) -> None:
    media.read_with(reader)


class Decoder:
    """Frames by part, from `workers` processes, or from this one if there are none. Used by one thread."""

    def __init__(self, workers: int = 0):
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._reader = ""
        self._coming: Iterator[Medium] = iter(())
        self._waiting: dict[str, Future[Frames]] = {}
        self._largest = 0  # bytes of a part's frames, of all so far

    def ahead(self, parts: Iterable[Medium]) -> None:
        """The parts that will be asked for, in order. It is drawn from as room allows; what was begun before is dropped."""
        for future in self._waiting.values():
            future.cancel()
        self._waiting = {}
        self._coming = iter(parts)
        self._fill()

    def frames(self, part: Medium) -> Frames:
        """Raises MediaError if the part cannot be decoded, and if its decoding ends the worker process."""
        if not self.workers:
            return decode(part)
        future = self._waiting.pop(name_of(part), None) or self._submitted(part)
        self._fill()
        try:
            found = future.result()
        except BrokenProcessPool:  # by this part or by one beside it: alone, it shows
            found = self._alone(part)
        self._largest = max(self._largest, found.pixels.nbytes)
        return found

    def forget(self, parts: Iterable[Medium]) -> None:
        """These will not be asked for: what waits of them makes room for others."""
        for part in parts:
            future = self._waiting.pop(name_of(part), None)
            if future is not None:
                future.cancel()
        self._fill()

    def close(self) -> None:
        """End the processes; the next part starts new ones."""
        pool, self._pool, self._waiting = self._pool, None, {}
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def _alone(self, part: Medium) -> Frames:
        self.close()
        try:
            return self._started().submit(decode, part).result()
        except BrokenProcessPool as error:
            self.close()
            raise MediaError(
                f"{part.medium.name}: decoding it ended the worker process; re-export the file or drop the row"
            ) from error

    def _fill(self) -> None:
        while self.workers and len(self._waiting) < AHEAD * self.workers and not self._full():
            part = next(self._coming, None)
            if part is None:
                return
            if name_of(part) not in self._waiting:
                self._waiting[name_of(part)] = self._submitted(part)

    def _submitted(self, part: Medium) -> Future[Frames]:
        """A future in any case: that a worker has died is for the part that is asked for to find out."""
        try:
            return self._started().submit(decode, part)
        except BrokenProcessPool as error:
            failed: Future[Frames] = Future()
            failed.set_exception(error)
            return failed

    def _full(self) -> bool:
        """Whether the frames that wait are MOST_BYTES, or could become so. There is always work for all workers, and no
        more of it as long as no size is known."""
        done = [future for future in self._waiting.values() if future.done()]
        sizes = [f.result().pixels.nbytes for f in done if not f.cancelled() and f.exception() is None]
        self._largest = max([self._largest, *sizes])
        held, coming = sum(sizes), len(self._waiting) - len(done)
        if coming < self.workers:
            return held >= MOST_BYTES
        return not self._largest or held + (coming + 1) * self._largest > MOST_BYTES

    def _started(self) -> ProcessPoolExecutor:
        """The processes, with this process's frame reader. Raises ModelError if they cannot be started."""
        reader = cast("Name", media.decoder())
        if self._pool is not None and self._reader != reader:
            self.close()
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(self.workers, spawn, initializer=_begin, initargs=(reader,))
            try:
                pool.submit(media.decoder).result()
            except BrokenProcessPool as error:
                raise ModelError(
                    "the processes that decode cannot be started; put the call of your script under "
                    'if __name__ == "__main__":, or decode in the process itself with workers=0'
                ) from error
            self._pool, self._reader = pool, reader
        return self._pool
