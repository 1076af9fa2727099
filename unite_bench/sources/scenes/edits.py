"""Edits of scenes: what a query wishes changed, in words and as an operation on the program.

An `Edit` names the thing it changes by colour and shape, which no two things of a scene share; so the same edit can be
asked of another scene that holds such a thing, and gives the hard negatives (right edit of the wrong source).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.forms import without
from unite_bench.sources.scenes.phrases import WORDING, Voice
from unite_bench.sources.scenes.sample import allowed, draw_thing, free_colours, free_pairs, turned_pairs
from unite_bench.sources.scenes.world import (
    FILLS,
    GENERATOR_VERSION,
    HELD_OUT_PATHS,
    PLACES,
    REVERSED,
    SHAPES,
    SIZES,
    SPEEDS,
    VARYING,
    Part,
    Scene,
    Thing,
    part_of,
    taken_cells,
)

STILL_EDITS = ("recolour", "reshape", "resize", "refill", "move", "remove", "add")
MOVING_EDITS = ("reverse", "speed", "recolour-mover", "swap", "recolour", "reshape", "remove")
Pair = tuple[str, str]  # colour, shape


@dataclass(frozen=True)
class Edit:
    """`value` is the new colour, shape, size, fill, place or speed; `other` the thing added, or swapped with."""

    kind: str
    target: Pair | None = None
    value: str = ""
    other: Thing | None = None


_WORDS: dict[str, tuple[str, ...]] = {  # two wordings, then one that is held out
    "recolour": ("make the {0} {1}", "change the {0} to {1}", "paint the {0} {1}"),
    "reshape": ("turn the {0} into a {1}", "replace the {0} by a {1}", "swap the {0} for a {1}"),
    "resize": ("make the {0} {1}", "let the {0} be {1}", "the {0} should be {1}"),
    "refill": ("make the {0} {1}", "change the {0} to {1}", "the {0} should be {1}"),
    "move": ("move the {0} to the {1}", "put the {0} at the {1}", "shift the {0} to the {1}"),
    "remove": ("remove the {0}", "take away the {0}", "the {0} should be gone"),
    "add": ("add {0}", "put in {0}", "there should be {0} too"),
    "reverse": ("reverse the direction", "let it move the other way", "play the motion backwards"),
    "speed": ("make it {1}", "let it move {1}", "the motion should be {1}"),
    "recolour-mover": ("make the moving shape {1}", "change the moving shape to {1}", "paint the moving shape {1}"),
    "swap": (
        "swap the {0} and the {1}",
        "let the {0} and the {1} change places",
        "exchange the {0} with the {1}",
    ),
}
_SPEED_WORDS = {"fast": "faster", "slow": "slower"}
_SIZE_WORDS = {"large": "larger", "small": "smaller"}


def sample_edit(scene: Scene, pattern: int, part: str = "train") -> tuple[str, Scene]:
    """An edit of the scene, as words and as the scene after it; the pattern number picks both edit and wording."""
    edit = draw_edit(scene, Draw(GENERATOR_VERSION, WORDING + 4, 0, 0, pattern), part_of(part))
    after = apply_edit(edit, scene)
    assert after is not None
    return edit_text(edit, pattern, part), after


def draw_edit(scene: Scene, draw: Draw, part: Part) -> Edit:
    """An edit that the scene admits and that leads to a scene of the part."""
    found = [_options(kind, scene, part, draw) for kind in (MOVING_EDITS if scene.moving else STILL_EDITS)]
    found = [options for options in found if options]
    if not found:
        raise ValueError("this scene admits no edit: what happens to its only thing cannot be edited")
    return draw.choice(draw.choice(found))


def apply_edit(edit: Edit, scene: Scene) -> Scene | None:
    """The scene after the edit, or None where the edit makes no sense for it."""
    if edit.kind == "add":
        return _added(scene, edit.other)
    if edit.target is None:
        return _motion_edited(edit, scene)
    index = _find(scene, edit.target)
    if index is None or scene.things[index].count > 1 or any(event.thing == index for event in scene.events):
        return None
    if edit.kind == "remove":
        return _without(scene, index)
    if edit.kind == "swap":
        other = None if edit.other is None else _find(scene, (edit.other.colour, edit.other.shape))
        return None if other is None else _swapped(scene, index, other)
    if edit.kind == "move":
        place = PLACES.index(edit.value)
        if place in taken_cells(scene):
            return None
        return _with(scene, index, replace(scene.things[index], place=place))
    if edit.kind == "resize" and scene.things[index].size == VARYING:
        return None
    field = {"recolour": "colour", "reshape": "shape", "resize": "size", "refill": "fill"}[edit.kind]
    return _changed(scene, index, field, edit.value)


def _added(scene: Scene, other: Thing | None) -> Scene | None:
    if other is None or other.place in taken_cells(scene) or len(scene.things) > 2 or scene.moving:
        return None
    shown = any((thing.colour, thing.shape) == (other.colour, other.shape) for thing in scene.things)
    return None if shown else replace(scene, things=(*scene.things, other))


def _motion_edited(edit: Edit, scene: Scene) -> Scene | None:
    """Edits that name no thing, but what moves."""
    motion = scene.motion
    if motion is None:
        return None
    if edit.kind == "reverse":
        return replace(scene, motion=replace(motion, path=REVERSED[motion.path]))
    if edit.kind == "speed":
        return None if motion.speed == edit.value else replace(scene, motion=replace(motion, speed=edit.value))
    return _changed(scene, motion.mover, "colour", edit.value)


def edit_text(edit: Edit, pattern: int, part: str = "train") -> str:
    """The wish in words."""
    voice = Voice(pattern, other=False, stream=5)
    wordings = _WORDS[edit.kind]
    wording = wordings[2] if part_of(part).wording else wordings[voice.draw.below(2)]
    if edit.kind == "add":
        assert edit.other is not None
        return wording.format(f"{voice.noun(edit.other, look=True)} {voice.place(edit.other.place)}")
    target = " ".join(edit.target) if edit.target else ""
    value = {"speed": _SPEED_WORDS, "resize": _SIZE_WORDS}.get(edit.kind, {}).get(edit.value, edit.value)
    if edit.kind == "swap":
        assert edit.other is not None
        value = f"{edit.other.colour} {edit.other.shape}"
    return wording.format(target, value)


def _options(kind: str, scene: Scene, part: Part, draw: Draw) -> list[Edit]:
    """The edits of a kind that the scene admits (of added things, one that is drawn)."""
    if kind in ("reverse", "speed"):
        values = ("",) if kind == "reverse" else SPEEDS
        return _valid([Edit(kind, value=value) for value in values], scene, part)
    if kind == "recolour-mover":
        if scene.motion is None:
            return []
        colours = free_colours(scene, scene.motion.mover, part)
        return _valid([Edit(kind, value=colour) for colour in colours], scene, part)
    if kind == "add":
        free = [cell for cell in range(len(PLACES)) if cell not in taken_cells(scene)]
        if len(scene.things) > 2 or not free:
            return []
        return [Edit(kind, other=draw_thing(draw, draw.choice(free_pairs(scene, part)), draw.choice(free)))]
    found = []
    for i, thing in enumerate(scene.things):
        pair = (thing.colour, thing.shape)
        if kind == "swap":
            moves = scene.motion is not None and scene.motion.mover == i
            found += [Edit(kind, pair, other=other) for j, other in enumerate(scene.things) if moves and j != i]
            continue
        values = {
            "recolour": tuple(free_colours(scene, i, part)),
            "reshape": SHAPES,
            "resize": SIZES,
            "refill": FILLS,
            "move": PLACES,
            "remove": ("",),
        }[kind]
        found += [Edit(kind, pair, value) for value in values]
    return _valid(found, scene, part)


def _valid(edits: list[Edit], scene: Scene, part: Part) -> list[Edit]:
    kept = []
    for edit in edits:
        after = apply_edit(edit, scene)
        if after is None or after == scene or not all(allowed(part, thing) for thing in after.things):
            continue
        if part.pair or not any(not allowed(part, _turned(after, event.thing, event.colour)) for event in after.events):
            kept.append(edit)
    return kept


def _turned(scene: Scene, index: int, colour: str) -> Thing:
    thing = scene.things[index]
    return replace(thing, colour=colour) if colour else thing


def _find(scene: Scene, pair: Pair | None) -> int | None:
    return next((i for i, thing in enumerate(scene.things) if (thing.colour, thing.shape) == pair), None)


def _with(scene: Scene, index: int, thing: Thing) -> Scene | None:
    """The scene with one thing replaced, or None if its colour and shape are met elsewhere."""
    met = {(t.colour, t.shape) for i, t in enumerate(scene.things) if i != index} | turned_pairs(scene)
    if (thing.colour, thing.shape) in met:
        return None
    return replace(scene, things=(*scene.things[:index], thing, *scene.things[index + 1 :]))


def _changed(scene: Scene, index: int, field: str, value: str) -> Scene | None:
    if getattr(scene.things[index], field) == value:
        return None
    if any(event.thing == index for event in scene.events):
        return None
    changed: dict[str, str] = {field: value}
    return _with(scene, index, replace(scene.things[index], **changed))  # type: ignore[arg-type]


def _without(scene: Scene, index: int) -> Scene | None:
    if len(scene.things) == 1 or (scene.motion is not None and scene.motion.mover == index):
        return None
    return without(scene, index)


def _swapped(scene: Scene, i: int, j: int) -> Scene | None:
    """Two things change places, one of them the mover: who moves is exchanged, and nothing else."""
    one, two = scene.things[i], scene.things[j]
    motion = scene.motion
    if motion is None or motion.mover not in (i, j) or VARYING in (one.size, two.size) or one.count + two.count > 2:
        return None
    if any(event.thing in (i, j) for event in scene.events) or (motion.path in HELD_OUT_PATHS and one.size != two.size):
        return None
    things = list(scene.things)
    things[i] = replace(two, place=one.place, dx=one.dx, dy=one.dy)
    things[j] = replace(one, place=two.place, dx=two.dx, dy=two.dy)
    return replace(scene, things=tuple(things))
