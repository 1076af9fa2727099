"""Questions about still scenes, each with one short answer; the wrong answers are the others of its type."""

from __future__ import annotations

from dataclasses import dataclass

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.language import relations
from unite_bench.sources.scenes.phrases import NUMBERS, WORDING
from unite_bench.sources.scenes.world import COLOURS, FILLS, GENERATOR_VERSION, PLACES, SHAPES, Scene, part_of

MAX_FIGURES = 6
ANSWERS: dict[str, tuple[str, ...]] = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "place": PLACES,
    "count": NUMBERS[1 : MAX_FIGURES + 1],
    "fill": FILLS,
    "side": ("left", "right", "above", "below"),
}
_WORDS = {  # two wordings, then one that is held out
    "colour": ("what colour is the {0}", "which colour does the {0} have", "name the colour of the {0}"),
    "shape": ("what shape is {0}", "which shape do you see {0}", "name the shape {0}"),
    "place": ("where is the {0}", "in which place is the {0}", "name the place of the {0}"),
    "count": ("how many shapes are there", "what is the number of shapes", "count the shapes"),
    "fill": ("how is the {0} filled", "which fill does the {0} have", "name the fill of the {0}"),
    "side": (
        "is the {0} {2} or {3} of the {1}",
        "does the {0} lie {2} or {3} of the {1}",
        "{2} or {3}: the {0} to the {1}",
    ),
}


@dataclass(frozen=True)
class Question:
    """A question of a type, as the slots of its wording, with its answer."""

    type: str
    slots: tuple[str, ...]
    answer: str

    def text(self, pattern: int, part: str = "train") -> str:
        wordings = _WORDS[self.type]
        wording = wordings[2] if part_of(part).wording else wordings[pattern % 2]
        words = wording.format(*self.slots).replace("above or below of", "above or below")
        return words[0].upper() + words[1:] + ("." if words.startswith(("name", "count")) else "?")


def sample_question(scene: Scene, pattern: int, part: str = "train") -> tuple[str, str]:
    """A question about a still scene and its answer; types are equally likely, answers follow the scene."""
    draw = Draw(GENERATOR_VERSION, WORDING + 6, 0, 0, pattern)
    options = questions(scene)
    chosen_type = draw.choice(sorted({question.type for question in options}))
    question = draw.choice([question for question in options if question.type == chosen_type])
    return question.text(draw.below(2), part), question.answer


def questions(scene: Scene) -> list[Question]:
    """Every question that has exactly one answer. Groups are asked about by place and number only."""
    found = [Question("count", (), NUMBERS[scene.figures])]
    shapes = [thing.shape for thing in scene.things]
    for thing in scene.things:
        name = PLACES[thing.place]
        if thing.count > 1:
            continue
        found.append(Question("shape", (f"in the {name}" if name == "centre" else f"at the {name}",), thing.shape))
        found.append(Question("place", (f"{thing.colour} {thing.shape}",), name))
        found.append(Question("fill", (f"{thing.colour} {thing.shape}",), thing.fill))
        if shapes.count(thing.shape) == 1:
            found.append(Question("colour", (thing.shape,), thing.colour))
    for i, relation, j in relations(scene):
        one, two = scene.things[i], scene.things[j]
        if one.count == two.count == 1:
            sides = ("left", "right") if relation in ("left", "right") else ("above", "below")
            slots = (f"{one.colour} {one.shape}", f"{two.colour} {two.shape}", *sides)
            found.append(Question("side", slots, relation))
    return found
