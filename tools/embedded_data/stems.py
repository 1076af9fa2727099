"""Which words share a stem, for the rules against leaks between a query and its answer."""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"[a-z0-9]+")
ENDING = re.compile(r"(?<=...)(?:s|es|ed|ing|ly)$")


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as one string."""
    return frozenset(text.split())


def words(text: str) -> list[str]:
    """Lower-case words without accents, split at everything that is neither letter nor digit."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return WORD.findall(plain)


def share_stem(first: str, second: str) -> bool:
    """Whether two words may come from one stem.

    Four letters in front and all but three letters of the shorter word must agree ("carrier" and "carry"), or one word
    must end with the other ("rawhide" and "hide"). It errs towards yes ("state" and "station"): a pair that is left
    out costs less than a leak.
    """
    first, second = sorted((ENDING.sub("", first), ENDING.sub("", second)), key=len)
    if first == second:
        return True
    shorter = len(first)
    if shorter >= 4 and second.endswith(first):
        return True
    common = next((i for i in range(shorter) if first[i] != second[i]), shorter)
    if shorter <= 3:
        return common == shorter and abs(len(first) - len(second)) <= 1
    return common >= max(4, shorter - 3)


def leaks(query: str, answer: str, ignore: frozenset[str] = frozenset()) -> bool:
    """Whether any word of the answer shares a stem with a word of the query."""
    wanted = [word for word in words(query) if word not in ignore]
    return any(share_stem(word, other) for other in set(words(answer)) for word in wanted)
