"""Quartets of composition: the two scenes hold the same parts, the two captions the same words, bound otherwise.

Nothing that can be counted (words, colours, shapes, sizes, ink, frames) tells the halves apart; how the parts are put
together does. The directions are the exception in words: there one word differs, and the clips hold the same frames.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.language import Facts
from unite_bench.sources.scenes.masks import cover
from unite_bench.sources.scenes.quartet import (
    Place,
    Sides,
    draw_pairs,
    draw_paper,
    draw_things,
    exchanged,
    facts,
    fits,
)
from unite_bench.sources.scenes.sample import draw_thing
from unite_bench.sources.scenes.world import (
    CELL,
    FILLS,
    HELD_OUT_PATHS,
    PHASES,
    PLACES,
    REVERSED,
    SHAPES,
    SIDES,
    SPEEDS,
    VARYING,
    Event,
    Motion,
    Part,
    Scene,
    Thing,
)

COLOUR, SIZE, RELATION, MOVER, ORDER, DIRECTION = range(50, 56)  # streams of the draw
AREA_TOLERANCE = 0.03
_STEP = 336 // PHASES
_THIRD_PERCENT = 40
_RETURN = 12  # phases: clips whose phases differ by a multiple hold the same frames under 8 and 16 frames
_DIRECTED = (("left", "right"), ("up", "down"), ("clockwise", "counter-clockwise"), ("grows", "shrinks"))


def colour_binding(at: Place) -> Sides:
    """Two things exchange their colours; a third, if there is one, stays as it is."""
    draw, part = at.draw(COLOUR), at.spec
    scene = binding_scene(draw, part)
    told = facts(draw.shuffled(range(len(scene.things))))
    other = replace(scene, things=exchanged(scene.things, "colour"))
    return Sides((scene, other), (told, told), f"{len(scene.things)} things")


def binding_scene(draw: Draw, part: Part) -> Scene:
    """A still scene whose first two things may exchange colours within the part."""
    number = 2 + draw.chance(_THIRD_PERCENT)
    while True:
        pairs = draw_pairs(draw, number)
        things = draw_things(draw, pairs, draw.sample(range(len(PLACES)), number))
        scene = Scene(things, draw_paper(draw, part))
        other = replace(scene, things=exchanged(things, "colour"))
        if fits(part, (scene,)) and fits(part, (scene, other)):
            return scene


def size_binding(at: Place) -> Sides:
    """A small and a large thing exchange sizes. Their shapes and fills cover equal shares of their squares, so ink stays."""
    draw, part = at.draw(SIZE), at.spec
    while True:
        looks = draw.shuffled(draw.choice(_equal_areas()))
        colours = [colour for colour, _ in draw_pairs(draw, 2)]
        pairs = [(colour, shape) for colour, (shape, _) in zip(colours, looks, strict=True)]
        things = draw_things(draw, pairs, draw.sample(range(len(PLACES)), 2))
        sizes = draw.shuffled(tuple(SIDES))
        things = tuple(
            replace(t, size=size, fill=fill) for t, size, (_, fill) in zip(things, sizes, looks, strict=True)
        )
        scene = Scene(things, draw_paper(draw, part))
        if fits(part, (scene,)):
            break
    told = facts(draw.shuffled(range(2)), look=True)
    other = replace(scene, things=exchanged(things, "size"))
    return Sides((scene, other), (told, told), "two sizes")


@lru_cache(maxsize=1)
def _equal_areas() -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Pairs of (shape, fill) of different shapes whose areas differ by less than AREA_TOLERANCE."""
    areas = {(shape, fill): int(cover(shape, fill, SIDES["large"]).sum()) for shape in SHAPES for fill in FILLS}
    looks = sorted(areas)
    return [
        (one, two)
        for i, one in enumerate(looks)
        for two in looks[i + 1 :]
        if one[0] != two[0] and abs(areas[one] / areas[two] - 1) < AREA_TOLERANCE
    ]


def relation(at: Place) -> Sides:
    """Two things in one row or one column exchange places; each caption says where its first thing is of its second."""
    draw, part = at.draw(RELATION), at.spec
    word = ("left", "right", "above", "below")[at.index % 4]
    along, across = draw.sample(range(3), 2), draw.below(3)
    first, second = sorted(along, reverse=word in ("right", "below"))
    cells = [3 * across + k if word in ("left", "right") else 3 * k + across for k in (first, second)]
    while True:
        pairs = draw_pairs(draw, 2)
        scene = Scene(draw_things(draw, pairs, cells), draw_paper(draw, part))
        if fits(part, (scene,)):
            break
    other = replace(scene, things=exchanged(scene.things, "place", "dx", "dy"))
    both = tuple(Facts(True, False, False, (i, word, j), (i, j)) for i, j in ((0, 1), (1, 0)))
    return Sides((scene, other), (both[0], both[1]), word)


