"""A reading of clips by colours and positions, and of captions by a few words: sharp, but without shapes.

`still` reads one frame, `in_order` a sequence of frames; both give vectors on the axes of `told`, the reading of a text. In
the order in which frames are shown, `in_order` solves the temporal quartets; so what it scores without that order is
what these give away.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.shortcuts.shown import Patch, patches
from unite_bench.embedders.shortcuts.words import COLOURS, words
from unite_bench.items import RGB

WAYS = ("left", "right", "up", "down", "clockwise", "counter-clockwise", "grows", "shrinks", "slow", "fast")
AXES = (
    *(f"shows {c}" for c in COLOURS),
    *(f"moves {c}" for c in COLOURS),
    *(f"first {c}" for c in COLOURS),
    *WAYS,
    "always",
)
_MOVING = {"moves", "moving", "goes", "going", "grows", "growing", "shrinks", "shrinking", "gets", "getting"}
_HAPPENING = {"blinks", "blinking", "flickers", "flickering", "appears", "appearing", "shows", "showing"}
_WAY = {
    "upwards": "up",
    "downwards": "down",
    "anticlockwise": "counter-clockwise",
    "growing": "grows",
    "bigger": "grows",
    "shrinking": "shrinks",
    "smaller": "shrinks",
    "slowly": "slow",
    "quick": "fast",
}
_STILL = 0.02  # a patch that moves less, as a share of the frame, stays
_BRISK = 0.185  # steps, or growth, from frame to frame: between the slow ones and the fast ones of eight frames


def told(text: str) -> Vectors:
    """What a caption says: colours; the colour that moves, and how; with `then`, the colour of the first event."""
    found = {"always": 1.0}
    last = ""
    mover = first = False
    for word in words(text):
        way = _WAY.get(word, word)
        if word in COLOURS:
            last = word
            found[f"shows {word}"] = 1.0
        elif word in _MOVING and last and not mover:
            mover, found[f"moves {last}"] = True, 4.0
        elif word in _HAPPENING and last and not first:
            first, found[f"first {last}"] = True, 4.0
        if way in WAYS and mover:
            found[way] = 4.0
    return _vector(found)


def still(frame: RGB) -> Vectors:
    """What one frame may suggest: who moves by who stands off the grid, directions by where things are."""
    seen = patches(frame)
    found = {f"first {colour}": float(colour not in seen) for colour in COLOURS} | {"always": 1.0}
    for colour, patch in seen.items():
        found[f"shows {colour}"] = 1.0
        found[f"moves {colour}"] = abs(patch.x * 3 % 1 - 0.5) + abs(patch.y * 3 % 1 - 0.5)
    if seen:
        x, y, area = (float(np.mean([getattr(patch, name) for patch in seen.values()])) for name in ("x", "y", "area"))
        found |= {"left": 1 - x, "right": x, "up": 1 - y, "down": y, "clockwise": (x + y) / 2}
        found |= {"counter-clockwise": 1 - (x + y) / 2, "grows": 10 * area, "shrinks": 1 - 10 * area}
        found |= {"slow": x, "fast": 1 - x}
    return _vector(found)


def in_order(frames: Sequence[RGB]) -> Vectors:
    """What a sequence of frames shows: displacements of the colours from frame to frame, and who is gone when."""
    seen = [patches(frame) for frame in frames]
    colours = sorted({colour for patch in seen for colour in patch})
    found = {"always": 1.0}
    steps = {colour: _steps([patch.get(colour) for patch in seen]) for colour in colours}
    for colour in colours:
        found[f"shows {colour}"] = 1.0
        found[f"first {colour}"] = 1 - _when([colour in patch for patch in seen])
        found[f"moves {colour}"] = float(np.mean(np.abs(steps[colour]).max(axis=1) > _STILL))
    if colours:
        mover = max(colours, key=lambda colour: float(np.abs(steps[colour]).sum()))
        found |= _ways([patch[mover] for patch in seen if mover in patch], steps[mover])
    return _vector(found)


def _steps(track: Sequence[Patch | None]) -> Vectors:
    """(n, 2) displacements between successive frames, over the edges where that is nearer; areas count as moving too."""
    rows = [
        ((b.x - a.x + 0.5) % 1 - 0.5, (b.y - a.y + 0.5) % 1 - 0.5)
        for a, b in pairwise(track)
        if a is not None and b is not None
    ]
    return np.array(rows or [(0.0, 0.0)])


def _when(there: Sequence[bool]) -> float:
    """The mean time, in [0, 1], at which a thing is in its rarer state; 1 where it never changes."""
    rarer = np.flatnonzero(np.array(there) == (2 * sum(there) < len(there)))
    return float(rarer.mean() / len(there)) if 0 < rarer.size < len(there) else 1.0


def _ways(track: Sequence[Patch], steps: Vectors) -> dict[str, float]:
    across, down = (float(np.mean(np.sign(steps[:, k]) * (np.abs(steps[:, k]) > _STILL))) for k in (0, 1))
    points = np.array([(p.x, p.y) for p in track]) - np.mean([(p.x, p.y) for p in track], axis=0)
    turn = np.sign([a[0] * b[1] - a[1] * b[0] for a, b in pairwise(points)])
    growth = np.sign(np.diff([p.area for p in track]))
    turning, growing = (float(np.mean(signs)) if len(signs) else 0.0 for signs in (turn, growth))
    pace = float(np.mean(np.abs(steps).max(axis=1)))
    sides = np.sqrt([p.area for p in track])
    if pace < _STILL and len(sides) > 1:
        pace = 0.8 * float(np.mean(np.abs(np.diff(sides))) / np.mean(sides))
    return {
        "left": -across,
        "right": across,
        "up": -down,
        "down": down,
        "clockwise": turning,
        "counter-clockwise": -turning,
        "grows": growing,
        "shrinks": -growing,
        "fast": pace - _BRISK,
        "slow": _BRISK - pace,
    }


def _vector(found: dict[str, float]) -> Vectors:
    return np.array([found.get(axis, 0.0) for axis in AXES])
