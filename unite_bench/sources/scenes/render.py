"""From a scene program to pixels: where each thing is in a frame, and how it is painted.

Painting is in whole numbers, so equal programs give equal bytes on any machine. A smaller canvas (`size` 168, 112, 84,
56, ...: a divisor of 336) is painted directly from box-averaged masks, and differs from a box-averaged 336 px picture
by rounding only (on patterned paper, by a few grey levels at the rim of things).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from unite_bench.errors import UsageError
from unite_bench.items import RGB
from unite_bench.sources.scenes.masks import reduced_cover
from unite_bench.sources.scenes.world import (
    CANVAS,
    CELL,
    COLOURS,
    CYCLES,
    FRAMES,
    GROWING_SIDES,
    HELD_OUT_PATHS,
    PAPERS,
    PHASES,
    SECONDS,
    SIDES,
    SLOTS,
    Motion,
    Scene,
    Thing,
)

_COPY_PITCH = 50
_COPIES = {  # centres of the copies of a group, in half pitches
    1: ((0, 0),),
    2: ((-1, 0), (1, 0)),
    3: ((0, -1), (-1, 1), (1, 1)),
    4: ((-1, -1), (1, -1), (-1, 1), (1, 1)),
}
_RADIUS = 56
_STEP = CANVAS // PHASES
_STILL_FRAME = FRAMES // 2
_LINE, _DOT, _PERIOD = 212, 150, 28
# round(56 cos a), round(56 sin a) for a = 0, 7.5, ... 352.5 degrees; y grows downwards, so this runs clockwise
_CIRCLE = tuple(
    (round(_RADIUS * float(np.cos(2 * np.pi * k / PHASES))), round(_RADIUS * float(np.sin(2 * np.pi * k / PHASES))))
    for k in range(PHASES)
)
_DIRECTIONS = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "up-left": (-1, -1),
    "down-right": (1, 1),
}


@dataclass(frozen=True)
class Mark:
    """One shape to be painted: the centre and side of its square, in pixels of the 336 px canvas."""

    shape: str
    fill: str
    colour: str
    side: int
    x: int
    y: int


def marks(scene: Scene, frame: int = _STILL_FRAME) -> list[Mark]:
    """Every shape seen in a frame. A mark that crosses an edge of the canvas comes in at the opposite one."""
    found = []
    for index, thing in enumerate(scene.things):
        colour = _colour_in(scene, index, frame)
        if colour is None:
            continue
        if scene.motion is not None and scene.motion.mover == index:
            side, x, y = _moved(thing, scene.motion, frame)
            found.append(Mark(thing.shape, thing.fill, colour, side, x, y))
            continue
        x, y = _centre(thing)
        for across, down in _COPIES[thing.count]:
            x1, y1 = x + across * _COPY_PITCH // 2, y + down * _COPY_PITCH // 2
            found.append(Mark(thing.shape, thing.fill, colour, SIDES[thing.size], x1, y1))
    return found


def _centre(thing: Thing) -> tuple[int, int]:
    return CELL * thing.column + CELL // 2 + thing.dx, CELL * thing.row + CELL // 2 + thing.dy


def _colour_in(scene: Scene, index: int, frame: int) -> str | None:
    """The colour of a thing in a frame, or None while it is not there."""
    colour = scene.things[index].colour
    for event in scene.events:
        if event.thing != index:
            continue
        inside = SLOTS[event.slot][0] <= frame < SLOTS[event.slot][1]
        if event.kind == "turns" and inside:
            colour = event.colour
        elif event.kind != "turns" and inside != (event.kind == "appears"):
            return None
    return colour


def _moved(thing: Thing, motion: Motion, frame: int) -> tuple[int, int, int]:
    """Side and centre of the moving thing. All paths are closed, so that a clip and its reverse share their frames."""
    turn = CYCLES[motion.speed] * frame * (PHASES // FRAMES)
    x, y = _centre(thing)
    if motion.path in ("grows", "shrinks"):
        small, large = GROWING_SIDES
        step = (motion.phase + (turn if motion.path == "grows" else -turn)) % PHASES
        return small + (large - small) * step // (PHASES - 1), x, y
    side = SIDES[thing.size]
    if motion.path in _DIRECTIONS:
        across, down = _DIRECTIONS[motion.path]
        if motion.path in HELD_OUT_PATHS:
            x = y = _STEP * ((motion.phase + across * turn) % PHASES)
        elif across:
            x = _STEP * ((motion.phase + across * turn) % PHASES)
        else:
            y = _STEP * ((motion.phase + down * turn) % PHASES)
        return side, x, y
    dx, dy = _CIRCLE[(motion.phase + (turn if motion.path == "clockwise" else -turn)) % PHASES]
    return side, x + CELL // 2 + dx, y + CELL // 2 + dy


@lru_cache(maxsize=64)
def _paper(name: str, factor: int) -> RGB:
    canvas = np.empty((CANVAS, CANVAS, 3), dtype=np.int64)
    canvas[:] = PAPERS[name]
    at = np.arange(CANVAS) % _PERIOD
    if name == "squared":
        line = (at == _PERIOD - 1) | (at == 0)
        canvas[line[:, None] | line[None, :]] = _LINE
    elif name == "dotted":
        off = (2 * at + 1 - _PERIOD) ** 2
        canvas[off[:, None] + off[None, :] <= 40] = _DOT
    side, area = CANVAS // factor, factor * factor
    sums = canvas.reshape(side, factor, side, factor, 3).sum(axis=(1, 3))
    paper = np.asarray((2 * sums + area) // (2 * area), dtype=np.uint8)
    paper.flags.writeable = False
    return paper


def _paint(canvas: RGB, mark: Mark, x: int, y: int, factor: int) -> None:
    """Blend a mark whose square has its upper left corner at (x, y) into a canvas, cut at the canvas's edges."""
    cover = reduced_cover(mark.shape, mark.fill, mark.side, x % factor, y % factor, factor)
    left, top, side = x // factor, y // factor, canvas.shape[0]
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + cover.shape[1], side), min(top + cover.shape[0], side)
    if x0 >= x1 or y0 >= y1:
        return
    weight = cover[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.int32)[..., None]
    colour = np.array(COLOURS[mark.colour], dtype=np.int32)
    under = canvas[y0:y1, x0:x1]
    canvas[y0:y1, x0:x1] = (under * (255 - weight) + colour * weight + 127) // 255


