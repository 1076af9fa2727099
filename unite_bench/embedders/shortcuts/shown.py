"""What the shortcuts see of an item's media: its frames, and where in a frame which colour is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unite_bench import media
from unite_bench.embedders.base import Vectors
from unite_bench.items import RGB, Image, Item, Video

PALETTE = {  # what a person would pick for these words
    "red": (170, 3, 0),
    "orange": (227, 106, 23),
    "yellow": (242, 209, 11),
    "green": (30, 142, 80),
    "cyan": (14, 205, 252),
    "blue": (18, 56, 246),
    "purple": (121, 52, 153),
    "pink": (231, 134, 167),
}
_NEAR = 25  # how far a pixel may be from a colour, in RGB
_GREY = 40  # a pixel whose channels differ by less has no colour
_FEW = 8  # pixels: fewer are a rim, where two colours mix into a third
_ACROSS = 84  # positions are read from at most about this many rows and columns


@dataclass(frozen=True)
class Patch:
    """All pixels of one colour: centre and area as shares of the frame. What wraps round an edge has one centre."""

    x: float
    y: float
    area: float


def frames(item: Item) -> list[RGB]:
    """Every picture of the item and every shown frame of its clips, in order."""
    shown: list[RGB] = []
    for part in item.parts:
        if isinstance(part, Image):
            shown.append(media.pixels(part))
        elif isinstance(part, Video):
            shown.extend(media.frames(part).pixels)
    return shown


def patches(frame: RGB) -> dict[str, Patch]:
    """The colours of the palette that are in a frame."""
    step = max(1, frame.shape[0] // _ACROSS)
    small = frame[step // 2 :: step, step // 2 :: step].astype(np.int32)
    rows, columns = np.nonzero(np.ptp(small, axis=2) > _GREY)  # paper is grey: most pixels need no closer look
    coloured = small[rows, columns]
    found = {}
    for name, colour in PALETTE.items():
        near = ((coloured - np.array(colour)) ** 2).sum(axis=1) < _NEAR**2
        if near.sum() >= _FEW:
            x, y = _centre(columns[near], small.shape[1]), _centre(rows[near], small.shape[0])
            found[name] = Patch(x, y, float(near.sum() / small[..., 0].size))
    return found


def _centre(at: npt.NDArray[np.int64], size: int) -> float:
    """The circular mean of positions, as a share of the size in [0, 1)."""
    turns = np.exp(2j * np.pi * (at + 0.5) / size)
    return float(np.angle(turns.sum()) / (2 * np.pi) % 1.0)


def at_angle(share: float) -> Vectors:
    """A number in [0, 1] as a direction, so that close numbers have a high cosine."""
    angle = np.clip(share, 0.0, 1.0) * np.pi / 2
    return np.array([np.cos(angle), np.sin(angle)])
