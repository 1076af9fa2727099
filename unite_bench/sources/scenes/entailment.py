"""Truth: whether a text is true of a scene, decided from the words alone.

Written apart from the grammar, with a lexicon of its own: a text is cut into words and phrases, these into claims about
things, and the claims are tried on the scene. A word that is not known is an error, so that no claim is passed over.
A noun phrase with `a` or a number speaks of exactly that many copies, and different ones of different things; `the`
speaks of any thing that fits. Colours are those before a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from unite_bench.errors import DataError
from unite_bench.sources.scenes.world import Scene, Thing, taken_cells

_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
_PLACE_NAMES = {
    "top left": 0, "upper left": 0, "top middle": 1, "upper middle": 1, "top right": 2, "upper right": 2,
    "middle left": 3, "halfway down the left side": 3, "centre": 4, "very middle": 4,
    "middle right": 5, "halfway down the right side": 5,
    "bottom left": 6, "lower left": 6, "bottom middle": 7, "lower middle": 7, "bottom right": 8, "lower right": 8,
}  # fmt: skip
_RELATIONS = {
    "left of": "left", "to the left of": "left", "right of": "right", "to the right of": "right",
    "above": "above", "higher than": "above", "below": "below", "lower than": "below",
}  # fmt: skip
_DIRECTIONS = {
    "left": "left", "to the left": "left", "right": "right", "to the right": "right",
    "up": "up", "upwards": "up", "down": "down", "downwards": "down",
    "clockwise": "clockwise", "round clockwise": "clockwise",
    "counter-clockwise": "counter-clockwise", "round anticlockwise": "counter-clockwise",
    "up and left": "up-left", "upwards and to the left": "up-left",
    "down and right": "down-right", "downwards and to the right": "down-right",
}  # fmt: skip
_SHAPES = {
    "circle": "circle", "disc": "circle", "square": "square", "box": "square", "triangle": "triangle", "star": "star",
    "cross": "cross", "plus": "cross", "heart": "heart", "diamond": "diamond", "moon": "moon", "crescent": "moon",
}  # fmt: skip
_PLURALS = {word + ("es" if word in ("box", "cross", "plus") else "s"): shape for word, shape in _SHAPES.items()}
_KINDS: dict[str, dict[str, object]] = {
    "place": dict(_PLACE_NAMES),
    "relation": dict(_RELATIONS),
    "direction": dict(_DIRECTIONS),
    "shape": {**_SHAPES, **_PLURALS},
    "article": {"a": 1, "an": 1, "the": 0, **_NUMBERS},
    "colour": {
        **{name: name for name in ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")},
        "violet": "purple",
    },
    "size": {"small": "small", "little": "small", "large": "large", "big": "large"},
    "fill": {
        **dict.fromkeys(("solid", "filled"), "solid"),
        **dict.fromkeys(("outlined", "hollow"), "outlined"),
        **dict.fromkeys(("striped", "stripy"), "striped"),
    },
    "move": dict.fromkeys(("moves", "moving", "goes", "going"), True),
    "change": {
        **dict.fromkeys(("grows", "growing", "gets bigger", "getting bigger"), "grows"),
        **dict.fromkeys(("shrinks", "shrinking", "gets smaller", "getting smaller"), "shrinks"),
    },
    "speed": {"slowly": "slow", "at a slow pace": "slow", "fast": "fast", "at a quick pace": "fast"},
    "event": {
        **dict.fromkeys(("appears", "appearing", "shows up", "showing up"), "appears"),
        **dict.fromkeys(("disappears", "disappearing", "goes away", "going away"), "disappears"),
        **dict.fromkeys(("blinks", "blinking", "flickers", "flickering"), "blinks"),
        **dict.fromkeys(("turns", "turning", "becomes", "becoming"), "turns"),
    },
    "slot": {f"{word} in the clip": word for word in ("midway", "early", "late", "soon", "later")},
    "paper": {
        pattern.format(paper): paper
        for paper in ("white", "black", "squared", "dotted")
        for pattern in ("the paper is {}", "{} paper", "kind of paper : {}")
    },
    "in all": {
        **{f"{word} shape{'s' * (n > 1)} in all": n for word, n in _NUMBERS.items()},
        **{f"number of shapes : {word} in all": n for word, n in _NUMBERS.items()},
    },
    "alone": dict.fromkeys(("everything else stays still", "nothing else moves"), True),
    "closed": {"the motion ends near where it began": True},
    "empty": {"nothing is": True},
    "then": {"then": True},
    "break": dict.fromkeys((",", ".", ";", "and", "with", "together with", "as well as"), True),
    "filler": dict.fromkeys(
        (
            *("is", "are", "at the", "in the", "there is", "there are", "we see", "shown here :", "one can see"),
            *("look for", "you can spot", "just", "on", "this scene has"),
        ),
        True,
    ),
}  # fmt: skip
_LEXICON = {
    tuple(phrase.split()): (kind, value) for kind, phrases in _KINDS.items() for phrase, value in phrases.items()
}
_LONGEST = max(map(len, _LEXICON))


@dataclass
class _Spoken:
    """What a text says of one thing. `count` 0 is any number (`the`)."""

    count: int = 0
    said: dict[str, object] = field(default_factory=dict)  # of the thing itself, the motion, the event


@dataclass
class _Claims:
    things: list[_Spoken] = field(default_factory=list)
    relations: list[tuple[int, str, int]] = field(default_factory=list)
    in_order: list[tuple[int, int]] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    whole: list[tuple[str, object]] = field(default_factory=list)  # paper, in all, alone, closed


def entails(scene: Scene, text: str) -> bool:
    """Whether the text is true of the scene. Raises `DataError` on a word that it does not know."""
    claims = _parsed(text)
    if not all(_holds(scene, kind, value) for kind, value in claims.whole):
        return False
    if any(cell in taken_cells(scene) for cell in claims.empty):
        return False
    return any(_related(scene, claims, chosen) for chosen in _assignments(scene, claims, ()))


class Truths:
    """Many scenes, asked which of them a text is true of; by colour and shape it looks only at those that may be."""

    def __init__(self, scenes: Sequence[Scene]):
        self._scenes = scenes
        self._having: dict[tuple[object, object], set[int]] = {}
        for index, scene in enumerate(scenes):
            for thing in scene.things:
                self._having.setdefault((thing.colour, thing.shape), set()).add(index)

    def true_of(self, text: str) -> list[int]:
        """Positions of the scenes of which the text is true, ascending."""
        left: set[int] = set(range(len(self._scenes)))
        for spoken in _parsed(text).things:
            if "colour" in spoken.said:
                left &= self._having.get((spoken.said["colour"], spoken.said["shape"]), set())
        return [index for index in sorted(left) if entails(self._scenes[index], text)]


def _tokens(text: str) -> Iterator[tuple[str, object]]:
    words = re.findall(r"[a-z-]+|[^\sa-z-]", text.lower())
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            found = _LEXICON.get(tuple(words[at : at + length]))
            if found is not None:
                yield found
                at += length
                break
        else:
            raise DataError(f"the entailment checker does not know {words[at]!r} in {text!r}")


@lru_cache(maxsize=20_000)
def _parsed(text: str) -> _Claims:
    """The claims of a text. What is said before a noun belongs to that noun, else to the subject of the clause."""
    claims = _Claims()
    subject: int | None = None  # the thing that the clause is about
    related: str | None = None  # a relation that waits for its second noun
    noun: dict[str, object] = {}  # article and adjectives of a noun phrase under way
    ahead: dict[str, object] = {}  # said of the next noun
    empty = turning = then = False
    for kind, value in _tokens(text):
        if kind == "filler":
            continue
        if turning and kind == "colour" and subject is not None:
            claims.things[subject].said["turned"] = value
            turning = False
        elif kind in ("article", "size", "fill", "colour"):
            noun[kind] = value
        elif kind == "shape":
            count = noun.pop("article", 0)
            spoken = _Spoken(int(str(count)), {**noun, "shape": value})
            noun = {}
            claims.things.append(spoken)
            new = len(claims.things) - 1
            if related is not None and subject is not None:
                claims.relations.append((subject, related, new))
                related = None
                continue
            subject = new
            spoken.said |= ahead
            ahead = {}
            if then and new:
                claims.in_order.append((new - 1, new))
            then = False
        elif kind == "relation":
            related = str(value)
        elif kind == "empty":
            empty = True
        elif kind == "place" and empty:
            claims.empty.append(int(str(value)))
            empty = False
        elif kind == "break":
            subject = None
        elif kind == "then":
            subject, then = None, True
        elif kind in ("paper", "in all", "alone", "closed"):
            claims.whole.append((kind, value))
            subject = None
        else:
            said = ahead if subject is None else claims.things[subject].said
            said[{"direction": "path", "change": "path"}.get(kind, kind)] = value
            turning = value == "turns"
    if noun or ahead or related or empty or turning or then:
        raise DataError(f"the entailment checker is left with half a claim at the end of {text!r}")
    return claims


def _holds(scene: Scene, kind: str, value: object) -> bool:
    """Claims about the scene as a whole."""
    if kind == "paper":
        return scene.paper == value
    if kind == "in all":
        return sum(thing.count for thing in scene.things) == value
    return (
        scene.motion is not None
    )  # `alone` and `closed`: at most one thing moves in this world, and always in a circuit


def _assignments(scene: Scene, claims: _Claims, chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every way to find the things that are spoken of; those with an article `a` or a number must differ."""
    if len(chosen) == len(claims.things):
        yield chosen
        return
    spoken = claims.things[len(chosen)]
    met = {index for index, other in zip(chosen, claims.things, strict=False) if other.count}
    for index in range(len(scene.things)):
        if not (spoken.count and index in met) and _fits(scene, index, spoken):
            yield from _assignments(scene, claims, (*chosen, index))


