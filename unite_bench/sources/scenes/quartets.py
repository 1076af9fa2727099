"""The tables of the quartet tasks: for each kind, rows for its captions and rows for its pictures or clips.

Quartet number i of a kind follows from (seed, part, i) alone, so a task that takes fewer takes the first of them, and
shares their pixels and texts with the larger one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

from unite_bench.sources.scenes import composition, recognition
from unite_bench.sources.scenes.quartet import Place, Quartet, Sides, told, turned
from unite_bench.sources.scenes.render import Clip, Still

Row = Mapping[str, Any]
_TURN = 60  # stream of the draw


@dataclass(frozen=True)
class Kind:
    """A kind of quartet. `temporal` ones are clips, and are scored again on one frame and on shuffled frames."""

    family: Literal["composition", "recognition"]
    medium: Literal["image", "video"]
    make: Callable[[Place], Sides | Quartet]

    @property
    def temporal(self) -> bool:
        return self.medium == "video"


KINDS: dict[str, Kind] = {
    "colour-binding": Kind("composition", "image", composition.colour_binding),
    "size-binding": Kind("composition", "image", composition.size_binding),
    "relation": Kind("composition", "image", composition.relation),
    "who-moves": Kind("composition", "video", composition.who_moves),
    "order": Kind("composition", "video", composition.order_of_events),
    "direction": Kind("composition", "video", composition.direction),
    "colour": Kind("recognition", "image", recognition.colour),
    "shape": Kind("recognition", "image", recognition.shape),
    "count": Kind("recognition", "image", recognition.count),
    "speed": Kind("recognition", "video", recognition.speed),
}


def quartets(kind: str, seed: int, part: str, count: int, start: int = 0) -> Iterator[Quartet]:
    """Quartets `start` to `start + count` of a kind."""
    for index in range(start, start + count):
        at = Place(seed, index, part)
        made = KINDS[kind].make(at)
        yield turned(told(made, at) if isinstance(made, Sides) else made, at.draw(_TURN + list(KINDS).index(kind)))


@lru_cache(maxsize=64)
def _held(kind: str, seed: int, part: str, count: int) -> tuple[Quartet, ...]:
    return tuple(quartets(kind, seed, part, count))


def captions(kind: str, seed: int, part: str, count: int) -> list[Row]:
    """Two rows a quartet; `right` is the candidate of which the caption is true, `both` the pool."""
    return [
        {
            "id": f"{n}{'ab'[k]}",
            "quartet": str(n),
            "caption": quartet.captions[k],
            "paraphrase": quartet.paraphrases[k],
            "slice": quartet.slice,
            "right": f"{n}{'AB'[k]}",
            "both": [f"{n}A", f"{n}B"],
        }
        for n, quartet in enumerate(_held(kind, seed, part, count))
        for k in (0, 1)
    ]


def candidates(kind: str, seed: int, part: str, count: int) -> list[Row]:
    """Two rows a quartet with its picture or clip, in a column named after the medium; `wordings` is the pool of `texts`
    in which both true wordings, `true_wordings`, are to stand above the false one."""
    medium = KINDS[kind].medium
    program: Callable[[Any], Still | Clip] = Still if medium == "image" else Clip
    return [
        {
            "id": f"{n}{'AB'[k]}",
            "quartet": str(n),
            "slice": quartet.slice,
            medium: program(quartet.scenes[k]),
            "true_wordings": [f"{n}{'ab'[k]}", f"{n}{'ab'[k]} reworded"],
            "wordings": [f"{n}{'ab'[k]}", f"{n}{'ab'[k]} reworded", f"{n}{'ab'[1 - k]}"],
        }
        for n, quartet in enumerate(_held(kind, seed, part, count))
        for k in (0, 1)
    ]


def texts(kind: str, seed: int, part: str, count: int) -> list[Row]:
    """Four rows a quartet: both captions, each in both wordings."""
    return [
        {"id": f"{n}{'ab'[k]}{suffix}", "text": said[k]}
        for n, quartet in enumerate(_held(kind, seed, part, count))
        for k in (0, 1)
        for suffix, said in (("", quartet.captions), (" reworded", quartet.paraphrases))
    ]


def tables() -> dict[str, Callable[[int, str, int], list[Row]]]:
    """Every table by name: `quartets-KIND`, `quartets-KIND-captions` and `quartets-KIND-texts`."""
    found: dict[str, Callable[[int, str, int], list[Row]]] = {}
    for kind in KINDS:
        found[f"quartets-{kind}"] = partial(candidates, kind)
        found[f"quartets-{kind}-captions"] = partial(captions, kind)
        found[f"quartets-{kind}-texts"] = partial(texts, kind)
    return found
