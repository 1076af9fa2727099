"""The world of scenes: its vocabulary, its programs, and which parts of it are held out of training.

A `Scene` says everything that decides a picture or a clip, in plain values. What it looks like is `render`'s business,
what may be said about it is `language`'s, and what is true of it is `entailment`'s. Lengths are pixels of a 336 px
canvas; time is counted in the 16 frames of a clip of two seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property

from unite_bench.errors import UsageError
from unite_bench.items import content_digest

GENERATOR_VERSION = 1
CANVAS = 336
CELL = CANVAS // 3
FRAMES = 16
SECONDS = 2.0

SHAPES = ("circle", "square", "triangle", "star", "cross", "heart", "diamond", "moon")
# Searched for the largest least distance (CIE Lab) under normal vision and three simulated dichromacies, to each other
# and to the papers.
COLOURS = {
    "red": (170, 3, 0),
    "orange": (227, 106, 23),
    "yellow": (242, 209, 11),
    "green": (30, 142, 80),
    "cyan": (14, 205, 252),
    "blue": (18, 56, 246),
    "purple": (121, 52, 153),
    "pink": (231, 134, 167),
}
PAPERS = {"white": (246, 246, 246), "black": (16, 16, 16), "squared": (246, 246, 246), "dotted": (246, 246, 246)}
FILLS = ("solid", "outlined", "striped")
SIDES = {"small": 46, "large": 84}
SIZES = tuple(SIDES)
GROWING_SIDES = (44, 100)  # a growing thing has no size word: its `size` is VARYING
VARYING = "varying"
PLACES = (
    "top left",
    "top middle",
    "top right",
    "middle left",
    "centre",
    "middle right",
    "bottom left",
    "bottom middle",
    "bottom right",
)
COUNTS = (1, 2, 3, 4)
PATHS = ("left", "right", "up", "down", "clockwise", "counter-clockwise", "grows", "shrinks", "up-left", "down-right")
REVERSED = {
    "left": "right",
    "right": "left",
    "up": "down",
    "down": "up",
    "clockwise": "counter-clockwise",
    "counter-clockwise": "clockwise",
    "grows": "shrinks",
    "shrinks": "grows",
    "up-left": "down-right",
    "down-right": "up-left",
}
CYCLES = {"slow": 1, "fast": 2}  # of the path, per clip: equal paths, and every cycle closes
SPEEDS = tuple(CYCLES)
PHASES = 48
EVENTS = ("appears", "disappears", "turns", "blinks")
# In frames; all but midway show equally often. Quartets alone use `soon` and `later`: the first, the middle and the last
# frame are outside both, so none of these alone tells which of two events came first.
SLOTS = {"midway": (8, 16), "early": (4, 8), "late": (8, 12), "soon": (3, 7), "later": (11, 15)}

# Held out: each colour once and each shape once; the diagonal path (made of known words); one count; one paper.
HELD_OUT_PAIRS = frozenset((colour, SHAPES[(3 * i + 1) % 8]) for i, colour in enumerate(COLOURS))
HELD_OUT_PATHS = ("up-left", "down-right")
HELD_OUT_COUNT = 3
HELD_OUT_PAPER = "dotted"
TEST_SEEDS = range(1_000_000)
TRAIN_SEEDS = range(1_000_000, 2_000_000)


@dataclass(frozen=True)
class Part:
    """Which seeds a part may use, and which of the held-out features its scenes all have (else: none has)."""

    code: int
    seeds: range
    pair: bool = False
    path: bool = False
    count: bool = False
    paper: bool = False
    wording: bool = False


PARTS = {
    "train": Part(0, TRAIN_SEEDS),
    "iid": Part(1, TEST_SEEDS),
    "held-out": Part(2, TEST_SEEDS, pair=True, path=True, count=True, paper=True, wording=True),
    "held-out-pair": Part(3, TEST_SEEDS, pair=True),
    "held-out-path": Part(4, TEST_SEEDS, path=True),
    "held-out-count": Part(5, TEST_SEEDS, count=True),
    "held-out-paper": Part(6, TEST_SEEDS, paper=True),
    "held-out-wording": Part(7, TEST_SEEDS, wording=True),
}


def part_of(name: str, seed: int | None = None) -> Part:
    """The part of that name; raises `UsageError` if there is none, or if the seed belongs to the other side."""
    if name not in PARTS:
        raise UsageError(f"scenes: unknown part {name!r}; there are {', '.join(PARTS)}")
    part = PARTS[name]
    if seed is not None and seed not in part.seeds:
        raise UsageError(
            f"scenes: part {name!r} takes seeds {part.seeds.start} to {part.seeds.stop - 1}, not {seed}: "
            "training and test seeds are kept apart"
        )
    return part


@dataclass(frozen=True)
class Thing:
    """One thing, or a group of equal copies in one cell. `place` indexes PLACES; (dx, dy) is its jitter in pixels.

    For the thing that moves, `place` anchors the path: the row's or column's middle cell, the upper left cell of the
    2 x 2 block that is circled, or the cell in which the thing grows.
    """

    shape: str
    colour: str
    size: str
    fill: str
    place: int
    dx: int = 0
    dy: int = 0
    count: int = 1

    @property
    def row(self) -> int:
        return self.place // 3

    @property
    def column(self) -> int:
        return self.place % 3


@dataclass(frozen=True)
class Motion:
    """What the `mover` of a scene does: a closed path, run `CYCLES[speed]` times from a phase in [0, PHASES)."""

    path: str
    speed: str
    phase: int
    mover: int


@dataclass(frozen=True)
class Event:
    """Something that happens to a thing in a slot of time; `colour` is what it turns."""

    kind: str
    thing: int
    slot: str
    colour: str = ""


@dataclass(frozen=True)
class Scene:
    """A scene program: one to three things on a paper; in moving scenes a motion, events, or both."""

    things: tuple[Thing, ...]
    paper: str
    motion: Motion | None = None
    events: tuple[Event, ...] = ()

    @property
    def moving(self) -> bool:
        return self.motion is not None or bool(self.events)

    @property
    def figures(self) -> int:
        """How many shapes are drawn, the copies of groups counted."""
        return sum(thing.count for thing in self.things)

    @cached_property
    def canonical(self) -> str:
        """JSON of every value that decides the pixels, in a fixed order."""
        motion = None if self.motion is None else [*self.motion.__dict__.values()]
        return json.dumps(
            {
                "things": [[*thing.__dict__.values()] for thing in self.things],
                "paper": self.paper,
                "motion": motion,
                "events": [[*event.__dict__.values()] for event in self.events],
            },
            separators=(",", ":"),
        )

    @cached_property
    def meaning(self) -> str:
        """What can be told by looking: `canonical` less jitter, phase and order. Equal meanings are the same answer."""
        ranks = sorted(range(len(self.things)), key=lambda i: repr(replace(self.things[i], dx=0, dy=0)))
        things = [repr(replace(self.things[i], dx=0, dy=0)) for i in ranks]
        motion = self.motion and replace(self.motion, phase=0, mover=ranks.index(self.motion.mover))
        events = sorted(repr(replace(event, thing=ranks.index(event.thing))) for event in self.events)
        return repr((things, self.paper, motion, events))

    def digest(self, form: str) -> str:
        """Digest of the program in one form (`still`, `still@8`, `clip`): nothing is rendered."""
        return content_digest("scenes", str(GENERATOR_VERSION), form, self.canonical)


def mover_cells(path: str, place: int) -> frozenset[int]:
    """The cells that a path needs for itself, so that nothing is ever covered."""
    if path in ("left", "right"):
        return frozenset(range(place // 3 * 3, place // 3 * 3 + 3))
    if path in ("up", "down"):
        return frozenset(range(place % 3, 9, 3))
    if path in ("clockwise", "counter-clockwise"):
        return frozenset((place, place + 1, place + 3, place + 4))
    if path in HELD_OUT_PATHS:
        return frozenset(range(9)) - {2, 6}
    return frozenset((place,))


def taken_cells(scene: Scene) -> frozenset[int]:
    """Every cell that a thing may touch in some frame."""
    cells: set[int] = set()
    for index, thing in enumerate(scene.things):
        if scene.motion is not None and scene.motion.mover == index:
            cells |= mover_cells(scene.motion.path, thing.place)
        else:
            cells.add(thing.place)
    return frozenset(cells)
