"""The words and phrases of the world: what the grammar says things with.

Two registers, `plain` (short captions) and `other` (paraphrases), so that a paraphrase shares few words with the short
caption of its scene. The checker has a lexicon of its own and reads nothing from here.
"""

from __future__ import annotations

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.world import GENERATOR_VERSION, PLACES, Event, Motion, Thing

WORDING = 9  # stream of the draw
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
_OTHER_SHAPE = {"circle": "disc", "square": "box", "cross": "plus", "moon": "crescent"}
_OTHER_SIZE = {"small": "little", "large": "big"}
_OTHER_FILL = {"solid": "filled", "outlined": "hollow", "striped": "stripy"}
_OTHER_COLOUR = {"purple": "violet"}
_OTHER_PLACE = {
    "top left": "in the upper left",
    "top middle": "in the upper middle",
    "top right": "in the upper right",
    "middle left": "halfway down the left side",
    "centre": "in the very middle",
    "middle right": "halfway down the right side",
    "bottom left": "in the lower left",
    "bottom middle": "in the lower middle",
    "bottom right": "in the lower right",
}
_DIRECTION = {
    "left": ("left", "to the left"),
    "right": ("right", "to the right"),
    "up": ("up", "upwards"),
    "down": ("down", "downwards"),
    "clockwise": ("clockwise", "round clockwise"),
    "counter-clockwise": ("counter-clockwise", "round anticlockwise"),
    "up-left": ("up and left", "upwards and to the left"),
    "down-right": ("down and right", "downwards and to the right"),
}
_CHANGING = {"grows": (("grow", "s"), ("get", "s", "bigger")), "shrinks": (("shrink", "s"), ("get", "s", "smaller"))}
_SPEED = {"slow": ("slowly", "at a slow pace"), "fast": ("fast", "at a quick pace")}
_EVENT = {"appears": ("appear", "show up"), "disappears": ("disappear", "go away"), "blinks": ("blink", "flicker")}
_WHEN = {slot: f"{slot} in the clip" for slot in ("midway", "early", "late", "soon", "later")}
RELATIONS = {
    "left": ("left of", "to the left of"),
    "right": ("right of", "to the right of"),
    "above": ("above", "higher than"),
    "below": ("below", "lower than"),
}


class Voice:
    """The choices of one text: its register, and the draw that everything else about it comes from."""

    def __init__(self, pattern: int, other: bool, stream: int = 0):
        self.other = other
        self.draw = Draw(GENERATOR_VERSION, WORDING + stream, 0, 0, pattern)

    def noun(self, thing: Thing, look: bool, article: str = "a", colour: bool = True) -> str:
        """A noun phrase; `look` adds size and fill. Things that grow have no size word."""
        words = []
        if look and thing.count == 1 and thing.size in _OTHER_SIZE:
            words.append(_OTHER_SIZE[thing.size] if self.other else thing.size)
        if look:
            words.append(_OTHER_FILL[thing.fill] if self.other else thing.fill)
        if colour:
            words.append(self.colour(thing.colour))
        words.append(self.shape(thing.shape, thing.count))
        if article == "a":
            article = ("an" if words[0][0] in "aeiou" else "a") if thing.count == 1 else NUMBERS[thing.count]
        return " ".join([article, *words])

    def shape(self, shape: str, count: int = 1) -> str:
        word = _OTHER_SHAPE.get(shape, shape) if self.other else shape
        return word if count == 1 else word + ("es" if word[-1] in "sx" else "s")

    def colour(self, colour: str) -> str:
        return _OTHER_COLOUR.get(colour, colour) if self.other else colour

    def place(self, place: int) -> str:
        name = PLACES[place]
        if self.other:
            return _OTHER_PLACE[name]
        return f"in the {name}" if name == "centre" else f"at the {name}"

    def relation(self, relation: str) -> str:
        return RELATIONS[relation][self.other]

    def motion(self, motion: Motion, speed: bool, participle: bool) -> str:
        """What the mover does, as `moves left slowly` or `going to the left at a slow pace`."""
        if motion.path in _CHANGING:
            stem, _, *rest = _CHANGING[motion.path][self.other]
            words = [_inflect(stem, participle), *rest]
        else:
            words = [_inflect("go" if self.other else "move", participle), _DIRECTION[motion.path][self.other]]
        if speed:
            words.append(_SPEED[motion.speed][self.other])
        return " ".join(words)

    def event(self, event: Event, participle: bool, place: str = "", timed: bool = False) -> str:
        """What happens to a thing, with the place where it is, as `turns green at the top left`."""
        if event.kind == "turns":
            words = [_inflect("become" if self.other else "turn", participle), self.colour(event.colour)]
        else:
            stem, *rest = _EVENT[event.kind][self.other].split()
            words = [_inflect(stem, participle), *rest]
        if place:
            words.append(place)
        if timed:
            words.append(_WHEN[event.slot])
        return " ".join(words)


def _inflect(stem: str, participle: bool) -> str:
    if participle:
        doubled = {"get": "gett", "become": "becom", "move": "mov"}
        return doubled.get(stem, stem) + "ing"
    return stem + ("es" if stem == "go" else "s")
