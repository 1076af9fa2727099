"""A quartet: two scenes and two captions, each caption true of one scene only. What all kinds of quartets are made with.

After Thrush et al., "Winoground" (CVPR 2022). Both captions follow one template and one order of things, so that they
differ in nothing but what the quartet is about; which scene comes first is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.language import Facts, tell
from unite_bench.sources.scenes.sample import allowed, draw_thing
from unite_bench.sources.scenes.world import (
    COLOURS,
    GENERATOR_VERSION,
    HELD_OUT_PAIRS,
    HELD_OUT_PAPER,
    PAPERS,
    SHAPES,
    Part,
    Scene,
    Thing,
    part_of,
)

Pair = tuple[str, str]  # colour, shape


@dataclass(frozen=True)
class Sides:
    """What a kind of quartet draws: two scenes, each with the facts that its caption tells, and a name for slices."""

    scenes: tuple[Scene, Scene]
    facts: tuple[Facts, Facts]
    slice: str


@dataclass(frozen=True)
class Quartet:
    """Scenes with their captions and other wordings of these: caption k is true of scene k alone."""

    scenes: tuple[Scene, Scene]
    captions: tuple[str, str]
    paraphrases: tuple[str, str]
    slice: str


@dataclass(frozen=True)
class Place:
    """Where in the world a quartet is drawn: everything follows from it and the kind."""

    seed: int
    index: int
    part: str

    @property
    def spec(self) -> Part:
        return part_of(self.part, self.seed)

    def draw(self, stream: int) -> Draw:
        return Draw(GENERATOR_VERSION, stream, self.spec.code, self.seed, self.index)


def told(sides: Sides, at: Place) -> Quartet:
    """The quartet in words, by the grammar of all other captions."""
    both = list(zip(sides.scenes, sides.facts, strict=True))
    short, other = ([tell(s, f, at.index, at.part, other=other) for s, f in both] for other in (False, True))
    return Quartet(sides.scenes, (short[0], short[1]), (other[0], other[1]), sides.slice)


def turned(quartet: Quartet, draw: Draw) -> Quartet:
    """The quartet with its two halves in random order."""
    if draw.chance(50):
        return quartet
    return Quartet(quartet.scenes[::-1], quartet.captions[::-1], quartet.paraphrases[::-1], quartet.slice)


def facts(order: Sequence[int], **kinds: bool) -> Facts:
    """Colour and shape of the things in that order, and what is named besides (`place`, `look`, `speed`)."""
    kept = {"place": False, "look": False, "speed": False} | kinds
    return Facts(kept["place"], kept["look"], kept["speed"], None, tuple(order))


def draw_pairs(draw: Draw, number: int) -> list[Pair]:
    """Pairs that share no colour and no shape; whether they fit a part is for `fits` to say."""
    shapes, colours = draw.sample(SHAPES, number), draw.sample(tuple(COLOURS), number)
    return list(zip(colours, shapes, strict=True))


def draw_paper(draw: Draw, part: Part) -> str:
    return HELD_OUT_PAPER if part.paper else draw.choice([paper for paper in PAPERS if paper != HELD_OUT_PAPER])


def draw_things(draw: Draw, pairs: Sequence[Pair], places: Sequence[int]) -> tuple[Thing, ...]:
    """Single things of these pairs at these places, with sizes, fills and jitter of their own."""
    return tuple(draw_thing(draw, pair, place) for pair, place in zip(pairs, places, strict=True))


def fits(part: Part, scenes: Sequence[Scene]) -> bool:
    """Whether all things of the scenes may be shown in a part, and, if it has held-out pairs, one of them is."""
    things = [thing for scene in scenes for thing in scene.things]
    held_out = any((thing.colour, thing.shape) in HELD_OUT_PAIRS for thing in things)
    return all(allowed(part, thing) for thing in things) and (held_out or not part.pair)


def exchanged(things: Sequence[Thing], *names: str) -> tuple[Thing, ...]:
    """The first two things with these attributes exchanged; the rest as they are."""
    one, two = things[:2]
    return (
        replace(one, **{name: getattr(two, name) for name in names}),
        replace(two, **{name: getattr(one, name) for name in names}),
        *things[2:],
    )
