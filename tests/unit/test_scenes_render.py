"""Pixels: the same on every machine, nothing covered, nothing too small, no two colours alike, no time in one frame."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from unite_bench.errors import UsageError
from unite_bench.sources.scenes import CANVAS, Clip, Scene, Still, frame_indices, render_frames, render_image
from unite_bench.sources.scenes.masks import cover
from unite_bench.sources.scenes.render import Mark, marks
from unite_bench.sources.scenes.sample import sample_moving, sample_still
from unite_bench.sources.scenes.world import (
    CELL,
    COLOURS,
    CYCLES,
    FILLS,
    FRAMES,
    GROWING_SIDES,
    PAPERS,
    PHASES,
    REVERSED,
    SHAPES,
    SIDES,
    Event,
    Motion,
    Thing,
)

GOLDEN_PIXELS = "88d5b08cf1ed36f4"
# Viénot-style simulation in linear RGB; the matrices are those of Machado et al. (2009) at full severity.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
Array = npt.NDArray[np.float64]


def _lab(colours: Array, vision: Array) -> Array:
    """CIE Lab (D65) of sRGB colours (n, 3) in 0..255 as seen by a vision."""
    s = colours / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ vision.T, 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _extent(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Width and height of what is set."""
    ys, xs = np.nonzero(mask)
    return int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_are_far_apart_for_every_vision(vision: str) -> None:
    seen = _lab(np.array([*COLOURS.values()], dtype=np.float64), VISIONS[vision])
    papers = _lab(np.array([*PAPERS.values()], dtype=np.float64), VISIONS[vision])
    between = [float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)]
    on_paper = [float(np.linalg.norm(a - b)) for a in seen for b in papers]
    assert min(between) > 25  # CIE76; about 2 is just noticeable
    assert min(on_paper) > 25


def test_things_are_large_enough_and_sizes_far_apart() -> None:
    for shape in SHAPES:
        for fill in FILLS:
            small, large, least = (
                _extent(cover(shape, fill, side) > 127) for side in (*SIDES.values(), GROWING_SIDES[0])
            )
            assert min(*small, *least) >= 42  # 28 px at 224
            assert all(b / a >= 1.6 for a, b in zip(small, large, strict=True))
            assert all(b - a >= 21 for a, b in zip(small, large, strict=True))  # 14 px at 224


def test_shapes_and_fills_differ_visibly_when_small() -> None:
    masks = {(shape, fill): cover(shape, fill, SIDES["small"]) > 127 for shape in SHAPES for fill in FILLS}
    for (one, a), (two, b) in combinations(masks.items(), 2):
        assert (a != b).mean() > 0.04, (one, two)
        assert max(_extent(a != b)) >= 21, (one, two)


def test_covers_average_the_master_exactly() -> None:
    """At a side that divides the master's, a box average taken independently gives the same bytes."""
    from unite_bench.sources.scenes.masks import master

    for shape in SHAPES:
        mean = master(shape, "striped").reshape(84, 4, 84, 4).mean(axis=(1, 3))
        assert np.array_equal(cover(shape, "striped", 84), np.floor(mean * 255 + 0.5).astype(np.uint8))


def test_pixels_never_drift() -> None:
    state = hashlib.sha256()
    for part in ("iid", "held-out"):
        for i in range(20):
            state.update(render_image(sample_still(7001, i, part)).tobytes())
            state.update(render_frames(sample_moving(7001, i, part), 4).tobytes())
    assert state.hexdigest()[:16] == GOLDEN_PIXELS


def _spans(mark: Mark) -> list[tuple[int, int, int, int]]:
    """The squares that a mark may touch, its continuation over the edges included."""
    half = (mark.side + 1) // 2
    around = (-CANVAS, 0, CANVAS)
    return [
        (mark.x + a - half, mark.x + a + half, mark.y + b - half, mark.y + b + half) for a in around for b in around
    ]


def _meet(one: Mark, two: Mark) -> bool:
    return any(
        a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3] for a in _spans(one)[4:5] for b in _spans(two)
    )