def render_image(scene: Scene, size: int = CANVAS, frame: int = _STILL_FRAME) -> RGB:
    """A scene as (size, size, 3) uint8 RGB; of a moving scene, the frame given."""
    if size <= 0 or CANVAS % size:
        raise UsageError(f"scenes: cannot render at {size} px; the size must divide {CANVAS}")
    factor = CANVAS // size
    canvas = _paper(scene.paper, factor).copy()
    for mark in marks(scene, frame):
        left, top = mark.x - mark.side // 2, mark.y - mark.side // 2
        for x in _turns(left, mark.side):
            for y in _turns(top, mark.side):
                _paint(canvas, mark, x, y, factor)
    return canvas


def _turns(start: int, side: int) -> Iterator[int]:
    """The starts of a span on a canvas whose opposite edges meet."""
    yield start
    if start < 0:
        yield start + CANVAS
    if start + side > CANVAS:
        yield start - CANVAS


def frame_indices(frames: int) -> list[int]:
    """The centres of `frames` equal spans of a clip: the indices that a uniform policy of that many frames shows."""
    return [(2 * k + 1) * FRAMES // (2 * frames) for k in range(frames)]


def render_frames(scene: Scene, frames: int | Sequence[int] = 8, size: int = CANVAS) -> RGB:
    """Frames of a clip as (frames, size, size, 3) uint8: a number of them spread uniformly, or these indices."""
    indices = frame_indices(frames) if isinstance(frames, int) else list(frames)
    return np.stack([render_image(scene, size, index) for index in indices])


@dataclass(frozen=True)
class Still:
    """A picture program: a still scene, or one frame of a moving one."""

    scene: Scene
    at: int = _STILL_FRAME

    @property
    def name(self) -> str:
        return f"scene {self.digest[:12]}"

    @property
    def digest(self) -> str:
        return self.scene.digest(f"still@{self.at}" if self.scene.moving else "still")

    def picture(self) -> RGB:
        return render_image(self.scene, frame=self.at)


@dataclass(frozen=True)
class Clip:
    """A clip program: FRAMES frames over SECONDS seconds."""

    scene: Scene

    @property
    def name(self) -> str:
        return f"scene {self.digest[:12]}"

    @property
    def digest(self) -> str:
        return self.scene.digest("clip")

    def times(self) -> npt.NDArray[np.float64]:
        return np.arange(FRAMES, dtype=np.float64) * (SECONDS / FRAMES)

    def frame(self, index: int) -> RGB:
        if not 0 <= index < FRAMES:
            raise UsageError(f"scenes: a clip has frames 0 to {FRAMES - 1}, not {index}")
        return render_image(self.scene, frame=index)
