"""Pairs of scenes for UNITE's two stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reference_model.nano.world import Edited, World
from reference_model.train.pairs import Kind, Pair
from unite_bench.items import Item, Part, Text
from unite_bench.sources.scenes.edits import sample_edit
from unite_bench.sources.scenes.entailment import entails
from unite_bench.sources.scenes.forms import union_instruction
from unite_bench.sources.scenes.language import long, paraphrase, short
from unite_bench.sources.scenes.questions import ANSWERS, questions
from unite_bench.sources.scenes.world import Scene

PATTERNS = 1_000_000
Say = Callable[[Scene, int], str]
Draw = Callable[[np.random.Generator], Pair]
AFTER_IMAGE = (
    "Find the image after the change.",
    "Find the picture after this change.",
    "Find the image that shows the scene after the change.",
    "Change the image as described and find the result.",
)
AFTER_VIDEO = (
    "Find the video after the change.",
    "Find the clip after this change.",
    "Find the video that shows the scene after the change.",
    "Change the video as described and find the result.",
)
ANSWER = (
    "Answer the question about the image.",
    "Find the answer to the question.",
    "Answer the question about this picture.",
    "Find the answer to the question about the image.",
)
FUSED = (
    "Find the image and text that together show this scene.",
    "Find an image with text that matches this caption.",
    "Find the picture and the words that together match the caption.",
)


def one(values: Sequence[str], rng: np.random.Generator, none: float = 0.0) -> str | None:
    """One of the wordings, or with probability `none` no instruction at all."""
    return None if rng.random() < none else values[int(rng.integers(len(values)))]


def text_item(text: str, instruction: str | None = None) -> Item:
    return Item((Text(text),), instruction)


def _pattern(rng: np.random.Generator) -> int:
    return int(rng.integers(PATTERNS))


@dataclass(frozen=True)
class Shown:
    """Scenes with a medium each, and for some of them media of scenes near them, with what those show."""

    scenes: Sequence[Scene]
    media: Callable[[int], Part]
    at: Sequence[int]
    shown: Sequence[Scene]
    near: dict[int, tuple[int, ...]]

    def find(self, say: Say) -> Draw:
        """Text to medium. Negatives: the media near it of which the text is false."""

        def draw(rng: np.random.Generator) -> Pair:
            index = int(rng.integers(len(self.scenes)))
            text = say(self.scenes[index], _pattern(rng))
            false = [number for number in self.near.get(index, ()) if not entails(self.shown[number], text)]
            negatives = tuple(Item((self.media(number),)) for number in false)
            return Pair(text_item(text), Item((self.media(self.at[index]),)), negatives)

        return draw

    def tell(self, say: Say) -> Draw:
        """Medium to text. Negatives: what would be said of scenes near it and is false of this one."""

        def draw(rng: np.random.Generator) -> Pair:
            index, pattern = int(rng.integers(len(self.scenes))), _pattern(rng)
            scene = self.scenes[index]
            negatives = _false_texts(scene, say, pattern, rng)
            return Pair(Item((self.media(self.at[index]),)), text_item(say(scene, pattern)), negatives)

        return draw


def adaptation_kinds(world: World, hard: bool = False) -> list[Kind]:
    """Stage 1: coarse and long pairs, no instruction, both directions.

    With `hard`, as they are replayed in stage 2, the negatives are scenes one edit away. A model that does not yet read
    pictures learns nothing from those: from the start, hit@1 after 138 steps was 0.003 instead of 0.08.
    """
    near_stills = _neighbours(world.still_edits) if hard else {}
    near_movings = _neighbours(world.clip_edits) if hard else {}
    stills = Shown(world.stills, world.images.image, world.still_at, world.image_scenes, near_stills)
    movings = Shown(world.movings, world.clips.video, world.clip_at, world.clip_scenes, near_movings)

    def reworded(rng: np.random.Generator) -> Pair:
        scenes = world.stills if rng.random() < 0.6 else world.movings
        scene, pattern = scenes[int(rng.integers(len(scenes)))], _pattern(rng)
        false = _false_texts(scene, paraphrase, pattern, rng, count=1) if hard else ()
        return Pair(text_item(short(scene, pattern)), text_item(paraphrase(scene, pattern)), false)

    def summed_up(rng: np.random.Generator) -> Pair:
        scenes = world.stills if rng.random() < 0.6 else world.movings
        scene = scenes[int(rng.integers(len(scenes)))]
        return Pair(text_item(short(scene, _pattern(rng))), text_item(long(scene, _pattern(rng))))

    found = [
        Kind("scene text-image", 5.0, stills.find(short), both=True),
        Kind("scene text-video", 4.0, movings.find(short), both=True),
        Kind("scene long-image", 1.5, stills.find(long), both=True),
        Kind("scene long-video", 1.2, movings.find(long), both=True),
        Kind("scene paraphrase", 1.5, reworded, both=True),
        Kind("scene short-long", 0.5, summed_up, both=True),
    ]
    if hard:
        found += [
            Kind("scene image-text", 4.0, stills.tell(short)),
            Kind("scene video-text", 2.0, movings.tell(short)),
            Kind("scene image-long", 1.0, stills.tell(long)),
            Kind("scene video-long", 0.7, movings.tell(long)),
        ]
    return found


def _neighbours(edits: Sequence[Edited]) -> dict[int, tuple[int, ...]]:
    """Media of scenes near each scene that is edited: after its edits, and after the same edit elsewhere."""
    return {edit.source: (edit.after, *edit.others[:1]) for edit in edits}


def _false_texts(scene: Scene, say: Say, pattern: int, rng: np.random.Generator, count: int = 2) -> tuple[Item, ...]:
    """What the same words would say of scenes one edit away, where that is false of this one."""
    found = []
    for _ in range(count):
        try:
            _, other = sample_edit(scene, _pattern(rng))
        except ValueError:  # a scene that admits no edit
            break
        text = say(other, pattern)
        if not entails(scene, text):
            found.append(text_item(text))
    return tuple(found)


def instruction_kinds(world: World) -> list[Kind]:
    """Stage 2: edits, questions, fused targets, and a form that is asked for."""

    def edited(
        edits: Sequence[Edited], wordings: Sequence[str], before: Callable[[int], Part], after: Callable[[int], Part]
    ) -> Draw:
        def draw(rng: np.random.Generator) -> Pair:
            edit = edits[int(rng.integers(len(edits)))]
            source = before(edit.source)
            query = Item((source, Text(edit.text)), one(wordings, rng, none=0.1))
            near = [Item((source,)), *(Item((after(number),)) for number in edit.others)]
            return Pair(query, Item((after(edit.after),)), tuple(near))

        return draw

    def asked(rng: np.random.Generator) -> Pair:
        index = int(rng.integers(len(world.stills)))
        options = questions(world.stills[index])
        types = sorted({question.type for question in options})
        chosen = types[int(rng.integers(len(types)))]
        fitting = [question for question in options if question.type == chosen]
        question = fitting[int(rng.integers(len(fitting)))]
        picture = world.images.image(world.still_at[index])
        wrong = question.slots[2:] if question.type == "side" else ANSWERS[question.type]
        near = tuple(text_item(answer) for answer in wrong if answer != question.answer)
        query = Item((picture, Text(question.text(_pattern(rng)))), one(ANSWER, rng, none=0.1))
        return Pair(query, text_item(question.answer), near)

    def fused(rng: np.random.Generator) -> Pair:
        part = world.fused[int(rng.integers(len(world.fused)))]
        picture = world.images.image(part.shown)
        caption = short(world.stills[part.scene], _pattern(rng))
        near = (
            Item((picture, Text(part.wrong_text))),
            Item((world.images.image(part.wrong_shown), Text(part.text))),
        )
        return Pair(text_item(caption, one(FUSED, rng, none=0.1)), Item((picture, Text(part.text))), near)

    def in_form(rng: np.random.Generator) -> Pair:
        moving = rng.random() < 0.8
        parts = world.moving_fused if moving else world.fused
        part = parts[int(rng.integers(len(parts)))]
        scene, pattern = (world.movings if moving else world.stills)[part.scene], _pattern(rng)
        at = world.frame_at if moving else world.still_at
        forms = {
            "text": text_item(short(scene, pattern, motion=False)),
            "image": Item((world.images.image(at[part.scene]),)),
            "image+text": Item((world.images.image(part.shown), Text(part.text))),
        }
        if moving:
            forms["video"] = Item((world.clips.video(world.clip_at[part.scene]),))
        names = list(forms)
        wanted = names[int(rng.integers(len(names)))]
        query = text_item(paraphrase(scene, pattern, motion=False), union_instruction(wanted, _pattern(rng)))
        near = tuple(item for name, item in forms.items() if name != wanted)
        return Pair(query, forms[wanted], near, unmasked=True)

    pictures, clips = world.images.image, world.clips.video
    image_edits = edited(world.still_edits, AFTER_IMAGE, lambda i: pictures(world.still_at[i]), pictures)
    clip_edits = edited(world.clip_edits, AFTER_VIDEO, lambda i: clips(world.clip_at[i]), clips)
    return [
        Kind("scene image edit", 5.0, image_edits),
        Kind("scene video edit", 2.5, clip_edits),
        Kind("scene question", 5.0, asked),
        Kind("scene fused", 2.0, fused),
        Kind("scene form", 9.0, in_form),
    ]
