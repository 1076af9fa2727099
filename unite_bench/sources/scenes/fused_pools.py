"""Queries and pool of text to image+text.

A candidate shows some things and tells one more. For each query the pool holds the right candidate, one with the same
image and a wrong text, and one with the same text and a wrong image; so neither half is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

from unite_bench.sources.scenes.bases import stills
from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.entailment import Truths, entails
from unite_bench.sources.scenes.forms import told_index, told_text, without
from unite_bench.sources.scenes.language import short
from unite_bench.sources.scenes.render import Still
from unite_bench.sources.scenes.sample import allowed, free_pairs
from unite_bench.sources.scenes.world import GENERATOR_VERSION, Part, Scene, part_of

Row = Mapping[str, Any]
_STREAM = 33


@dataclass(frozen=True)
class Fused:
    """A candidate: `whole` is the scene that its two halves describe together."""

    whole: Scene
    shown: Scene
    text: str


@dataclass(frozen=True)
class Case:
    """One query with its candidates."""

    index: int  # of the base scene, whose short caption is the query
    scene: Scene
    query: str
    candidates: tuple[Fused, Fused, Fused]


def queries(seed: int, part: str, count: int) -> list[Row]:
    """Short captions of base scenes with two things or more."""
    cases = _cases(seed, part, count)
    truths = Truths([candidate.whole for case in cases for candidate in case.candidates])
    return [
        {
            "id": str(i),
            "scene": str(case.index),
            "things": str(len(case.scene.things)),
            "text": case.query,
            "positives": list(map(str, truths.true_of(case.query))),
        }
        for i, case in enumerate(cases)
    ]


def candidates(seed: int, part: str, count: int) -> list[Row]:
    """Three candidates a query: right, wrong text, wrong image."""
    found = [candidate for case in _cases(seed, part, count) for candidate in case.candidates]
    return [{"id": str(i), "image": Still(c.shown), "text": c.text} for i, c in enumerate(found)]


@lru_cache(maxsize=16)
def _cases(seed: int, part: str, count: int) -> tuple[Case, ...]:
    spec = part_of(part, seed)
    eligible = ((i, scene) for i, scene in enumerate(stills(seed, part)) if len(scene.things) > 1)
    return tuple(_case(i, scene, seed, part, spec) for i, scene in islice(eligible, count))


def _case(i: int, scene: Scene, seed: int, part: str, spec: Part) -> Case:
    draw = Draw(GENERATOR_VERSION, _STREAM, spec.code, seed, i)
    query = short(scene, i, part)
    told = told_index(scene, i)
    shown = draw.choice([k for k in range(len(scene.things)) if k != told])
    wholes = (scene, _altered(scene, told, query, draw, spec), _altered(scene, shown, query, draw, spec))
    fused = [Fused(whole, without(whole, told), told_text(whole.things[told], i, part)) for whole in wholes]
    return Case(i, scene, query, (fused[0], fused[1], fused[2]))


def _altered(scene: Scene, index: int, query: str, draw: Draw, part: Part) -> Scene:
    """The scene with one thing of another colour or another shape, so that the query is no longer true."""
    return draw.choice([other for other in _variants(scene, index, part) if not entails(other, query)])


def _variants(scene: Scene, index: int, part: Part) -> Iterator[Scene]:
    thing = scene.things[index]
    for colour, shape in free_pairs(scene, part):
        if (colour == thing.colour) != (shape == thing.shape):
            other = replace(thing, colour=colour, shape=shape)
            if allowed(part, other):
                yield replace(scene, things=(*scene.things[:index], other, *scene.things[index + 1 :]))
