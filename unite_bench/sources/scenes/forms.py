"""Scenes as image+text, and the instructions that ask for a form.

In an image+text item the image shows all things but one, and the text tells that one: neither half is enough.
"""

from __future__ import annotations

from dataclasses import replace

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.language import placed
from unite_bench.sources.scenes.phrases import WORDING, Voice
from unite_bench.sources.scenes.render import marks
from unite_bench.sources.scenes.world import CANVAS, FRAMES, GENERATOR_VERSION, Scene, Thing, part_of

FORMS = ("text", "image", "video", "image+text")
_INSTRUCTIONS: dict[str, tuple[str, ...]] = {  # five wordings, then one that is held out
    "text": (
        "Find a text about this scene.",
        "Find a caption of this scene.",
        "Which text describes this scene?",
        "Retrieve the description in words.",
        "I want this scene as text.",
        "Give me words only.",
    ),
    "image": (
        "Find an image of this scene.",
        "Find a picture of this scene.",
        "Which image shows this scene?",
        "Retrieve the still picture.",
        "I want this scene as an image.",
        "Give me a single picture only.",
    ),
    "video": (
        "Find a video of this scene.",
        "Find a clip of this scene.",
        "Which video shows this scene?",
        "Retrieve the moving picture.",
        "I want this scene as a video.",
        "Give me a clip only.",
    ),
    "image+text": (
        "Find an image with text of this scene.",
        "Find a picture with a caption for this scene.",
        "Which image and text together show this scene?",
        "Retrieve the picture with its words.",
        "I want this scene as image and text.",
        "Give me a picture together with words.",
    ),
}
_TOLD = ("Also {0}.", "Not shown: {0}.", "And besides {0}.")  # the last one is held out


def union_instruction(form: str, pattern: int, part: str = "train") -> str:
    """The instruction that asks for a form (one of FORMS), in one of five wordings or the held-out one."""
    wordings = _INSTRUCTIONS[form]
    return wordings[5] if part_of(part).wording else wordings[pattern % 5]


def told_text(thing: Thing, pattern: int, part: str = "train") -> str:
    """The text half of an image+text item: one thing in full."""
    voice = Voice(pattern, other=False, stream=7)
    wording = _TOLD[2] if part_of(part).wording else _TOLD[voice.draw.below(2)]
    return wording.format(f"{voice.noun(thing, look=True)} {voice.place(thing.place)}")


def split_fused(scene: Scene, pattern: int, part: str = "train") -> tuple[Scene, str]:
    """The scene to be shown and the text that tells the rest. Needs two things; what moves or changes is shown."""
    index = told_index(scene, pattern)
    return without(scene, index), told_text(scene.things[index], pattern, part)


def told_index(scene: Scene, pattern: int) -> int:
    """Which thing is told: one that stays and to which nothing happens."""
    busy = {event.thing for event in scene.events}
    mover = None if scene.motion is None else scene.motion.mover
    options = [i for i in range(len(scene.things)) if i not in busy and i != mover and placed(scene, i)]
    if len(scene.things) < 2 or not options:
        raise ValueError("an image+text item needs a thing that stays, beside the others")
    return Draw(GENERATOR_VERSION, WORDING + 8, 0, 0, pattern).choice(options)


def clear_frame(scene: Scene) -> int:
    """The frame nearest the middle of a clip in which no shape crosses an edge of the canvas."""

    def crosses(frame: int) -> bool:
        return any(min(m.x, m.y) < m.side // 2 or max(m.x, m.y) + m.side // 2 > CANVAS for m in marks(scene, frame))

    nearest = sorted(range(FRAMES), key=lambda frame: (abs(frame - FRAMES // 2), frame))
    return next((frame for frame in nearest if not crosses(frame)), FRAMES // 2)


def without(scene: Scene, index: int) -> Scene:
    """The scene less one thing that stays."""
    things = scene.things[:index] + scene.things[index + 1 :]
    motion = scene.motion and replace(scene.motion, mover=scene.motion.mover - (scene.motion.mover > index))
    events = tuple(replace(event, thing=event.thing - (event.thing > index)) for event in scene.events)
    return Scene(things, scene.paper, motion, events)
