"""Pictures and clips of a training set, decoded once: one flat file of uint8 pixels, already fitted to the budget.

Training reads pixels from here, so that rendering and decoding are paid for once, not once an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from reference_model.preprocess import Preprocessing, resize
from unite_bench.errors import StoreError
from unite_bench.items import RGB, Image, Video, content_digest


@dataclass(frozen=True)
class Bank:
    """`pixels.u8` and, beside it, `index.npy` with (offset, frames, height, width) of every medium."""

    folder: Path

    @cached_property
    def index(self) -> npt.NDArray[np.int64]:
        path = self.folder / "index.npy"
        if not path.exists():
            raise StoreError(f"{path}: the bank is unfinished; delete {self.folder} and build it again")
        held: npt.NDArray[np.int64] = np.load(path)
        return held

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        held: npt.NDArray[np.uint8] = np.memmap(self.folder / "pixels.u8", dtype=np.uint8, mode="r")
        return held

    def __len__(self) -> int:
        return len(self.index)

    def frames(self, number: int) -> npt.NDArray[np.uint8]:
        """(frames, height, width, 3) of one medium."""
        offset, count, height, width = self.index[number].tolist()
        return self.pixels[offset : offset + count * height * width * 3].reshape(count, height, width, 3)

    def image(self, number: int) -> Image:
        return Image(Banked(self, number))

    def video(self, number: int) -> Video:
        return Video(BankedClip(self, number), indices=tuple(range(int(self.index[number][1]))))


@dataclass(frozen=True)
class Banked:
    """A picture of a bank as the medium of an `Image`. A bank is named by its folder, so digests hold within a run."""

    bank: Bank
    number: int

    @property
    def name(self) -> str:
        return f"{self.bank.folder.name}:{self.number}"

    @property
    def digest(self) -> str:
        return content_digest("bank", self.name)

    def picture(self) -> RGB:
        picture: RGB = self.bank.frames(self.number)[0]
        return picture


@dataclass(frozen=True)
class BankedClip:
    """A clip of a bank as the medium of a `Video`; its times are the frame numbers."""

    bank: Bank
    number: int

    @property
    def name(self) -> str:
        return f"{self.bank.folder.name}:{self.number}"

    @property
    def digest(self) -> str:
        return content_digest("bank", self.name)

    def times(self) -> npt.NDArray[np.float64]:
        return np.arange(int(self.bank.index[self.number][1]), dtype=np.float64)

    def frame(self, index: int) -> RGB:
        picture: RGB = self.bank.frames(self.number)[index]
        return picture


class Writer:
    """Appends media; each call of `add` returns the medium's number."""

    def __init__(self, file: BinaryIO, preprocessing: Preprocessing):
        self._file = file
        self.rows: list[tuple[int, int, int, int]] = []
        self._offset = 0
        self._preprocessing = preprocessing

    def add(self, frames: npt.NDArray[np.uint8]) -> int:
        """`frames` (n, H, W, 3) of any size; they are fitted to the budget as the model would fit them."""
        fitted = resize(frames, self._preprocessing).permute(0, 2, 3, 1).contiguous().numpy()
        self._file.write(fitted.tobytes())
        count, height, width, _ = fitted.shape
        self.rows.append((self._offset, count, height, width))
        self._offset += fitted.size
        return len(self.rows) - 1


@contextmanager
def writing(folder: Path, preprocessing: Preprocessing) -> Iterator[Writer]:
    """A bank under construction; its index is written only if the block ends without an error."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pixels.u8").open("wb") as file:
        writer = Writer(file, preprocessing)
        yield writer
    np.save(folder / "index.npy", np.array(writer.rows, dtype=np.int64).reshape(-1, 4))
