"""The words of scenes captions as attributes, read without any grammar: a lexicon of its own for the shortcuts."""

from __future__ import annotations

import re
from collections import Counter

COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
SHAPES = ("circle", "square", "triangle", "star", "cross", "heart", "diamond", "moon")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_SAME = {
    "violet": "purple",
    "disc": "circle",
    "box": "square",
    "plus": "cross",
    "crescent": "moon",
    "little": "small",
    "big": "large",
    "filled": "solid",
    "hollow": "outlined",
    "stripy": "striped",
}
_PLURALS = {word + ("es" if word[-1] in "sx" else "s"): word for word in (*SHAPES, "disc", "box", "plus", "crescent")}
ATTRIBUTES = (*COLOURS, *SHAPES, "small", "large", "solid", "outlined", "striped", *NUMBERS)
_KNOWN = frozenset(ATTRIBUTES)


def words(text: str) -> list[str]:
    """Lower-case words in order, synonyms and plurals made one."""
    found = []
    for word in re.findall(r"[a-z-]+", text.lower()):
        single = _PLURALS.get(word, word)
        found.append(_SAME.get(single, single))
    return found


def attributes(text: str) -> Counter[str]:
    """How often each attribute is named."""
    return Counter(word for word in words(text) if word in _KNOWN)
