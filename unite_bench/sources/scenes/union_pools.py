"""One pool with the same scenes as text, image, video and image+text.

A query is a paraphrase that is true of every form of its scene (it tells nothing of motion) with an instruction that
asks for one form: the other forms are right content in the wrong form, the other scenes wrong content in the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import combinations, islice
from typing import Any

from unite_bench.sources.scenes.bases import movings
from unite_bench.sources.scenes.entailment import Truths
from unite_bench.sources.scenes.forms import FORMS, clear_frame, split_fused, union_instruction
from unite_bench.sources.scenes.language import paraphrase, short
from unite_bench.sources.scenes.render import Clip, Still
from unite_bench.sources.scenes.world import Scene

Row = Mapping[str, Any]
PAIRS = tuple(combinations(FORMS, 2))


@lru_cache(maxsize=16)
def _scenes(seed: int, part: str, count: int) -> tuple[tuple[int, Scene], ...]:
    """Base scenes that fit every form: something moves, something stays, and nothing comes, goes or changes."""
    found = enumerate(movings(seed, part))
    fit = ((i, s) for i, s in found if s.motion is not None and not s.events and len(s.things) > 1)
    return tuple(islice(fit, count))


def queries(seed: int, part: str, count: int) -> list[Row]:
    """Every scene is asked for in every form."""
    scenes = _scenes(seed, part, count)
    truths = Truths([scene for _, scene in scenes])
    rows: list[Row] = []
    for i, scene in scenes:
        text = paraphrase(scene, i, part, motion=False)
        fits = [str(scenes[k][0]) for k in truths.true_of(text)]
        rows += [
            {
                "id": f"{form}:{i}",
                "scene": str(i),
                "text": text,
                "instruction": union_instruction(form, i, part),
                "target_modality": form,
                "positives": [f"{form}:{k}" for k in fits],
            }
            for form in FORMS
        ]
    return rows


def pairs(seed: int, part: str, count: int) -> list[Row]:
    """No form is asked for: each query has two forms of its own scene to choose from, both right. `form` is the first."""
    return [
        {
            "id": f"{one}/{other}:{i}",
            "scene": str(i),
            "text": paraphrase(scene, i, part, motion=False),
            "pair": f"{one} above {other}",
            "form": one,
            "both": [f"{one}:{i}", f"{other}:{i}"],
        }
        for i, scene in _scenes(seed, part, count)
        for one, other in PAIRS
    ]


def texts(seed: int, part: str, count: int) -> list[Row]:
    """The scenes as short captions without motion."""
    scenes = _scenes(seed, part, count)
    return [{"id": f"text:{i}", "text": short(scene, i, part, motion=False)} for i, scene in scenes]


def images(seed: int, part: str, count: int) -> list[Row]:
    """The scenes as one frame."""
    return [{"id": f"image:{i}", "image": Still(s, clear_frame(s))} for i, s in _scenes(seed, part, count)]


def videos(seed: int, part: str, count: int) -> list[Row]:
    """The scenes as clips."""
    return [{"id": f"video:{i}", "video": Clip(scene)} for i, scene in _scenes(seed, part, count)]


def fused(seed: int, part: str, count: int) -> list[Row]:
    """The scenes as one frame that lacks a thing, and a text that tells it."""
    rows: list[Row] = []
    for i, scene in _scenes(seed, part, count):
        shown, text = split_fused(scene, i, part)
        rows.append({"id": f"image+text:{i}", "image": Still(shown, clear_frame(scene)), "text": text})
    return rows


_CORPORA: dict[str, Callable[[int, str, int], list[Row]]] = {
    "text": texts,
    "image": images,
    "video": videos,
    "fused": fused,
}
TABLES = {"union-queries": queries, **{f"union-{name}": make for name, make in _CORPORA.items()}}
PREFERENCE_TABLES = {"preference-queries": pairs, **{f"preference-{name}": make for name, make in _CORPORA.items()}}
