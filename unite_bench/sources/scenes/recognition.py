"""Quartets of recognition: one thing of the scene is replaced, and one word of the caption with it.

These ask whether an attribute is seen at all. A bag of words and colours may well do; that is what sets them apart from
composition, and why the two are never averaged.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import combinations_with_replacement
from typing import Literal

from unite_bench.sources.scenes.composition import COLOUR, binding_scene, direction
from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.masks import cover
from unite_bench.sources.scenes.phrases import NUMBERS
from unite_bench.sources.scenes.quartet import Place, Quartet, Sides, draw_pairs, draw_paper, facts, fits
from unite_bench.sources.scenes.sample import allowed
from unite_bench.sources.scenes.world import (
    COLOURS,
    CYCLES,
    FILLS,
    PHASES,
    SHAPES,
    SIDES,
    Scene,
    Thing,
)

REPLACED_COLOUR, REPLACED_SHAPE, COUNT, SPEED = range(56, 60)  # streams of the draw
INK_TOLERANCE = 0.02  # of all ink, between the two pictures of a count quartet
_CORNERS = ((0, 8), (2, 6))
_MOST = 6
_OUTWARD, _REACH = 4, 4
_IN_ALL = ("there are {} shapes in all", "on {paper} paper there are {} shapes in all")
_IN_ALL_OTHER = ("this scene has {} shapes in all", "number of shapes: {} in all")
Look = tuple[str, str]  # size, fill
Looks = tuple[Look, ...]


def colour(at: Place) -> Sides:
    """A thing has another colour, which nothing else in the scene has. The first scene is that of colour binding."""
    return _replaced(at, "colour", tuple(COLOURS), REPLACED_COLOUR)


def shape(at: Place) -> Sides:
    """A thing has another shape, which nothing else in the scene has. The first scene is that of colour binding."""
    return _replaced(at, "shape", SHAPES, REPLACED_SHAPE)


def _replaced(at: Place, name: Literal["colour", "shape"], values: tuple[str, ...], stream: int) -> Sides:
    shared = at.draw(COLOUR)
    scene = binding_scene(shared, at.spec)
    told = facts(shared.shuffled(range(len(scene.things))))
    draw = at.draw(stream)
    met = {getattr(thing, name) for thing in scene.things}
    options = [
        (index, other)
        for index, thing in enumerate(scene.things)
        for value in values
        if value not in met and allowed(at.spec, other := _with(thing, name, value))
    ]
    index, other = draw.choice(options)
    things = (*scene.things[:index], other, *scene.things[index + 1 :])
    return Sides((scene, replace(scene, things=things)), (told, told), f"{len(things)} things")


def _with(thing: Thing, name: Literal["colour", "shape"], value: str) -> Thing:
    return replace(thing, colour=value) if name == "colour" else replace(thing, shape=value)


def count(at: Place) -> Quartet:
    """Two scenes of different numbers of things, all of one colour and shape, with equal ink within equal extents.

    Both hold the same two things in opposite corners, which span the extent; between them stand few or more others,
    whose sizes and fills make up for their number.
    """
    draw, part = at.draw(COUNT), at.spec
    while True:
        (pair,) = draw_pairs(draw, 1)
        if fits(part, (Scene((Thing(pair[1], pair[0], "small", "solid", 0),), ""),)):
            break
    corners, paper = draw.choice(_CORNERS), draw_paper(draw, part)
    anchors = [_corner(draw, pair, place) for place in corners]
    fixed = _ink(pair[1], [("large", thing.fill) for thing in anchors])
    options = _balanced(pair[1], fixed)
    few, many = draw.choice(options[draw.choice(sorted(options))])
    free = [place for place in range(9) if place not in corners]
    scenes = []
    for looks in (few, many):
        places = draw.sample(free, len(looks))
        inner = [_between(draw, pair, look, place) for look, place in zip(draw.shuffled(looks), places, strict=True)]
        scenes.append(Scene((*anchors, *inner), paper))
    numbers = [len(scene.things) for scene in scenes]
    texts = [_in_all(draw.choice(wordings), numbers, paper) for wordings in (_IN_ALL, _IN_ALL_OTHER)]
    return Quartet((scenes[0], scenes[1]), texts[0], texts[1], f"{numbers[0]} or {numbers[1]}")


def _in_all(wording: str, numbers: list[int], paper: str) -> tuple[str, str]:
    told = [wording.format(NUMBERS[n], paper=paper) for n in numbers]
    return told[0][0].upper() + told[0][1:] + ".", told[1][0].upper() + told[1][1:] + "."


def _corner(draw: Draw, pair: tuple[str, str], place: int) -> Thing:
    """A large thing set a little outwards, so that nothing inside reaches beyond it."""
    dx, dy = (_OUTWARD + draw.below(7) for _ in range(2))
    fill = draw.choice(FILLS)
    return Thing(pair[1], pair[0], "large", fill, place, dx if place % 3 else -dx, dy if place // 3 else -dy)


def _between(draw: Draw, pair: tuple[str, str], look: Look, place: int) -> Thing:
    dx, dy = (draw.below(2 * _REACH + 1) - _REACH for _ in range(2))
    return Thing(pair[1], pair[0], look[0], look[1], place, dx, dy)


@lru_cache(maxsize=256)
def _balanced(shape: str, fixed: int) -> dict[tuple[int, int], list[tuple[Looks, Looks]]]:
    """Every (few, more) of looks with equal ink beside `fixed` ink that both have, by their numbers.

    As often a little more ink goes with more things as with fewer: each list holds equally many of both.
    """
    looks = [(size, fill) for size in SIDES for fill in FILLS]
    found: dict[tuple[int, int], tuple[list[tuple[Looks, Looks]], list[tuple[Looks, Looks]]]] = {}
    inks = {
        chosen: _ink(shape, chosen)
        for number in range(1, _MOST - 1)
        for chosen in combinations_with_replacement(looks, number)
    }
    for few, little in inks.items():
        for many, much in inks.items():
            if len(few) < len(many) and 0 < abs(little - much) < INK_TOLERANCE * (fixed + little):
                found.setdefault((len(few), len(many)), ([], []))[little < much].append((few, many))
    level = {numbers: min(map(len, lists)) for numbers, lists in found.items()}
    return {numbers: [*less[:n], *more[:n]] for numbers, (less, more) in found.items() if (n := level[numbers])}


def _ink(shape: str, looks: Looks | list[Look]) -> int:
    return sum(int(cover(shape, fill, SIDES[size]).sum(dtype=int)) for size, fill in looks)


def speed(at: Place) -> Sides:
    """The same circuit run slowly or fast. The first clip is that of the direction quartet; all circuits are closed."""
    scene = direction(at).scenes[0]
    assert scene.motion is not None
    slower = next(name for name in CYCLES if name != scene.motion.speed)
    phase = at.draw(SPEED).below(PHASES)
    other = replace(scene, motion=replace(scene.motion, speed=slower, phase=phase))
    told = facts((0,), place=True, look=True, speed=True)
    return Sides((scene, other), (told, told), scene.motion.path)
