"""Instruction sensitivity: one picture, two instructions, two different positives.

A picture shows one thing. Each instruction asks for a picture of a thing that has one aspect in common with it (its colour,
shape, fill or place). The pool of a query holds, for every aspect, a thing that shares this one alone, and some that
share none; so a model that does not read the instruction gives both instructions one answer and is right for one of them.
Each instruction comes in five wordings. The wrong instructions are the same ones asked of the other aspect's positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.render import Still
from unite_bench.sources.scenes.sample import allowed, draw_thing
from unite_bench.sources.scenes.world import (
    COLOURS,
    FILLS,
    GENERATOR_VERSION,
    HELD_OUT_PAPER,
    PAPERS,
    PLACES,
    SHAPES,
    Part,
    Scene,
    Thing,
    part_of,
)

Row = Mapping[str, Any]
ASPECTS: dict[str, tuple[Any, ...]] = {
    "colour": tuple(COLOURS),
    "shape": SHAPES,
    "fill": FILLS,
    "place": tuple(range(len(PLACES))),
}
WORDINGS: dict[str, tuple[str, ...]] = {
    "colour": (
        "Find an image of a thing in the same colour.",
        "Which picture shows something of this colour?",
        "Match the colour and nothing else.",
        "Retrieve a picture with an equally coloured shape.",
        "I want another image in which the colour is the same.",
    ),
    "shape": (
        "Find an image of a thing of the same shape.",
        "Which picture shows something of this shape?",
        "Match the shape and nothing else.",
        "Retrieve a picture with an equally shaped thing.",
        "I want another image in which the shape is the same.",
    ),
    "fill": (
        "Find an image of a thing that is filled in the same way.",
        "Which picture shows something with this kind of filling: solid, outlined or striped?",
        "Match the filling and nothing else.",
        "Retrieve a picture with an equally filled shape.",
        "I want another image in which the filling is the same.",
    ),
    "place": (
        "Find an image of a thing in the same place.",
        "Which picture shows something in this position?",
        "Match the position and nothing else.",
        "Retrieve a picture with an equally placed shape.",
        "I want another image in which the place is the same.",
    ),
}
ASKED = 2  # aspects that are asked about each picture
QUERIES = ASKED * 5  # of one picture
_NEITHER = 2  # candidates that share nothing
_STREAM = 34


@dataclass(frozen=True)
class Case:
    """A picture, the two aspects asked about it, and the things that share one aspect (by name) or none of them."""

    source: Thing
    asked: tuple[str, str]
    sharing: dict[str, Thing]
    paper: str


@lru_cache(maxsize=16)
def _cases(seed: int, part: str, count: int) -> tuple[Case, ...]:
    return tuple(
        _case(Draw(GENERATOR_VERSION, _STREAM, part_of(part).code, seed, i), part_of(part)) for i in range(count)
    )


def _case(draw: Draw, part: Part) -> Case:
    paper = HELD_OUT_PAPER if part.paper else draw.choice([paper for paper in PAPERS if paper != HELD_OUT_PAPER])
    source = _thing(draw, part, {})
    names = [*ASPECTS, *(f"nothing {k}" for k in range(_NEITHER))]
    sharing = {name: _thing(draw, part, {a: getattr(source, a) for a in ASPECTS}, name) for name in names}
    first, second = draw.sample(tuple(ASPECTS), ASKED)
    return Case(source, (first, second), sharing, paper)


def _thing(draw: Draw, part: Part, source: Mapping[str, Any], shared: str = "") -> Thing:
    """A thing of the part that has the aspect `shared` of the source, and no other one."""
    while True:
        look = {
            aspect: source[aspect] if aspect == shared else draw.choice([v for v in values if v != source.get(aspect)])
            for aspect, values in ASPECTS.items()
        }
        thing = draw_thing(draw, (look["colour"], look["shape"]), look["place"])
        thing = replace(thing, fill=look["fill"])
        if allowed(part, thing):
            return thing


def queries(seed: int, part: str, count: int) -> list[Row]:
    """Picture and instruction; the positive shares what the instruction names."""
    return _rows(seed, part, count, wrong=False)


def wrong_queries(seed: int, part: str, count: int) -> list[Row]:
    """The same pictures and positives, but the instruction names the other aspect: a model that follows it is misled."""
    return _rows(seed, part, count, wrong=True)


def candidates(seed: int, part: str, count: int) -> list[Row]:
    """The things that share one aspect or none with each source."""
    return [
        {"id": f"{i}:{name}", "image": Still(Scene((thing,), case.paper))}
        for i, case in enumerate(_cases(seed, part, count))
        for name, thing in case.sharing.items()
    ]


def _rows(seed: int, part: str, count: int, wrong: bool) -> list[Row]:
    return [
        {
            "id": f"{i}:{aspect}:{number}",
            "scene": str(i),
            "aspect": aspect,
            "wording": str(number + 1),
            "image": Still(Scene((case.source,), case.paper)),
            "instruction": WORDINGS[case.asked[1 - which] if wrong else aspect][number],
            "positive": f"{i}:{aspect}",
            "pool": [f"{i}:{name}" for name in case.sharing],
        }
        for i, case in enumerate(_cases(seed, part, count))
        for which, aspect in enumerate(case.asked)
        for number in range(5)
    ]


TABLES: dict[str, Callable[[int, str, int], list[Row]]] = {
    "aspect-queries": queries,
    "aspect-wrong-queries": wrong_queries,
    "aspects": candidates,
}
