"""Scenes drawn from (seed, index, part): the one place where the distribution of the world is decided."""

from __future__ import annotations

from dataclasses import replace

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.world import (
    COLOURS,
    FILLS,
    GENERATOR_VERSION,
    HELD_OUT_COUNT,
    HELD_OUT_PAIRS,
    HELD_OUT_PAPER,
    HELD_OUT_PATHS,
    PAPERS,
    PATHS,
    PHASES,
    PLACES,
    SHAPES,
    SIZES,
    SPEEDS,
    VARYING,
    Event,
    Motion,
    Part,
    Scene,
    Thing,
    mover_cells,
    part_of,
)

STILL, MOVING = 1, 2  # streams of the draw
_SEEN_PATHS = tuple(path for path in PATHS if path not in HELD_OUT_PATHS)
_SEEN_PAPERS = tuple(paper for paper in PAPERS if paper != HELD_OUT_PAPER)
_PAIRS = tuple((colour, shape) for colour in COLOURS for shape in SHAPES)
_SEEN_PAIRS = tuple(pair for pair in _PAIRS if pair not in HELD_OUT_PAIRS)
_UNSEEN_PAIRS = tuple(pair for pair in _PAIRS if pair in HELD_OUT_PAIRS)
_JITTER, _GROUP_JITTER, _PATH_JITTER = 10, 4, 5
_GROUPS_PERCENT = 25  # of still scenes: those with one group of copies


def allowed(part: Part, thing: Thing) -> bool:
    """Whether a thing may stand in scenes of the part: held-out pairs and counts need a part that has them."""
    return (part.pair or (thing.colour, thing.shape) not in HELD_OUT_PAIRS) and (
        part.count or thing.count != HELD_OUT_COUNT
    )


def sample_still(seed: int, index: int, part: str) -> Scene:
    """The still scene of that index: one to three things, at most one of them a group."""
    spec = part_of(part, seed)
    draw = Draw(GENERATOR_VERSION, STILL, spec.code, seed, index)
    number = draw.choice((1, 2, 2, 2, 3, 3, 3))
    pairs = _pairs(draw, number, spec)
    group = draw.below(number) if spec.count or draw.chance(_GROUPS_PERCENT) else -1
    things = [
        _thing(draw, pair, place, count=_count(draw, spec) if i == group else 1)
        for i, (pair, place) in enumerate(zip(pairs, draw.sample(range(len(PLACES)), number), strict=True))
    ]
    return Scene(tuple(things), _paper(draw, spec))


def sample_moving(seed: int, index: int, part: str) -> Scene:
    """The moving scene of that index: mostly one thing moves; else a thing changes midway, or two blink in turn."""
    spec = part_of(part, seed)
    draw = Draw(GENERATOR_VERSION, MOVING, spec.code, seed, index)
    number = draw.choice((1, 2, 2, 2, 3, 3, 3))
    pairs = _pairs(draw, number, spec)
    kind = "motion" if spec.path else draw.choice(("motion",) * 12 + ("change",) * 4 + ("order",) * 4)
    if kind == "order" and number == 1:
        kind = "change"
    paper = _paper(draw, spec)
    if kind != "motion":
        places = draw.sample(range(len(PLACES)), number)
        things = tuple(_thing(draw, pair, place) for pair, place in zip(pairs, places, strict=True))
        scene = Scene(things, paper)
        if kind == "change":
            return replace(scene, events=(draw_change(draw, scene, draw.below(number), spec),))
        first, second = draw.sample(range(number), 2)
        return replace(scene, events=(Event("blinks", first, "early"), Event("blinks", second, "late")))
    scene = _with_motion(draw, pairs, paper, spec)
    if number > 1 and draw.chance(20):
        assert scene.motion is not None
        others = [i for i in range(number) if i != scene.motion.mover]
        scene = replace(scene, events=(draw_change(draw, scene, draw.choice(others), spec),))
    return scene


def draw_change(draw: Draw, scene: Scene, thing: int, part: Part) -> Event:
    """An event midway in the clip that happens to that thing."""
    kind = draw.choice(("appears", "disappears", "turns", "turns"))
    if kind != "turns":
        return Event(kind, thing, "midway")
    return Event(kind, thing, "midway", draw.choice(free_colours(scene, thing, part)))


