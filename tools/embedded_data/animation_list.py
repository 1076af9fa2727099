"""The allow-list of animations, and the sentences that describe them.

Every screen saver of the package was judged. Left out are those that load pictures of the user, show text (it can be
the machine's name), maps, trade dress of products, films and games, the chess pieces (GPL), Escher's pictures, and the
repair of screens; then, after a look at every clip, those too dark, too still or too close to another.

The sentences in ``animation_texts.txt`` follow the package's own descriptions and the recorded pictures; names of
persons and programs, years, and words that share a stem with the saver's own name are kept out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TEXTS = Path(__file__).with_name("animation_texts.txt")


@dataclass(frozen=True)
class Animation:
    """A saver with its short text and, for some, a long one of fifteen words or more (else empty)."""

    saver: str
    short: str
    long: str


def read_animations() -> list[Animation]:
    """The allowed animations: one line each, "saver | short text" or "saver | short text | long text"."""
    animations = []
    for line in TEXTS.read_text(encoding="utf-8").splitlines():
        saver, short, long = (part.strip() for part in f"{line}|".split("|")[:3])
        animations.append(Animation(saver, short, long))
    return animations
