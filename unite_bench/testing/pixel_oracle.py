"""The symbolic oracle without the program: it reads the scene back from the pixels that a model is given.

What it gets wrong cannot be seen in the pixels, or not in the frames of the policy; so it shows that a task can be done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from unite_bench import media
from unite_bench.items import RGB, Image, Video
from unite_bench.sources.scenes import Event, Motion, Scene, Thing
from unite_bench.sources.scenes.render import Mark
from unite_bench.sources.scenes.world import CANVAS, CELL, FRAMES, SIDES, SLOTS, VARYING
from unite_bench.testing.pixel_marks import read_marks, read_paper
from unite_bench.testing.symbolic import SymbolicOracle

Look = tuple[str, str, str]  # shape, fill, colour
Track = Mapping[int, Mark]  # by frame
_NAMES = {side: name for name, side in SIDES.items()}
_FAST_STEP, _FAST_GROWTH = 63, 11  # pixels from frame to frame of eight: between slow and fast


class PixelOracle(SymbolicOracle):
    """Reads pictures, and clips of which eight frames are shown in order."""

    card = replace(SymbolicOracle.card, name="pixel-oracle")

    def scene_of(self, part: Image | Video) -> Scene:
        if isinstance(part, Image):
            return read_picture(media.pixels(part))
        return read_clip(media.frames(part).pixels, part.indices or media.choose(part))


def read_picture(frame: RGB) -> Scene:
    """The still scene of a frame; equal marks in one cell are a group."""
    groups: dict[tuple[Look, int, int], list[Mark]] = {}
    for mark in read_marks(frame):
        groups.setdefault((_look(mark), mark.side, _cell(mark.x, mark.y)), []).append(mark)
    things = [_thing(marks, _NAMES.get(side, VARYING), cell) for (_, side, cell), marks in groups.items()]
    return Scene(tuple(things), read_paper(frame))


def read_clip(frames: Sequence[RGB] | RGB, indices: Sequence[int]) -> Scene:
    """The moving scene of frames with these indices among the 16 of a clip."""
    tracks: dict[Look, dict[int, Mark]] = {}
    for index, frame in zip(indices, frames, strict=True):
        for mark in read_marks(frame):
            tracks.setdefault(_look(mark), {})[index] = mark
    things: list[Thing] = []
    events: list[Event] = []
    motion: Motion | None = None
    turned = _turned(tracks)
    for look, track in tracks.items():
        if look in turned.values():
            continue
        found = _motion(track)
        if found is not None:
            path, speed, place = found
            motion = Motion(path, speed, 0, len(things))
            size = VARYING if path in ("grows", "shrinks") else _NAMES[_first(track).side]
            things.append(_thing([_first(track)], size, place))
            continue
        if look in turned:
            events.append(Event("turns", len(things), "midway", turned[look][2]))
        else:
            events += _happening(track, indices, len(things))
        mark = _first(track)
        things.append(_thing([mark], _NAMES.get(mark.side, VARYING), _cell(mark.x, mark.y)))
    return Scene(tuple(things), read_paper(frames[0]), motion, tuple(events))


def _look(mark: Mark) -> Look:
    return mark.shape, mark.fill, mark.colour


def _cell(x: int, y: int) -> int:
    return 3 * (y // CELL) + x // CELL


def _first(track: Track) -> Mark:
    return track[min(track)]


def _thing(marks: Sequence[Mark], size: str, place: int) -> Thing:
    x, y = (round(float(np.mean([getattr(mark, name) for mark in marks]))) for name in ("x", "y"))
    offset = x - CELL * (place % 3) - CELL // 2, y - CELL * (place // 3) - CELL // 2
    return Thing(marks[0].shape, marks[0].colour, size, marks[0].fill, place, *offset, count=len(marks))


def _turned(tracks: Mapping[Look, Track]) -> dict[Look, Look]:
    """Looks that give way to another colour of the same outline and place in the second half."""
    found = {}
    for one, before in tracks.items():
        for two, after in tracks.items():
            if one[:2] == two[:2] and one[2] != two[2] and max(before) < FRAMES // 2 <= min(after):
                here, there = _first(before), _first(after)
                if (here.x, here.y, here.side) == (there.x, there.y, there.side):
                    found[one] = two
    return found


def _happening(track: Track, indices: Sequence[int], thing: int) -> list[Event]:
    """The event whose slot is the frames in which the thing is there, or is not."""
    there = [index in track for index in indices]
    for slot, (start, stop) in SLOTS.items():
        inside = [start <= index < stop for index in indices]
        if there == inside:
            return [Event("appears", thing, slot)]
        if [not here for here in there] == inside:
            return [Event("disappears" if slot == "midway" else "blinks", thing, slot)]
    return []


def _motion(track: Track) -> tuple[str, str, int] | None:
    """Path, speed and place of what moves or grows, from its steps between frames; None for what stays."""
    marks = [track[index] for index in sorted(track)]
    steps = np.array([(_over(b.x - a.x), _over(b.y - a.y), b.side - a.side) for a, b in pairwise(marks)] or [(0, 0, 0)])
    if not steps.any():
        return None
    column, row = marks[0].x // CELL, marks[0].y // CELL
    if steps[:, 2].any():
        grows = int(np.sign(steps[:, 2]).sum()) > 0
        pace = float(np.median(np.abs(steps[:, 2])))
        return ("grows" if grows else "shrinks"), _speed(pace > _FAST_GROWTH), 3 * row + column
    across, down = (int(np.median(steps[:, k])) for k in (0, 1))
    if not steps[:, 1].any():
        return ("right" if across > 0 else "left"), _speed(abs(across) > _FAST_STEP), 3 * row + 1
    if not steps[:, 0].any():
        return ("down" if down > 0 else "up"), _speed(abs(down) > _FAST_STEP), 3 + column
    if (steps[:, 0] == steps[:, 1]).all():
        return ("down-right" if down > 0 else "up-left"), _speed(abs(down) > _FAST_STEP), 4
    turn = sum(a[0] * b[1] - a[1] * b[0] for a, b in pairwise(steps))
    pace = float(np.median(np.hypot(steps[:, 0], steps[:, 1])))
    centre = [float(np.mean([getattr(mark, name) for mark in marks])) for name in ("x", "y")]
    column, row = (round(c / CELL) - 1 for c in centre)
    return ("clockwise" if turn > 0 else "counter-clockwise"), _speed(pace > _FAST_STEP), 3 * row + column


def _speed(fast: bool) -> str:
    return "fast" if fast else "slow"


def _over(step: int) -> int:
    """A step taken over the nearer edge."""
    return (step + CANVAS // 2) % CANVAS - CANVAS // 2