def _fits(scene: Scene, index: int, spoken: _Spoken) -> bool:
    thing = scene.things[index]
    if spoken.count and spoken.count != thing.count:
        return False
    return all(_true_of(scene, index, thing, kind, value) for kind, value in spoken.said.items())


def _true_of(scene: Scene, index: int, thing: Thing, kind: str, value: object) -> bool:
    motion = scene.motion if scene.motion is not None and scene.motion.mover == index else None
    if kind in ("shape", "colour", "size", "fill"):
        return bool(getattr(thing, kind) == value)
    if kind == "place":
        stays = motion is None or motion.path in ("grows", "shrinks")
        return stays and thing.place == value
    if kind in ("path", "speed"):
        return motion is not None and getattr(motion, kind) == value
    if kind == "move":
        return motion is not None
    events = [event for event in scene.events if event.thing == index]
    name = {"event": "kind", "slot": "slot", "turned": "colour"}[kind]
    return any(getattr(event, name) == value for event in events)


def _related(scene: Scene, claims: _Claims, chosen: tuple[int, ...]) -> bool:
    """Relations of place between things that stay, and the order of what happens."""
    for i, relation, j in claims.relations:
        one, two = scene.things[chosen[i]], scene.things[chosen[j]]
        if scene.motion is not None and scene.motion.mover in (chosen[i], chosen[j]):
            return False
        (x0, y0), (x1, y1) = (one.place % 3, one.place // 3), (two.place % 3, two.place // 3)
        if not {"left": x0 < x1, "right": x0 > x1, "above": y0 < y1, "below": y0 > y1}[relation]:
            return False
    starts = {"early": 0, "midway": 1, "late": 2, "soon": 0, "later": 2}
    when = {event.thing: starts[event.slot] for event in scene.events}
    return all(when.get(chosen[i], 9) < when.get(chosen[j], -1) for i, j in claims.in_order)
