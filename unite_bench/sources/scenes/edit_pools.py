"""Queries and pool of the edit tasks.

A query is a source scene and a wish. For each, the pool holds the unedited source, the scene after the edit, another
edit of the same source, and the same edit of another source. Whatever looks as the edited scene does (jitter and phase
aside) is a positive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from unite_bench.sources.scenes.bases import movings, stills
from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.edits import Edit, apply_edit, draw_edit, edit_text
from unite_bench.sources.scenes.render import Clip, Still
from unite_bench.sources.scenes.sample import allowed
from unite_bench.sources.scenes.world import GENERATOR_VERSION, Part, Scene, part_of

Row = Mapping[str, Any]
_STREAM = 32
_REACH = 4000  # how far to look for another scene that admits the same edit


@dataclass(frozen=True)
class Case:
    """One query with its candidates."""

    source: Scene
    edit: Edit
    wish: str
    target: Scene
    other_edit: Scene
    other_source: Scene


def image_queries(seed: int, part: str, count: int) -> list[Row]:
    """Image + wish; the positives are ids of `image_candidates` of the same arguments."""
    return _queries(_image_cases(seed, part, count), "image", Still)


def image_candidates(seed: int, part: str, count: int) -> list[Row]:
    """The pool of images, each program once."""
    return [{"id": str(i), "image": Still(scene)} for i, scene in enumerate(_pool(_image_cases(seed, part, count)))]


def video_queries(seed: int, part: str, count: int) -> list[Row]:
    """Clip + wish; the positives are ids of `video_candidates` of the same arguments."""
    return _queries(_video_cases(seed, part, count), "video", Clip)


def video_candidates(seed: int, part: str, count: int) -> list[Row]:
    """The pool of clips, each program once."""
    return [{"id": str(i), "video": Clip(scene)} for i, scene in enumerate(_pool(_video_cases(seed, part, count)))]


@lru_cache(maxsize=16)
def _image_cases(seed: int, part: str, count: int) -> tuple[Case, ...]:
    return tuple(_cases(lambda start: stills(seed, part, start), seed, part, count))


@lru_cache(maxsize=16)
def _video_cases(seed: int, part: str, count: int) -> tuple[Case, ...]:
    def moving(start: int) -> Iterator[Scene]:
        return (scene for scene in movings(seed, part, start) if scene.motion is not None)

    return tuple(_cases(moving, seed, part, count))


def _cases(scenes: Callable[[int], Iterator[Scene]], seed: int, part: str, count: int) -> Iterator[Case]:
    spec = part_of(part, seed)
    for i, source in enumerate(islice(scenes(0), count)):
        draw = Draw(GENERATOR_VERSION, _STREAM, spec.code, seed, i)
        edit, target = _edited(source, draw, spec)
        _, other_edit = _edited(source, draw, spec, unlike=target)
        other_source = _same_edit(edit, islice(scenes(draw.below(300)), _REACH), target, spec)
        yield Case(source, edit, edit_text(edit, i, part), target, other_edit, other_source)


def _edited(source: Scene, draw: Draw, part: Part, unlike: Scene | None = None) -> tuple[Edit, Scene]:
    """An edit of the source, with another outcome than `unlike`."""
    while True:
        edit = draw_edit(source, draw, part)
        after = apply_edit(edit, source)
        assert after is not None
        if unlike is None or after.meaning != unlike.meaning:
            return edit, after


def _same_edit(edit: Edit, scenes: Iterator[Scene], target: Scene, part: Part) -> Scene:
    """The edit done to the first of the scenes that admits it and does not end up as the target does."""
    for scene in scenes:
        after = apply_edit(edit, scene)
        if after is None or after.meaning in (target.meaning, scene.meaning):
            continue
        if all(allowed(part, thing) for thing in after.things):
            return after
    raise AssertionError(f"no other scene admits {edit}")


def _pool(cases: tuple[Case, ...]) -> list[Scene]:
    scenes = (scene for case in cases for scene in (case.source, case.target, case.other_edit, case.other_source))
    return list(dict.fromkeys(scenes))


def _queries(cases: tuple[Case, ...], medium: str, program: Callable[[Scene], Any]) -> list[Row]:
    ids: dict[str, list[str]] = {}
    for i, scene in enumerate(_pool(cases)):
        ids.setdefault(scene.meaning, []).append(str(i))
    return [
        {
            "id": str(i),
            "scene": str(i),
            "edit": case.edit.kind,
            medium: program(case.source),
            "wish": case.wish,
            "positives": ids[case.target.meaning],
        }
        for i, case in enumerate(cases)
    ]