def who_moves(at: Place) -> Sides:
    """Of two things in two rows (or columns) one moves along its own; in the other clip the other one does.

    The one that stays may stand anywhere along its row, as the one that moves may in any single frame: one frame says
    nothing.
    """
    draw, part = at.draw(MOVER), at.spec
    path = ("left", "right", "up", "down")[at.index % 4]
    level = path in ("left", "right")
    while True:
        lines = draw.sample(range(3), 2)
        things = draw_things(draw, draw_pairs(draw, 2), [3 * k + 1 if level else 3 + k for k in lines])
        things = tuple(replace(thing, dx=thing.dx // 2, dy=thing.dy // 2) for thing in things)
        paper, speed = draw_paper(draw, part), draw.choice(SPEEDS)
        if fits(part, (Scene(things, paper),)):
            break
    scenes = []
    for mover in (0, 1):
        stays = _anywhere(things[1 - mover], level, draw.below(PHASES))
        shown = (things[0], stays) if mover == 0 else (stays, things[1])
        scenes.append(Scene(shown, paper, Motion(path, speed, draw.below(PHASES), mover)))
    return Sides((scenes[0], scenes[1]), (facts((0, 1)), facts((1, 0))), path)


def _anywhere(thing: Thing, level: bool, step: int) -> Thing:
    """The thing at one of the positions along its row or column that a moving thing takes."""
    cell, rest = divmod(_STEP * step, CELL)
    if level:
        return replace(thing, place=3 * thing.row + cell, dx=rest - CELL // 2)
    return replace(thing, place=3 * cell + thing.column, dy=rest - CELL // 2)


def order_of_events(at: Place) -> Sides:
    """Two things blink, or show up for a moment, one after the other; in the other clip the other one is first."""
    draw, part = at.draw(ORDER), at.spec
    kind = ("blinks", "appears")[at.index % 2]
    while True:
        things = draw_things(draw, draw_pairs(draw, 2), draw.sample(range(len(PLACES)), 2))
        scene = Scene(things, draw_paper(draw, part))
        if fits(part, (scene,)):
            break
    place = draw.chance(50)
    orders = ((0, 1), (1, 0))
    scenes = [
        replace(
            scene, events=tuple(Event(kind, thing, slot) for thing, slot in zip(order, ("soon", "later"), strict=True))
        )
        for order in orders
    ]
    told = [facts(order, place=place) for order in orders]
    return Sides((scenes[0], scenes[1]), (told[0], told[1]), kind)


def direction(at: Place) -> Sides:
    """One thing runs its circuit one way or the other, over the same frames; where it starts is drawn for each clip."""
    draw, part = at.draw(DIRECTION), at.spec
    paths = HELD_OUT_PATHS if part.path else draw.shuffled(_DIRECTED[at.index % len(_DIRECTED)])
    while True:
        things = moving_things(draw, paths[0], draw_pairs(draw, 1)[0])
        scene = Scene(things, draw_paper(draw, part))
        if fits(part, (scene,)):
            break
    speed, phase = draw.choice(SPEEDS), draw.below(PHASES)
    back = (phase + _RETURN * draw.below(PHASES // _RETURN)) % PHASES
    motions = (Motion(paths[0], speed, phase, 0), Motion(REVERSED[paths[0]], speed, back, 0))
    told = facts((0,), place=True, look=True)
    return Sides((replace(scene, motion=motions[0]), replace(scene, motion=motions[1])), (told, told), _slice(paths[0]))


def moving_things(draw: Draw, path: str, pair: tuple[str, str]) -> tuple[Thing, ...]:
    """The one thing of a clip, anchored where its path lies."""
    if path in HELD_OUT_PATHS:
        return (replace(draw_thing(draw, pair, 4), size="small", dx=0, dy=0),)
    anchors = {"left": (1, 4, 7), "up": (3, 4, 5), "clockwise": (0, 1, 3, 4), "grows": tuple(range(9))}
    thing = draw_thing(draw, pair, draw.choice(anchors.get(path) or anchors[REVERSED[path]]))
    size = VARYING if path in ("grows", "shrinks") else thing.size
    return (replace(thing, size=size, dx=thing.dx // 2, dy=thing.dy // 2),)


def _slice(path: str) -> str:
    return " / ".join(sorted((path, REVERSED[path])))
