"""Quartets: each caption true of one side alone, and the two sides equal in all that the quartet is not about.

If these fail, a task is solved by what it does not ask for (words, colours, ink, one frame), or has a false negative.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from unite_bench import media
from unite_bench.items import Video
from unite_bench.sources.build import build
from unite_bench.sources.scenes import Scene, entails, render_frames, render_image, table
from unite_bench.sources.scenes.quartets import KINDS, Quartet, quartets
from unite_bench.sources.scenes.render import frame_indices, marks
from unite_bench.sources.scenes.sample import allowed
from unite_bench.sources.scenes.world import CYCLES, FRAMES, HELD_OUT_PAIRS, PHASES, REVERSED, part_of
from unite_bench.spec.catalogue import load_task

SWAPS = ("colour-binding", "size-binding", "relation", "who-moves", "order")
SEED = 7103


def _quartets(kind: str, count: int = 60, part: str = "iid") -> list[Quartet]:
    return list(quartets(kind, SEED, part, count))


def _words(text: str) -> Counter[str]:
    return Counter(text.lower().replace(",", " ").replace(".", " ").replace(";", " ").split())


def _ink(scene: Scene) -> npt.NDArray[np.float64]:
    """How dark each pixel is, with all things in one colour on white paper."""
    red = replace(scene, things=tuple(replace(thing, colour="red") for thing in scene.things), paper="white")
    return np.asarray(246 - render_image(red)[..., 1].astype(np.float64))


@pytest.mark.parametrize("part", ["iid", "held-out"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_caption_is_true_of_its_own_side_alone(kind: str, part: str) -> None:
    for quartet in _quartets(kind, 100, part):
        for texts in (quartet.captions, quartet.paraphrases):
            truth = [[entails(scene, text) for scene in quartet.scenes] for text in texts]
            assert truth == [[True, False], [False, True]], (texts, quartet.scenes)
        assert quartet.captions != quartet.paraphrases


@pytest.mark.parametrize("kind", KINDS)
def test_quartets_keep_to_their_part(kind: str) -> None:
    for part in ("iid", "held-out"):
        spec = part_of(part)
        for quartet in _quartets(kind, 100, part):
            things = [thing for scene in quartet.scenes for thing in scene.things]
            assert all(allowed(spec, thing) for thing in things)
            assert any((thing.colour, thing.shape) in HELD_OUT_PAIRS for thing in things) == spec.pair
            assert all((scene.paper == "dotted") == spec.paper for scene in quartet.scenes)


@pytest.mark.parametrize("kind", SWAPS)
def test_swapped_captions_hold_the_same_words(kind: str) -> None:
    for quartet in _quartets(kind):
        for one, two in (quartet.captions, quartet.paraphrases):
            assert one != two
            assert _words(one) == _words(two)
            assert len(one) == len(two)


@pytest.mark.parametrize("kind", SWAPS)
def test_swapped_scenes_hold_the_same_colours_shapes_and_sizes(kind: str) -> None:
    for one, two in (quartet.scenes for quartet in _quartets(kind)):
        for name in ("colour", "shape", "size", "fill"):
            values = [sorted(getattr(thing, name) for thing in scene.things) for scene in (one, two)]
            assert values[0] == values[1]
        if kind != "who-moves":
            assert sorted(thing.place for thing in one.things) == sorted(thing.place for thing in two.things)
        assert one.paper == two.paper


@pytest.mark.parametrize("kind", ["colour-binding", "size-binding", "relation", "count"])
def test_the_two_pictures_hold_equal_ink(kind: str) -> None:
    """Those of a count quartet within equal extents, so that density is equal too."""
    for quartet in _quartets(kind, 60):
        one, two = map(_ink, quartet.scenes)
        assert one.sum() == pytest.approx(two.sum(), rel=0.03)
        if kind == "count":
            boxes = [[(int(at.min()), int(at.max())) for at in np.nonzero(ink > 20)] for ink in (one, two)]
            assert boxes[0] == boxes[1]


def test_ink_does_not_say_which_scene_holds_more_things() -> None:
    more = []
    for quartet in _quartets("count", 400):
        few, many = (_ink(scene).sum() for scene in sorted(quartet.scenes, key=lambda scene: len(scene.things)))
        more.append(many > few)
    assert abs(np.mean(more) - 0.5) < 4 * (0.25 / len(more)) ** 0.5


def _bag(frames: npt.NDArray[np.uint8]) -> list[bytes]:
    return sorted(frame.tobytes() for frame in frames)


@pytest.mark.parametrize("kind", ["order", "direction"])
def test_the_two_clips_are_made_of_the_same_frames(kind: str) -> None:
    """Under 8 and 16 frames a bag of frames, a mean of frames or shuffled frames tell nothing."""
    for one, two in (quartet.scenes for quartet in _quartets(kind, 24)):
        for count in (8, 16):
            shown = [render_frames(scene, count, 84) for scene in (one, two)]
            assert _bag(shown[0]) == _bag(shown[1])
            assert shown[0].tobytes() != shown[1].tobytes()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].temporal])
def test_pairs_can_be_told_apart_in_the_frames_of_the_policy(kind: str) -> None:
    """Eight frames of a clip are never those of the other side, wherever that one starts."""
    indices = frame_indices(8)
    for one, two in (quartet.scenes for quartet in _quartets(kind, 40)):
        seen = [marks(one, frame) for frame in indices]
        others = [two] if two.motion is None else [_from(two, phase) for phase in range(PHASES)]
        assert all([marks(other, frame) for frame in indices] != seen for other in others)
    for one, two in (quartet.scenes for quartet in _quartets(kind, 6)):
        assert render_frames(one, 8, 84).tobytes() != render_frames(two, 8, 84).tobytes()


def _from(scene: Scene, phase: int) -> Scene:
    assert scene.motion is not None
    return replace(scene, motion=replace(scene.motion, phase=phase))


def test_who_moves_cannot_be_read_from_one_frame() -> None:
    """Where the moving and the resting thing stand along their lines, in the middle frame, has one distribution."""
    where: dict[bool, list[int]] = {True: [], False: []}
    for quartet in _quartets("who-moves", 800):
        for scene in quartet.scenes:
            assert scene.motion is not None
            for index, mark in enumerate(marks(scene)):
                along = mark.x if scene.motion.path in ("left", "right") else mark.y
                where[index == scene.motion.mover].append(along)
    _same_distribution(where[True], where[False])


def _same_distribution(one: list[int], two: list[int]) -> None:
    a, b = (np.bincount(np.array(values) // 42, minlength=8) for values in (one, two))
    expected = np.outer([a.sum(), b.sum()], a + b) / (a.sum() + b.sum())
    assert float((((np.stack([a, b]) - expected) ** 2) / expected).sum()) < 24.3  # 99.9 %, 7 degrees of freedom


def test_no_end_and_no_middle_of_a_clip_tells_which_event_came_first() -> None:
    for one, two in (quartet.scenes for quartet in _quartets("order", 40)):
        for frame in (0, 1, *frame_indices(1), frame_indices(8)[4], 15):
            assert marks(one, frame) == marks(two, frame)


@pytest.mark.parametrize("name", ["direction", "speed"])
def test_circuits_are_of_one_path_and_size(name: str) -> None:
    for one, two in (quartet.scenes for quartet in _quartets(name, 80)):
        assert one.things == two.things and one.motion is not None and two.motion is not None
        if name == "speed":
            assert one.motion.path == two.motion.path
            assert {one.motion.speed, two.motion.speed} == set(CYCLES)
        else:
            assert two.motion.path == REVERSED[one.motion.path] and one.motion.speed == two.motion.speed
        assert len({tuple(marks(one, frame)) for frame in range(FRAMES)}) > 4


def test_kinds_share_scenes_and_smaller_tables_are_the_first_of_larger_ones() -> None:
    base = {scene.canonical for quartet in _quartets("colour-binding") for scene in quartet.scenes}
    for kind in ("colour", "shape"):
        held = [any(scene.canonical in base for scene in quartet.scenes) for quartet in _quartets(kind)]
        assert all(held)
    small, large = (table("quartets-order-captions", seed=SEED, part="iid", count=n).rows for n in (10, 24))
    assert list(small) == list(large[:10])


def test_which_half_comes_first_is_drawn() -> None:
    for kind in KINDS:
        turned = [scene.scenes[0].canonical < scene.scenes[1].canonical for scene in _quartets(kind, 200)]
        assert 60 < sum(turned) < 140, kind


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].temporal])
def test_every_temporal_task_has_both_controls(kind: str) -> None:
    """The same first quartets, on the middle frame and with their frames in another order."""
    main = build(load_task(f"scenes-quartet-{kind}"))
    for control in ("one-frame", "shuffled"):
        task = load_task(f"scenes-quartet-{kind}-{control}")
        data = build(task)
        assert "Control" in (task.notes or "")
        assert [query.digest for query in data.queries] == [query.digest for query in main.queries[: len(data.queries)]]
        assert [c.content for c in data.candidates] == [c.content for c in main.candidates[: len(data.candidates)]]
        for small, whole in zip(data.candidates, main.candidates, strict=False):
            (shown,), (full,) = media.resolve(small).parts, media.resolve(whole).parts
            assert isinstance(shown, Video) and isinstance(full, Video)
            assert shown.indices is not None and full.indices is not None
            if control == "one-frame":
                assert shown.indices == (8,)
            else:
                assert sorted(shown.indices) == list(full.indices) and shown.indices != full.indices
