"""From the pixels of a frame back to its marks: shape, fill, colour, side and centre of everything that is drawn.

Analysis by synthesis: a patch of connected pixels is held against the outline of every shape and fill at every side that
fits its extent. It shares those outlines with the painter, and nothing else; it is never given the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from unite_bench.items import RGB
from unite_bench.sources.scenes.masks import cover
from unite_bench.sources.scenes.render import Mark, render_image
from unite_bench.sources.scenes.world import CANVAS, COLOURS, FILLS, GROWING_SIDES, PAPERS, SHAPES, SIDES, Scene

Doubles = npt.NDArray[np.float64]
_WRAP = 112  # what is drawn over an edge is whole on a canvas that goes on for so many pixels
_FAINT = 40  # a pixel differs from the paper by more, in some channel, where something is drawn
_PLAIN = 0.3  # share of a pixel that is covered
_RARE = 40.0  # how much better, in pixels, a side must fit that only growing things have


@dataclass(frozen=True)
class Outline:
    """A cover cut to what is set in it: `left` and `top` are what was cut off."""

    shape: str
    fill: str
    side: int
    left: int
    top: int
    weight: Doubles


@lru_cache(maxsize=1)
def _outlines() -> dict[tuple[int, int], list[Outline]]:
    """Every outline by its extent (height, width)."""
    found: dict[tuple[int, int], list[Outline]] = {}
    for side in sorted({*SIDES.values(), *range(GROWING_SIDES[0], GROWING_SIDES[1] + 1)}):
        for shape in SHAPES:
            for fill in FILLS:
                left, top, weight = _cut(cover(shape, fill, side) / 255)
                found.setdefault((weight.shape[0], weight.shape[1]), []).append(
                    Outline(shape, fill, side, left, top, weight)
                )
    return found


def _cut(weight: Doubles) -> tuple[int, int, Doubles]:
    """The part of a weight that is plainly drawn on, with its left and top."""
    rows, columns = (np.flatnonzero((weight > _PLAIN).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, weight
    return int(columns[0]), int(rows[0]), weight[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def read_paper(frame: RGB) -> str:
    """The paper whose empty picture is equal to most of the frame."""
    return max(PAPERS, key=lambda name: int((frame == _empty(name)).all(axis=2).sum()))


@lru_cache(maxsize=len(PAPERS))
def _empty(paper: str) -> RGB:
    return render_image(Scene((), paper))


def read_marks(frame: RGB) -> list[Mark]:
    """The marks of a frame of 336 x 336 pixels, in reading order of their centres."""
    paper = _empty(read_paper(frame))
    wide, ground = (np.pad(picture, ((0, _WRAP), (0, _WRAP), (0, 0)), mode="wrap") for picture in (frame, paper))
    differs = np.abs(wide.astype(np.int64) - ground).max(axis=2) > _FAINT
    labels, _ = ndimage.label(differs, structure=np.ones((3, 3)))
    found: dict[tuple[int, int], Mark] = {}
    for number, span in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = span
        if min(rows.start, columns.start) == 0 and _goes_on(differs, rows, columns):
            continue  # its other part lies beyond the opposite edge, where it is met whole
        if max(rows.stop, columns.stop) == CANVAS + _WRAP or rows.start >= CANVAS or columns.start >= CANVAS:
            continue
        mark = _best(wide[span], ground[span], labels[span] == number, columns.start, rows.start)
        if mark is not None:
            found[mark.x, mark.y] = mark
    return [found[at] for at in sorted(found, key=lambda at: (at[1], at[0]))]


def _goes_on(differs: npt.NDArray[np.bool_], rows: slice, columns: slice) -> bool:
    """Whether something is drawn right across the edge that a patch begins at."""
    across = columns.start == 0 and bool(differs[rows, CANVAS - 1].any())
    return across or (rows.start == 0 and bool(differs[CANVAS - 1, columns].any()))


def _best(seen: RGB, ground: RGB, own: npt.NDArray[np.bool_], left: int, top: int) -> Mark | None:
    """The outline and colour whose picture on the paper differs least from the patch."""
    colour = min(COLOURS, key=lambda name: _off(seen[own], name))
    full = np.array(COLOURS[colour], dtype=np.float64) - ground
    weight = np.clip(((seen.astype(np.float64) - ground) * full).sum(axis=2) / (full**2).sum(axis=2), 0, 1) * own
    first, above, weight = _cut(weight)
    left, top = left + first, top + above
    best: tuple[float, Outline, int, int] | None = None
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            for outline in _outlines().get((weight.shape[0] + down, weight.shape[1] + across), []):
                for x in range(min(0, across), max(0, across) + 1):
                    for y in range(min(0, down), max(0, down) + 1):
                        error = _difference(weight, outline.weight, x, y) + _RARE * (outline.side not in SIDES.values())
                        if best is None or error < best[0]:
                            best = error, outline, x, y
    if best is None:
        return None
    _, outline, x, y = best
    centre = [
        (start - shift - cut + outline.side // 2) % CANVAS
        for start, shift, cut in ((left, x, outline.left), (top, y, outline.top))
    ]
    return Mark(outline.shape, outline.fill, colour, outline.side, centre[0], centre[1])


def _off(pixels: RGB, name: str) -> float:
    """How far the nearest third of the pixels is from a colour: rims are mixed, the rest is not."""
    far = np.abs(pixels.astype(np.int64) - np.array(COLOURS[name])).sum(axis=1)
    return float(np.sort(far)[: max(1, far.size // 3)].mean())


def _difference(one: Doubles, two: Doubles, x: int, y: int) -> float:
    """Sum of differences of two weights, the second set x and y pixels to the left of and above the first, less or more."""
    height, width = max(one.shape[0], two.shape[0]) + 2, max(one.shape[1], two.shape[1]) + 2
    canvas = np.zeros((height, width))
    canvas[1 : 1 + one.shape[0], 1 : 1 + one.shape[1]] += one
    canvas[1 - y : 1 - y + two.shape[0], 1 - x : 1 - x + two.shape[1]] -= two
    return float(np.abs(canvas).sum())