@pytest.mark.parametrize("part", ["iid", "held-out"])
def test_nothing_is_ever_covered_and_places_are_unambiguous(part: str) -> None:
    for i in range(150):
        for scene in (sample_still(7002, i, part), sample_moving(7002, i, part)):
            for frame in range(FRAMES if scene.moving else 1):
                seen = marks(scene, frame)
                assert not any(_meet(one, two) for one, two in combinations(seen, 2)), (scene, frame)
            moved = scene.motion.mover if scene.motion is not None else -1
            for k, thing in enumerate(scene.things):
                if k != moved:
                    alone = marks(replace(scene, things=(thing,), motion=None, events=()))
                    edges = [(m.x + s * m.side // 2, m.y + s * m.side // 2) for m in alone for s in (-1, 1)]
                    assert all(thing.column * CELL <= x <= (thing.column + 1) * CELL for x, _ in edges)
                    assert all(thing.row * CELL <= y <= (thing.row + 1) * CELL for _, y in edges)


def test_a_smaller_canvas_is_the_box_average_of_the_full_one() -> None:
    for i in range(40):
        for scene in (sample_still(7003, i, "iid"), sample_moving(7003, i, "iid")):
            for factor in (2, 3, 4):
                side = CANVAS // factor
                full = render_image(scene).reshape(side, factor, side, factor, 3).mean(axis=(1, 3))
                bound = 12 if scene.paper == "squared" else 1.5
                assert np.abs(render_image(scene, side) - full).max() <= bound
    with pytest.raises(UsageError, match="divide"):
        render_image(scene, 224)


def _moving(path: str, speed: str, phase: int, mover: int = 0) -> Scene:
    place = {"left": 4, "right": 4, "up": 4, "down": 4, "clockwise": 0, "counter-clockwise": 0}.get(path, 4)
    size = "varying" if path in ("grows", "shrinks") else "small"
    return Scene((Thing("star", "red", size, "solid", place),), "white", Motion(path, speed, phase, mover))


@pytest.mark.parametrize("frames", [4, 8, 16])
@pytest.mark.parametrize("path", ["left", "up", "clockwise", "grows", "up-left"])
def test_a_motion_and_its_reverse_show_the_same_frames(path: str, frames: int) -> None:
    """No frame, and no bag of frames, tells a direction; only their order does."""
    for speed in CYCLES:
        for phase in (0, 17, 40):
            one, two = (render_frames(_moving(p, speed, phase), frames, 84) for p in (path, REVERSED[path]))
            assert sorted(f.tobytes() for f in one) == sorted(f.tobytes() for f in two)


@pytest.mark.parametrize("path", ["left", "up", "clockwise", "grows", "up-left"])
def test_which_frame_policies_tell_a_direction(path: str) -> None:
    """With its phase unknown, a direction shows where a cycle is seen in more than two positions: not fast in 4 frames."""
    for speed in CYCLES:
        for frames in (4, 8, 16):
            seen = [marks(_moving(path, speed, 5), f) for f in frame_indices(frames)]
            same = [[marks(_moving(REVERSED[path], speed, p), f) for f in frame_indices(frames)] for p in range(PHASES)]
            assert (seen in same) == (frames // CYCLES[speed] <= 2)


@pytest.mark.parametrize("frames", [4, 8, 16])
def test_the_order_of_events_shows_in_the_order_of_frames_only(frames: int) -> None:
    things = (Thing("star", "red", "small", "solid", 0), Thing("moon", "blue", "small", "solid", 8))
    orders = [
        Scene(things, "white", events=(Event("blinks", a, "early"), Event("blinks", b, "late")))
        for a, b in ((0, 1), (1, 0))
    ]
    one, two = (render_frames(scene, frames, 84) for scene in orders)
    assert sorted(f.tobytes() for f in one) == sorted(f.tobytes() for f in two)
    assert one.tobytes() != two.tobytes()


def test_direction_cannot_be_read_from_where_things_are_in_one_frame() -> None:
    """Over many sampled scenes, positions in one frame have the same distribution for a path and its reverse."""
    where: dict[str, list[int]] = {path: [] for path in ("left", "right", "grows", "shrinks")}
    for i in range(4000):
        scene = sample_moving(7004, i, "iid")
        if scene.motion is not None and scene.motion.path in where:
            mark = next(
                m for m in marks(replace(scene, events=()), 5) if m.colour == scene.things[scene.motion.mover].colour
            )
            where[scene.motion.path].append(mark.side if scene.motion.path in ("grows", "shrinks") else mark.x)
    for path in ("left", "grows"):
        one, two = (np.array(where[p]) for p in (path, REVERSED[path]))
        edges = np.quantile(np.concatenate([one, two]), np.linspace(0, 1, 9)[1:-1])
        a, b = (np.bincount(np.searchsorted(edges, values), minlength=8) for values in (one, two))
        expected = np.outer([a.sum(), b.sum()], a + b) / (a.sum() + b.sum())
        chi2 = float((((np.stack([a, b]) - expected) ** 2) / expected).sum())
        assert chi2 < 24.3  # 99.9 % point at 7 degrees of freedom; the seed is fixed


def test_motion_moves_the_way_it_is_named() -> None:
    def step(path: str) -> Mark:
        scene = _moving(path, "slow", 10)
        before, after = marks(scene, 4)[0], marks(scene, 5)[0]
        return replace(after, x=after.x - before.x, y=after.y - before.y, side=after.side - before.side)

    assert (step("left").x, step("left").y) == (-21, 0)
    assert (step("up").x, step("up").y) == (0, -21)
    assert (step("down-right").x, step("down-right").y) == (21, 21)
    assert step("grows").side > 0 > step("shrinks").side
    top = next(p for p in range(48) if marks(_moving("clockwise", "slow", p), 0)[0].y == 112 - 56)
    here, there = (marks(_moving("clockwise", "slow", top), f)[0] for f in (0, 1))
    assert there.x > here.x  # clockwise, as seen: over the top to the right


def test_events_happen_when_they_are_said_to() -> None:
    thing = Thing("star", "red", "small", "solid", 0)

    def colours(event: Event) -> list[str | None]:
        found = [marks(Scene((thing,), "white", events=(event,)), f) for f in range(FRAMES)]
        return [seen[0].colour if seen else None for seen in found]

    assert colours(Event("appears", 0, "midway")) == [None] * 8 + ["red"] * 8
    assert colours(Event("disappears", 0, "midway")) == ["red"] * 8 + [None] * 8
    assert colours(Event("turns", 0, "midway", "blue")) == ["red"] * 8 + ["blue"] * 8
    assert colours(Event("blinks", 0, "early")) == ["red"] * 4 + [None] * 4 + ["red"] * 8


def test_a_clip_is_sixteen_frames_over_two_seconds() -> None:
    clip = Clip(sample_moving(7001, 0, "iid"))
    times = clip.times()
    assert len(times) == FRAMES
    assert (times[0], times[1], times[-1]) == (0.0, 0.125, 1.875)
    assert np.array_equal(clip.frame(3), render_image(clip.scene, frame=3))
    assert clip.frame(3).shape == (CANVAS, CANVAS, 3)
    assert clip.frame(3).dtype == np.uint8
    assert np.array_equal(Still(clip.scene, 3).picture(), clip.frame(3))
    with pytest.raises(UsageError, match="frames 0 to 15"):
        clip.frame(FRAMES)


def test_uniform_indices_are_the_centres_of_equal_spans() -> None:
    assert frame_indices(4) == [2, 6, 10, 14]
    assert frame_indices(8) == [1, 3, 5, 7, 9, 11, 13, 15]
    assert frame_indices(16) == list(range(16))
    assert frame_indices(1) == [8]


def test_pictures_do_not_share_memory() -> None:
    scene = sample_still(7001, 0, "iid")
    picture = render_image(scene)
    picture[:] = 0
    assert render_image(scene).max() > 0
