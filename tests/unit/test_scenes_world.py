"""The world as such: what is held out, what is kept apart, and that programs never drift.

If these fail, scores of one version of the generator are compared with scores of another, or training has seen the test.
"""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from unite_bench.errors import UsageError
from unite_bench.items import ClipProgram, StillProgram
from unite_bench.sources.scenes import (
    Clip,
    Scene,
    Still,
    long,
    paraphrase,
    sample_edit,
    sample_moving,
    sample_still,
    short,
)
from unite_bench.sources.scenes.questions import ANSWERS, questions
from unite_bench.sources.scenes.world import (
    COLOURS,
    HELD_OUT_COUNT,
    HELD_OUT_PAIRS,
    HELD_OUT_PAPER,
    HELD_OUT_PATHS,
    PARTS,
    PATHS,
    REVERSED,
    SHAPES,
    TEST_SEEDS,
    TRAIN_SEEDS,
    Motion,
    Thing,
)

# Changing any of these changes the meaning of every scenes task: raise GENERATOR_VERSION and the tasks' versions with it.
GOLDEN_PROGRAMS = "0c2056f504d459fa"
GOLDEN_TEXTS = "7f1ede5cf9b22b78"
GOLDEN_STILL = "e8ec98702b406195"
GOLDEN_CLIP = "1e4f1b815a109056"


def _samples(part: str, number: int) -> list[Scene]:
    seed = TRAIN_SEEDS.start if part == "train" else 7001
    return [sample(seed, i, part) for i in range(number) for sample in (sample_still, sample_moving)]


def _pairs(scene: Scene) -> set[tuple[str, str]]:
    """Every (colour, shape) that the scene shows at some time."""
    turned = {(event.colour, scene.things[event.thing].shape) for event in scene.events if event.kind == "turns"}
    return {(thing.colour, thing.shape) for thing in scene.things} | turned


