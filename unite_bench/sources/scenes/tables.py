"""The tables of the scenes tasks: base scenes in every form, and the queries and pools made from them.

Tasks share one corpus per medium: whatever a table is made of starts from the same base scenes, so that a program that
serves several tasks has one digest and is encoded once. What is relevant is decided by the entailment checker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from unite_bench.errors import UsageError
from unite_bench.sources.scenes import aspect_pools, edit_pools, fused_pools, quartets, union_pools
from unite_bench.sources.scenes.bases import moving_base, still_base
from unite_bench.sources.scenes.entailment import Truths
from unite_bench.sources.scenes.forms import FORMS
from unite_bench.sources.scenes.language import long, paraphrase, short
from unite_bench.sources.scenes.questions import ANSWERS, Question, questions
from unite_bench.sources.scenes.render import Clip, Still
from unite_bench.sources.scenes.world import Scene, part_of
from unite_bench.sources.tables import Table

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """What a task asks for: at most `count` queries. All tables of a task take the same request."""

    seed: int
    part: str
    count: int

    def units(self, queries: int) -> int:
        """How many scenes, quartets and the like there are, where each of them makes that many queries."""
        return max(1, self.count // queries)


@lru_cache(maxsize=64)
def table(name: str, *, seed: int, part: str, count: int) -> Table:
    """A table by name. Raises `UsageError` for an unknown name or part, or a seed of the other side."""
    part_of(part, seed)
    if name not in _TABLES:
        raise UsageError(f"scenes: unknown table {name!r}; there are {', '.join(_TABLES)}")
    rows = _TABLES[name](Request(seed, part, count))
    return Table(f"scenes/{name}", tuple(rows[0]), rows)


def _base(request: Request, scenes: Sequence[Scene], medium: str, program: Callable[[Scene], Any]) -> list[Row]:
    """Rows of base scenes with their texts, and what is true of what, both ways round."""
    told = [(i, request.part) for i in range(len(scenes))]
    shorts = [short(scene, *how) for scene, how in zip(scenes, told, strict=True)]
    longs = [long(scene, *how) for scene, how in zip(scenes, told, strict=True)]
    truths = Truths(scenes)
    short_true_of, long_true_of = ([truths.true_of(text) for text in texts] for texts in (shorts, longs))
    true_shorts, true_longs = _turned(short_true_of), _turned(long_true_of)
    return [
        {
            "id": str(i),
            "scene": str(i),
            "things": str(len(scene.things)),
            "kind": kind_of(scene),
            medium: program(scene),
            "short": shorts[i],
            "paraphrase": paraphrase(scene, i, request.part),
            "long": longs[i],
            "short_true_of": list(map(str, short_true_of[i])),
            "long_true_of": list(map(str, long_true_of[i])),
            "true_shorts": list(map(str, true_shorts[i])),
            "true_longs": list(map(str, true_longs[i])),
        }
        for i, scene in enumerate(scenes)
    ]


def kind_of(scene: Scene) -> str:
    """What happens in a scene, for slices: `still`, a path, or the first event."""
    if scene.motion is not None:
        return scene.motion.path
    return scene.events[0].kind if scene.events else "still"


def _turned(true_of: Sequence[Sequence[int]]) -> list[list[int]]:
    """From the scenes of each text to the texts of each scene."""
    texts: list[list[int]] = [[] for _ in true_of]
    for text, scenes in enumerate(true_of):
        for scene in scenes:
            texts[scene].append(text)
    return texts


def _still(request: Request) -> list[Row]:
    return _base(request, still_base(request.seed, request.part, request.count), "image", Still)


def _moving(request: Request) -> list[Row]:
    return _base(request, moving_base(request.seed, request.part, request.count), "video", Clip)


def _questions(request: Request) -> list[Row]:
    """One question a base scene, chosen so that types, and answers within a type, come as evenly as they can."""
    asked: dict[str, int] = dict.fromkeys(ANSWERS, 0)
    given = {(kind, answer): 0 for kind, answers in ANSWERS.items() for answer in answers}

    def burden(question: Question) -> tuple[int, int, int]:
        answers = ANSWERS[question.type]
        here = given[question.type, question.answer] * len(answers)
        return max(here, asked[question.type]), here, asked[question.type]

    rows: list[Row] = []
    for i, scene in enumerate(still_base(request.seed, request.part, request.count)):
        question = min(questions(scene), key=burden)
        asked[question.type] += 1
        given[question.type, question.answer] += 1
        rows.append(
            {
                "id": str(i),
                "scene": str(i),
                "type": question.type,
                "image": Still(scene),
                "question": question.text(i, request.part),
                "answer": f"{question.type}:{question.answer}",
                "answers": [f"{question.type}:{answer}" for answer in ANSWERS[question.type]],
            }
        )
    return rows


def _answers(request: Request) -> list[Row]:
    """Every answer of every type; the same for all seeds."""
    return [{"id": f"{kind}:{text}", "text": text} for kind, texts in ANSWERS.items() for text in texts]


def _made(make: Callable[[int, str, int], list[Row]], queries: int = 1) -> Callable[[Request], list[Row]]:
    return lambda request: make(request.seed, request.part, request.units(queries))


_TABLES: dict[str, Callable[[Request], list[Row]]] = {
    "still": _still,
    "moving": _moving,
    "questions": _questions,
    "answers": _answers,
    "image-edits": _made(edit_pools.image_queries),
    "edited-images": _made(edit_pools.image_candidates),
    "video-edits": _made(edit_pools.video_queries),
    "edited-videos": _made(edit_pools.video_candidates),
    "fused-queries": _made(fused_pools.queries),
    "fused": _made(fused_pools.candidates),
    **{name: _made(make, len(FORMS)) for name, make in union_pools.TABLES.items()},
    **{name: _made(make, len(union_pools.PAIRS)) for name, make in union_pools.PREFERENCE_TABLES.items()},
    **{name: _made(make, aspect_pools.QUERIES) for name, make in aspect_pools.TABLES.items()},
    **{name: _made(make, 2) for name, make in quartets.tables().items()},
}
