"""Training material from the procedural world: scenes of training seeds, rendered once into banks.

Every scene is drawn with part="train"; the generator itself refuses test seeds there. Validation takes a seed of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reference_model.preprocess import Preprocessing
from reference_model.train.bank import Bank, writing
from unite_bench.errors import StoreError
from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.edits import Edit, apply_edit, draw_edit, edit_text
from unite_bench.sources.scenes.forms import clear_frame, told_index, told_text, without
from unite_bench.sources.scenes.render import Still, render_frames
from unite_bench.sources.scenes.sample import allowed, free_pairs, sample_moving, sample_still
from unite_bench.sources.scenes.world import GENERATOR_VERSION, Scene, part_of

PART = "train"
EDITS_STREAM = 77  # a stream that the generator itself does not use
FRAMES = 8


@dataclass(frozen=True)
class Edited:
    """A source, what is asked, the scene after it, and other scenes near it: the hard negatives."""

    source: int
    text: str
    after: int
    others: tuple[int, ...]


@dataclass(frozen=True)
class Fused:
    """A scene as image+text: the picture that lacks one thing, and the words that tell it.

    `wrong_shown` and `wrong_text` are near misses of either half: another colour or shape of one thing.
    """

    scene: int
    shown: int
    text: str
    wrong_shown: int
    wrong_text: str


@dataclass(frozen=True)
class World:
    """Scenes and where their pictures and clips lie; equal positions belong together."""

    stills: tuple[Scene, ...]
    still_at: tuple[int, ...]
    movings: tuple[Scene, ...]
    clip_at: tuple[int, ...]
    frame_at: tuple[int, ...]
    still_edits: tuple[Edited, ...]
    clip_edits: tuple[Edited, ...]
    fused: tuple[Fused, ...]
    moving_fused: tuple[Fused, ...]
    image_scenes: tuple[Scene, ...]
    clip_scenes: tuple[Scene, ...]
    images: Bank
    clips: Bank


@dataclass(frozen=True)
class Sizes:
    """How many scenes of each sort."""

    stills: int = 30_000
    movings: int = 10_000
    still_edits: int = 12_000
    clip_edits: int = 4_000
    fused: int = 6_000


def build_world(seed: int, sizes: Sizes, folder: Path, preprocessing: Preprocessing) -> World:
    """Draw the scenes of a training seed; render them into `folder`, unless that is done already.

    Raises StoreError if the folder holds that seed's scenes for other sizes: their numbers name other pictures.
    """
    stills = tuple(sample_still(seed, index, PART) for index in range(sizes.stills))
    movings = tuple(sample_moving(seed, index, PART) for index in range(sizes.movings))
    pictures: dict[str, Still] = {}
    films: dict[str, Scene] = {}
    numbers: dict[str, int] = {}

    def picture(scene: Scene) -> int:
        still = Still(scene, clear_frame(scene)) if scene.moving else Still(scene)
        if still.digest not in pictures:
            numbers[still.digest] = len(pictures)
            pictures[still.digest] = still
        return numbers[still.digest]

    def film(scene: Scene) -> int:
        key = scene.digest("clip")
        if key not in films:
            numbers[key] = len(films)
            films[key] = scene
        return numbers[key]

    still_at = tuple(picture(scene) for scene in stills)
    frame_at = tuple(picture(scene) for scene in movings)
    clip_at = tuple(film(scene) for scene in movings)
    still_edits = _edits(stills[: sizes.still_edits], seed, picture)
    clip_edits = _edits(movings[: sizes.clip_edits], seed, film)
    fused = _fused(stills[: sizes.fused], seed, picture)
    moving_fused = _fused(movings[: sizes.fused], seed, picture)
    images, clips = folder / f"images-{seed}", folder / f"clips-{seed}"
    if not (images / "index.npy").exists():
        with writing(images, preprocessing) as writer:
            for still in pictures.values():
                writer.add(still.picture()[np.newaxis])
    if not (clips / "index.npy").exists():
        with writing(clips, preprocessing) as writer:
            for scene in films.values():
                writer.add(render_frames(scene, FRAMES))
    for bank, media in ((Bank(images), len(pictures)), (Bank(clips), len(films))):
        if len(bank) != media:
            raise StoreError(
                f"{bank.folder}: {len(bank)} scenes of another size of this world, which has {media}; delete the folder, or "
                "take another --work"
            )
    return World(
        stills,
        still_at,
        movings,
        clip_at,
        frame_at,
        still_edits,
        clip_edits,
        fused,
        moving_fused,
        tuple(still.scene for still in pictures.values()),
        tuple(films.values()),
        Bank(images),
        Bank(clips),
    )


def _edits(scenes: tuple[Scene, ...], seed: int, place: Callable[[Scene], int]) -> tuple[Edited, ...]:
    """One edit of every scene; its hard negatives are another edit of it, and the same edit of another scene."""
    holders: dict[tuple[str, str], list[int]] = {}
    for index, scene in enumerate(scenes):
        for thing in scene.things:
            holders.setdefault((thing.colour, thing.shape), []).append(index)
    found = []
    for index, scene in enumerate(scenes):
        draw = Draw(GENERATOR_VERSION, EDITS_STREAM, int(scene.moving), seed, index)
        try:
            edit = draw_edit(scene, draw, part_of(PART))
        except ValueError:  # a scene that admits no edit
            continue
        after = apply_edit(edit, scene)
        other = apply_edit(draw_edit(scene, draw, part_of(PART)), scene)
        assert after is not None and other is not None
        near = [other, _elsewhere(edit, scenes, holders, draw)]
        kept = [place(s) for s in near if s is not None and s.meaning not in (after.meaning, scene.meaning)]
        found.append(Edited(index, edit_text(edit, draw.below(1_000_000), PART), place(after), tuple(kept)))
    return tuple(found)


def _elsewhere(
    edit: Edit, scenes: tuple[Scene, ...], holders: dict[tuple[str, str], list[int]], draw: Draw
) -> Scene | None:
    """The same edit asked of another scene that holds such a thing."""
    options = holders.get(edit.target, []) if edit.target else range(len(scenes))
    return apply_edit(edit, scenes[draw.choice(list(options))]) if options else None


def _fused(scenes: tuple[Scene, ...], seed: int, place: Callable[[Scene], int]) -> tuple[Fused, ...]:
    """Scenes with two things or more of which one can be told apart; of moving ones, those in which nothing changes."""
    found = []
    for index, scene in enumerate(scenes):
        if len(scene.things) < 2 or (scene.moving and (scene.motion is None or scene.events)):
            continue
        draw = Draw(GENERATOR_VERSION, EDITS_STREAM, 2 + int(scene.moving), seed, index)
        told = told_index(scene, index)
        seen = draw.choice([i for i in range(len(scene.things)) if i != told])
        wrong_told, wrong_seen = (_recast(scene, i, draw) for i in (told, seen))
        found.append(
            Fused(
                index,
                place(without(scene, told)),
                told_text(scene.things[told], index, PART),
                place(without(wrong_seen, told)),
                told_text(wrong_told.things[told], index, PART),
            )
        )
    return tuple(found)


def _recast(scene: Scene, index: int, draw: Draw) -> Scene:
    """The scene with one thing of another colour or another shape."""
    thing = scene.things[index]
    pairs = [pair for pair in free_pairs(scene, part_of(PART)) if (pair[0] == thing.colour) != (pair[1] == thing.shape)]
    colour, shape = draw.choice(pairs)
    other = replace(thing, colour=colour, shape=shape)
    assert allowed(part_of(PART), other)
    return replace(scene, things=(*scene.things[:index], other, *scene.things[index + 1 :]))