def free_colours(scene: Scene, index: int, part: Part) -> list[str]:
    """Colours that the thing could have instead: allowed in the part, and its pair not met elsewhere in the scene."""
    thing = scene.things[index]
    met = {(other.colour, other.shape) for other in scene.things} | turned_pairs(scene)
    options = (replace(thing, colour=colour) for colour in COLOURS)
    return [option.colour for option in options if (option.colour, option.shape) not in met and allowed(part, option)]


def turned_pairs(scene: Scene) -> set[tuple[str, str]]:
    """The (colour, shape) pairs that come about when things turn."""
    return {(event.colour, scene.things[event.thing].shape) for event in scene.events if event.kind == "turns"}


def draw_thing(draw: Draw, pair: tuple[str, str], place: int) -> Thing:
    """A single thing of that colour and shape in that cell, its other attributes drawn."""
    return _thing(draw, pair, place)


def free_pairs(scene: Scene, part: Part) -> list[tuple[str, str]]:
    """The (colour, shape) pairs of the part that the scene does not show."""
    met = {(thing.colour, thing.shape) for thing in scene.things} | turned_pairs(scene)
    return [pair for pair in (_PAIRS if part.pair else _SEEN_PAIRS) if pair not in met]


def _pairs(draw: Draw, number: int, part: Part) -> list[tuple[str, str]]:
    if not part.pair:
        return draw.sample(_SEEN_PAIRS, number)
    first = draw.choice(_UNSEEN_PAIRS)
    return draw.shuffled([first, *draw.sample([pair for pair in _PAIRS if pair != first], number - 1)])


def _count(draw: Draw, part: Part) -> int:
    return HELD_OUT_COUNT if part.count else draw.choice((2, 4))


def _paper(draw: Draw, part: Part) -> str:
    return HELD_OUT_PAPER if part.paper else draw.choice(_SEEN_PAPERS)


def _thing(draw: Draw, pair: tuple[str, str], place: int, count: int = 1) -> Thing:
    reach = _JITTER if count == 1 else _GROUP_JITTER
    size = draw.choice(SIZES) if count == 1 else "small"
    dx, dy = draw.below(2 * reach + 1) - reach, draw.below(2 * reach + 1) - reach
    return Thing(pair[1], pair[0], size, draw.choice(FILLS), place, dx, dy, count)


def _anchor(draw: Draw, path: str) -> int:
    """Where a path may lie; `Thing.place` says what the number means."""
    if path in ("left", "right"):
        return draw.choice((1, 4, 7))
    if path in ("up", "down"):
        return draw.choice((3, 4, 5))
    if path in ("clockwise", "counter-clockwise"):
        return draw.choice((0, 1, 3, 4))
    return 4 if path in HELD_OUT_PATHS else draw.below(len(PLACES))


def _with_motion(draw: Draw, pairs: list[tuple[str, str]], paper: str, part: Part) -> Scene:
    path = draw.choice(HELD_OUT_PATHS if part.path else _SEEN_PATHS)
    anchor = _anchor(draw, path)
    motion = Motion(path, draw.choice(SPEEDS), draw.below(PHASES), draw.below(len(pairs)))
    free = draw.shuffled([cell for cell in range(len(PLACES)) if cell not in mover_cells(path, anchor)])
    things = []
    for index, pair in enumerate(pairs):
        thing = _thing(draw, pair, anchor if index == motion.mover else free.pop())
        if path in HELD_OUT_PATHS:  # the diagonal crosses the whole canvas: only small things leave it free
            thing = replace(thing, size="small", dx=thing.dx // 4, dy=thing.dy // 4)
        if index == motion.mover:
            size = VARYING if path in ("grows", "shrinks") else thing.size
            reach = 0 if path in HELD_OUT_PATHS else _PATH_JITTER
            thing = replace(thing, size=size, dx=thing.dx * reach // _JITTER, dy=thing.dy * reach // _JITTER)
        things.append(thing)
    return Scene(tuple(things), paper, motion)
