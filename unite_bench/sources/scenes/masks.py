"""The outlines of the shapes, in whole numbers only, so that every machine computes the same pixels.

Each (shape, fill) has one boolean master mask of 336 x 336 samples; the mask of a side is its box average. Fills scale
with the thing: an outline is a border of about an eighth of the side, stripes are slanted bars inside a thin border.
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import isqrt

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Cover = npt.NDArray[np.uint8]
_N = 336
_UNIT = 2 * _N  # samples lie at odd coordinates of a square of this side
_BORDER, _THIN, _BAR = 42, 14, 46

_POLYGONS: dict[str, tuple[tuple[int, int], ...]] = {  # in thousandths of the side
    "triangle": ((500, 0), (1000, 1000), (0, 1000)),
    "cross": (
        *((320, 0), (680, 0), (680, 320), (1000, 320), (1000, 680), (680, 680)),
        *((680, 1000), (320, 1000), (320, 680), (0, 680), (0, 320), (320, 320)),
    ),
    "diamond": ((500, 0), (1000, 500), (500, 1000), (0, 500)),
    "star": (
        *((500, 0), (650, 310), (1000, 382), (745, 625), (809, 1000)),
        *((500, 820), (191, 1000), (255, 625), (0, 382), (350, 310)),
    ),
    "square": ((20, 20), (980, 20), (980, 980), (20, 980)),
    "heart": ((30, 410), (500, 330), (970, 410), (500, 980)),
}


def _grid() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    along = np.arange(_N, dtype=np.int64) * 2 + 1
    return along[None, :], along[:, None]


def _polygon(points: tuple[tuple[int, int], ...]) -> Mask:
    """Even-odd rule with exact comparisons; no sample lies on a vertex row, because samples are odd and scaled."""
    x, y = _grid()
    x, y = x * 1000, y * 1000
    inside = np.zeros((_N, _N), dtype=bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        x0, y0, x1, y1 = x0 * _UNIT, y0 * _UNIT, x1 * _UNIT, y1 * _UNIT
        if y0 == y1:
            continue
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
        rows = (y >= y0) & (y < y1)
        inside ^= rows & ((x - x0) * (y1 - y0) < (x1 - x0) * (y - y0))
    return inside


def _ellipse(cx: int, cy: int, rx: int, ry: int) -> Mask:
    """An ellipse given in thousandths of the side."""
    x, y = _grid()
    x, y = (x * 1000 // _UNIT - cx) * ry, (y * 1000 // _UNIT - cy) * rx
    return np.asarray(x * x + y * y <= (rx * ry) ** 2)


def _solid(shape: str) -> Mask:
    if shape == "circle":
        return _ellipse(500, 500, 500, 500)
    if shape == "moon":
        return _ellipse(640, 500, 640, 500) & ~_ellipse(960, 500, 540, 410)
    mask = _polygon(_POLYGONS[shape])
    if shape == "heart":
        mask |= _ellipse(260, 290, 260, 265) | _ellipse(740, 290, 260, 265)
    return mask


def _eroded(mask: Mask, radius: int) -> Mask:
    """The samples at least `radius` away from the outside (a disc of that radius fits around them)."""
    wide = np.zeros((_N + 2 * radius, _N + 2 * radius), dtype=bool)
    wide[radius:-radius, radius:-radius] = mask
    outside = np.zeros((wide.shape[0], wide.shape[1] + 1), dtype=np.int32)
    outside[:, 1:] = np.cumsum(~wide, axis=1)
    result = np.ones_like(mask)
    for dy in range(-radius, radius + 1):
        half = isqrt(radius * radius - dy * dy)
        rows = outside[radius + dy : radius + dy + _N]
        hits = rows[:, radius + half + 1 : radius + half + 1 + _N] - rows[:, radius - half : radius - half + _N]
        result &= hits == 0
    return result


@cache
def master(shape: str, fill: str) -> Mask:
    """The master mask of a shape with a fill."""
    solid = _solid(shape)
    if fill == "solid":
        return solid
    if fill == "outlined":
        return np.asarray(solid & ~_eroded(solid, _BORDER))
    x, y = _grid()
    bars = (2 * x + y) // (2 * _BAR * 2) % 2 == 0
    return np.asarray(solid & (bars | ~_eroded(solid, _THIN)))


@lru_cache(maxsize=4096)
def cover(shape: str, fill: str, side: int) -> Cover:
    """How much of each pixel of a side x side square the thing covers, 0 to 255."""
    total = np.zeros((_N + 1, _N + 1), dtype=np.int64)
    total[1:, 1:] = master(shape, fill).cumsum(0).cumsum(1)
    edges = np.arange(side + 1, dtype=np.int64) * _N // side
    sums = total[edges[1:], :] - total[edges[:-1], :]
    sums = sums[:, edges[1:]] - sums[:, edges[:-1]]
    spans = np.diff(edges)
    area = spans[:, None] * spans[None, :]
    return np.asarray((sums * 510 + area) // (2 * area), dtype=np.uint8)


@lru_cache(maxsize=65536)
def reduced_cover(shape: str, fill: str, side: int, left: int, top: int, factor: int) -> Cover:
    """`cover`, set `left` and `top` pixels into a canvas that is then averaged over factor x factor boxes."""
    full = cover(shape, fill, side)
    if factor == 1:
        return full
    height, width = -(-(top + side) // factor), -(-(left + side) // factor)
    wide = np.zeros((height * factor, width * factor), dtype=np.int64)
    wide[top : top + side, left : left + side] = full
    sums = wide.reshape(height, factor, width, factor).sum(axis=(1, 3))
    area = factor * factor
    return np.asarray((2 * sums + area) // (2 * area), dtype=np.uint8)
