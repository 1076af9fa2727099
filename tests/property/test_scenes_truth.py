"""Grammar and checker agree: a text is true of its scene, and false once anything that it tells is otherwise.

They are written apart, so a mistake in either shows here. 100,000 samples with `-m slow`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unite_bench.sources.scenes import (
    TRAIN_SEEDS,
    Scene,
    Still,
    entails,
    long,
    paraphrase,
    sample_edit,
    sample_moving,
    sample_still,
    short,
    split_fused,
)
from unite_bench.sources.scenes.forms import told_index
from unite_bench.sources.scenes.language import LONG_WORDS, choose_facts, placed
from unite_bench.sources.scenes.world import COLOURS, FILLS, PAPERS, PATHS, SHAPES, SIZES, SPEEDS, Thing

Say = Callable[[Scene, int, str], str]
PART_NAMES = ("train", "iid", "held-out")


def _sample(index: int) -> tuple[Scene, str]:
    part = PART_NAMES[index % 3]
    sample = sample_still if index % 2 else sample_moving
    return sample(TRAIN_SEEDS.start + 17 if part == "train" else 7005, index, part), part


def _others(values: tuple[str, ...], value: str, turn: int) -> str:
    left = [other for other in values if other != value]
    return left[turn % len(left)]


def _with(scene: Scene, index: int, thing: Thing) -> Scene:
    return replace(scene, things=(*scene.things[:index], thing, *scene.things[index + 1 :]))


def _otherwise(scene: Scene, pattern: int, full: bool) -> Iterator[tuple[str, Scene]]:
    """The scene with one thing that the text tells made otherwise; `full` for a text that tells everything."""
    facts = choose_facts(scene, pattern)
    related = () if full or facts.relation is None else (facts.relation[0], facts.relation[2])
    for i, thing in enumerate(scene.things):
        met = {(other.colour, other.shape) for other in scene.things}
        for name, other in (
            ("colour", replace(thing, colour=_others(tuple(COLOURS), thing.colour, pattern + i))),
            ("shape", replace(thing, shape=_others(SHAPES, thing.shape, pattern + i))),
        ):
            if (other.colour, other.shape) not in met:
                yield name, _with(scene, i, other)
        yield "count", _with(scene, i, replace(thing, count=thing.count % 4 + 1))
        if full or facts.look:
            yield "fill", _with(scene, i, replace(thing, fill=_others(FILLS, thing.fill, pattern)))
            if thing.count == 1 and thing.size in SIZES:
                yield "size", _with(scene, i, replace(thing, size=_others(SIZES, thing.size, 0)))
        if (full or facts.place) and placed(scene, i) and i not in related:
            yield "place", _with(scene, i, replace(thing, place=(thing.place + 1 + pattern % 8) % 9))
    if related:
        i, j = related
        one, two = scene.things[i], scene.things[j]
        swapped = _with(_with(scene, i, replace(one, place=two.place)), j, replace(two, place=one.place))
        yield "relation", swapped
    yield from _otherwise_in_time(scene, pattern, full or facts.speed)
    if full:
        yield "paper", replace(scene, paper=_others(tuple(PAPERS), scene.paper, pattern))


def _otherwise_in_time(scene: Scene, pattern: int, speed: bool) -> Iterator[tuple[str, Scene]]:
    motion = scene.motion
    if motion is not None:
        yield "path", replace(scene, motion=replace(motion, path=_others(PATHS, motion.path, pattern)))
        yield "no motion", replace(scene, motion=None)
        if speed:
            yield "speed", replace(scene, motion=replace(motion, speed=_others(SPEEDS, motion.speed, 0)))
        if len(scene.things) > 1:
            yield "who moves", replace(scene, motion=replace(motion, mover=(motion.mover + 1) % len(scene.things)))
    if len(scene.events) == 2:
        one, two = scene.events
        yield "order", replace(scene, events=(replace(two, slot=one.slot), replace(one, slot=two.slot)))
    for k, event in enumerate(scene.events):
        left = scene.events[:k] + scene.events[k + 1 :]
        yield "no event", replace(scene, events=left)
        kind = {"appears": "disappears", "disappears": "appears", "turns": "blinks", "blinks": "turns"}[event.kind]
        yield "event", replace(scene, events=(*left, replace(event, kind=kind)))
        if event.kind == "turns":
            other = _others(tuple(COLOURS), event.colour, pattern)
            yield "turned", replace(scene, events=(*left, replace(event, colour=other)))
        if len(scene.things) > 1 and len(scene.events) == 1:
            yield "whose event", replace(scene, events=(replace(event, thing=(event.thing + 1) % len(scene.things)),))


def _agree(numbers: range) -> set[str]:
    """Check texts of these samples; returns the names of what was made otherwise."""
    tried = set()
    for number in numbers:
        scene, part = _sample(number)
        for say, full in ((short, False), (paraphrase, False), (long, True)):
            text = say(scene, number, part)
            assert entails(scene, text), (text, scene)
            for name, other in _otherwise(scene, number, full):
                tried.add(name)
                assert not entails(other, text), (name, text, scene, other)
    return tried


ALL_CHANGES = {
    *("colour", "shape", "count", "fill", "size", "place", "relation", "path", "no motion", "speed", "who moves"),
    *("order", "no event", "event", "turned", "whose event", "paper"),
}


def test_grammar_and_checker_agree() -> None:
    assert _agree(range(1200)) == ALL_CHANGES


@pytest.mark.slow
def test_grammar_and_checker_agree_on_a_hundred_thousand_texts() -> None:
    assert _agree(range(1200, 1200 + 34_000)) == ALL_CHANGES


@settings(max_examples=150, deadline=None)
@given(number=st.integers(0, 10**6), pattern=st.integers(0, 2**47))
def test_texts_keep_their_promises(number: int, pattern: int) -> None:
    """Any scene takes any pattern: texts are true, paraphrases are other words, long ones are 40 to 80 words."""
    scene, part = _sample(number)
    plain, other, full = short(scene, pattern, part), paraphrase(scene, pattern, part), long(scene, pattern, part)
    assert entails(scene, plain) and entails(scene, other) and entails(scene, full)
    assert plain.lower().rstrip(".") != other.lower().rstrip(".")
    assert LONG_WORDS[0] <= len(full.split()) <= LONG_WORDS[1]


@settings(max_examples=100, deadline=None)
@given(number=st.integers(0, 10**6), pattern=st.integers(0, 2**47))
def test_captions_without_motion_fit_every_form(number: int, pattern: int) -> None:
    scene, part = _sample(2 * number)
    if scene.motion is None or scene.events:
        return
    for say in (short, paraphrase):
        text = say(scene, pattern, part, motion=False)
        assert entails(scene, text)
        assert not any(word in text.lower() for word in ("mov", "go", "grow", "shrink", "getting", "fast", "slow"))


@settings(max_examples=150, deadline=None)
@given(number=st.integers(0, 10**6), pattern=st.integers(0, 2**47))
def test_an_edit_changes_the_scene_and_little_of_it(number: int, pattern: int) -> None:
    scene, part = _sample(number)
    if scene.moving and scene.motion is None:
        return
    wish, after = sample_edit(scene, pattern, part)
    assert wish
    assert after.meaning != scene.meaning
    assert after.paper == scene.paper
    changed = len(set(scene.things) - set(after.things)) + len(set(after.things) - set(scene.things))
    assert changed <= (4 if wish.startswith(("swap", "let the", "exchange")) else 2)


@settings(max_examples=100, deadline=None)
@given(number=st.integers(0, 10**6), pattern=st.integers(0, 2**47))
def test_the_two_halves_of_a_fused_item_make_the_scene(number: int, pattern: int) -> None:
    scene, part = _sample(2 * number + 1)
    if len(scene.things) < 2:
        return
    shown, text = split_fused(scene, pattern, part)
    told = scene.things[told_index(scene, pattern)]
    assert {*shown.things, told} == set(scene.things)
    assert told.colour in text and told.shape in text
    assert Still(shown).digest != Still(scene).digest


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999_998), index=st.integers(0, 10**9))
def test_a_scene_follows_from_seed_and_index(seed: int, index: int) -> None:
    for sample in (sample_still, sample_moving):
        assert sample(seed, index, "iid") == sample(seed, index, "iid")
        assert sample(seed, index, "iid") != sample(seed, index + 1, "iid")
        assert sample(seed, index, "iid") != sample(seed + 1, index, "iid")
