"""From an item to its prompt, as a model file declares it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from unite_bench.embedders.decoders.model_file import Prompt
from unite_bench.embedders.decoders.template import Segment, modality_words, punctuated, rendered
from unite_bench.items import Item, Role


def segments_of(prompt: Prompt, item: Item, role: Role, media: Sequence[str]) -> tuple[Segment, ...]:
    """The prompt of an item in a role, as a model file declares it; `media` are what stands for each of its media."""
    turn: Any = prompt.query if role == "query" else prompt.candidate
    given = item.instruction or turn.instruction or ""
    instruction = punctuated(given) if prompt.punctuated else given
    words = modality_words(item, item.instruction or "", prompt.names) if prompt.names else ""
    return rendered(turn.template, media, item, instruction, words)