def _sha(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def test_programs_and_texts_never_drift() -> None:
    scenes = [scene for part in ("train", "iid", "held-out") for scene in _samples(part, 100)]
    assert _sha([scene.canonical for scene in scenes]) == GOLDEN_PROGRAMS
    told = [
        say(scene, i, part)
        for part in ("iid", "held-out")
        for i, scene in enumerate(scenes)
        for say in (short, paraphrase, long)
    ]
    assert _sha(told) == GOLDEN_TEXTS


def test_digests_of_programs_never_drift() -> None:
    assert Still(sample_still(7001, 0, "iid")).digest[:16] == GOLDEN_STILL
    assert Clip(sample_moving(7001, 0, "iid")).digest[:16] == GOLDEN_CLIP


def test_digest_tells_forms_frames_and_scenes_apart() -> None:
    one, two = sample_moving(7001, 0, "iid"), sample_moving(7001, 1, "iid")
    programs: list[Still | Clip] = [Still(one, 3), Still(one, 4), Clip(one), Still(two, 3), Clip(two)]
    assert len({program.digest for program in programs}) == len(programs)
    assert isinstance(programs[0], StillProgram)
    assert isinstance(programs[2], ClipProgram)


def test_every_field_is_in_the_canonical_form() -> None:
    thing = Thing("star", "red", "small", "solid", 0)
    scene = Scene((thing, Thing("moon", "blue", "large", "solid", 4)), "white", Motion("left", "slow", 0, 0))
    different = [
        Scene((Thing("star", "red", "small", "solid", 0, 1), scene.things[1]), "white", scene.motion),
        Scene((Thing("star", "red", "small", "solid", 0, 0, 1), scene.things[1]), "white", scene.motion),
        Scene((Thing("star", "red", "small", "solid", 0, count=2), scene.things[1]), "white", scene.motion),
        Scene(scene.things, "black", scene.motion),
        Scene(scene.things, "white", Motion("left", "slow", 1, 0)),
        Scene(scene.things, "white", Motion("left", "slow", 0, 1)),
        Scene(scene.things, "white"),
    ]
    assert len({scene.canonical, *(other.canonical for other in different)}) == len(different) + 1


def test_meaning_ignores_jitter_phase_and_order_only() -> None:
    one, two = Thing("star", "red", "small", "solid", 0), Thing("moon", "blue", "large", "solid", 5)
    scene = Scene((one, two), "white", Motion("grows", "slow", 5, 0))
    moved = Thing("star", "red", "small", "solid", 0, 3, -2)
    assert scene.meaning == Scene((two, moved), "white", Motion("grows", "slow", 40, 1)).meaning
    assert scene.meaning != Scene((two, one), "white", Motion("grows", "slow", 5, 0)).meaning  # another one grows
    assert scene.meaning != Scene((one, two), "white", Motion("grows", "fast", 5, 0)).meaning


def test_training_and_test_seeds_are_kept_apart() -> None:
    assert not set(range(0, 2_000_000, 997)) - set(TRAIN_SEEDS) - set(TEST_SEEDS)
    assert TEST_SEEDS.stop <= TRAIN_SEEDS.start
    for sample in (sample_still, sample_moving):
        with pytest.raises(UsageError, match="kept apart"):
            sample(7001, 0, "train")
        for part in PARTS.keys() - {"train"}:
            with pytest.raises(UsageError, match="kept apart"):
                sample(TRAIN_SEEDS.start, 0, part)
        with pytest.raises(UsageError, match="unknown part"):
            sample(7001, 0, "test")


def test_held_out_pairs_use_each_colour_and_each_shape_once() -> None:
    assert sorted(colour for colour, _ in HELD_OUT_PAIRS) == sorted(COLOURS)
    assert sorted(shape for _, shape in HELD_OUT_PAIRS) == sorted(SHAPES)


@pytest.mark.parametrize("part", ["train", "iid"])
def test_nothing_held_out_is_seen_in_training(part: str) -> None:
    scenes = _samples(part, 1500)
    scenes += [sample_edit(s, i, part)[1] for i, s in enumerate(scenes) if s.motion is not None or not s.moving]
    for scene in scenes:
        assert not _pairs(scene) & HELD_OUT_PAIRS
        assert scene.paper != HELD_OUT_PAPER
        assert all(thing.count != HELD_OUT_COUNT for thing in scene.things)
        assert scene.motion is None or scene.motion.path not in HELD_OUT_PATHS
    assert {pair for scene in scenes for pair in _pairs(scene)} == {
        (c, s) for c in COLOURS for s in SHAPES
    } - HELD_OUT_PAIRS


def test_what_is_held_out_is_in_every_held_out_scene() -> None:
    for scene in _samples("held-out", 500):
        assert _pairs(scene) & HELD_OUT_PAIRS
        assert scene.paper == HELD_OUT_PAPER
        if scene.moving:
            assert scene.motion is not None
            assert scene.motion.path in HELD_OUT_PATHS
        else:
            assert sum(thing.count == HELD_OUT_COUNT for thing in scene.things) == 1


@pytest.mark.parametrize("factor", ["pair", "path", "count", "paper"])
def test_single_factor_parts_hold_out_that_factor_alone(factor: str) -> None:
    scenes = _samples(f"held-out-{factor}", 300)
    found = {
        "pair": [bool(_pairs(scene) & HELD_OUT_PAIRS) for scene in scenes],
        "path": [scene.motion is not None and scene.motion.path in HELD_OUT_PATHS for scene in scenes if scene.moving],
        "count": [any(t.count == HELD_OUT_COUNT for t in scene.things) for scene in scenes if not scene.moving],
        "paper": [scene.paper == HELD_OUT_PAPER for scene in scenes],
    }
    assert {name: (all(seen), any(seen)) for name, seen in found.items()} == {
        name: (name == factor, name == factor) for name in found
    }


def test_held_out_wording_shares_no_template_with_training() -> None:
    """The same scenes and patterns in both wordings never give the same text, single things included."""
    scenes = _samples("iid", 200)
    for say in (short, paraphrase, long):
        seen = {say(scene, i, "iid") for i, scene in enumerate(scenes)}
        held_out = {say(scene, i, "held-out-wording") for i, scene in enumerate(scenes)}
        assert len(held_out) > 100
        assert not seen & held_out


def test_the_distribution_is_wide() -> None:
    scenes = _samples("iid", 1500)
    stills, moving = scenes[::2], scenes[1::2]
    assert {len(scene.things) for scene in stills} == {1, 2, 3}
    assert {scene.figures for scene in stills} == {1, 2, 3, 4, 5, 6}
    paths = Counter(scene.motion.path for scene in moving if scene.motion is not None)
    assert set(paths) == set(PATHS) - set(HELD_OUT_PATHS)
    assert min(paths.values()) > 0.6 * max(paths.values())
    assert {event.kind for scene in moving for event in scene.events} == {"appears", "disappears", "turns", "blinks"}
    assert all(REVERSED[REVERSED[path]] == path != REVERSED[path] for path in PATHS)


def test_every_question_has_an_answer_of_its_type() -> None:
    for scene in _samples("iid", 300)[::2]:
        found = questions(scene)
        assert all(question.answer in ANSWERS[question.type] for question in found)
        texts = [question.text(0) for question in found]
        assert len(set(texts)) == len(texts)  # no question with two answers
