"""From an item to the words of its prompt, by a template that is data. Pure: no tokenizer, no media, no torch.

A template is plain text with places `{media}`, `{instruction}`, `{text}` and `{modalities}`. `{name|X}` puts X between the
value and what follows it in the same unbroken row of places, if both are there: `{media| }{instruction| }{text}` joins by
single spaces whatever is there. No other brace has a meaning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unite_bench.items import Item

Origin = Literal["template", "media", "instruction", "text", "modalities"]
PLACE = re.compile(r"\{(media|instruction|text|modalities)(?:\|([^{}]*))?\}")


@dataclass(frozen=True)
class Segment:
    """A stretch of the prompt and where it comes from. Only `text` may be cut."""

    text: str
    origin: Origin


def placeholders(template: str) -> tuple[str, ...]:
    """Names of the places in a template, in order."""
    return tuple(found[1] for found in PLACE.finditer(template))


def rendered(template: str, media: Sequence[str], item: Item, instruction: str, words: str) -> tuple[Segment, ...]:
    """The prompt as segments. `media` stand for the item's media, in order; `words` for its modalities."""
    values: Mapping[str, str] = {
        "media": "".join(media),
        "instruction": instruction,
        "text": item.text or "",
        "modalities": words,
    }
    segments: list[Segment] = []
    end = 0
    for place in PLACE.finditer(template):
        segments.append(Segment(template[end : place.start()], "template"))
        name: Origin = place[1]  # type: ignore[assignment]  # one of the names in the pattern
        segments.append(Segment(values[name], name))
        if place[2] and values[name] and any(values[later] for later in _following(template, place.end())):
            segments.append(Segment(place[2], "template"))
        end = place.end()
    segments.append(Segment(template[end:], "template"))
    return tuple(segment for segment in segments if segment.text)


def modality_words(item: Item, instruction: str, names: Mapping[Any, str]) -> str:
    """What the prompt calls the item's parts, in the order of `names`, joined by `and`; an instruction is a text."""
    kinds = {part.kind for part in item.parts} | ({"text"} if instruction else set())
    return " and ".join(word for kind, word in names.items() if kind in kinds)


def punctuated(instruction: str) -> str:
    """The instruction with a full stop at its end, unless it ends with punctuation (Unicode category P)."""
    text = instruction.strip()
    return f"{text}." if text and not unicodedata.category(text[-1]).startswith("P") else text


def _following(template: str, start: int) -> list[str]:
    """Names of the places that stand one right after another from `start` on."""
    names = []
    while found := PLACE.match(template, start):
        names.append(found[1])
        start = found.end()
    return names
