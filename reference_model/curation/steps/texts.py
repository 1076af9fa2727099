"""Near texts: shingles of the normalised text, their Jaccard similarity, and MinHash signatures that find candidates.

MinHash: Broder, "On the resemblance and containment of documents" (1997); bands: Leskovec et al., "Mining of Massive
Datasets", 3.4. The threshold holds for the exact Jaccard similarity; the signature decides only what is compared.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import regex

from reference_model.curation.steps.bands import Bands, folded, rows_of_a_band
from reference_model.curation.steps.keys import mixed

SHINGLE = 5  # characters
VALUES, MOST_ROWS = 60, 6  # of a signature, and of a band
_WORD = regex.compile(r"[\w\p{M}\p{S}#%&@]+")  # marks are vowels of many scripts; C++, C# and C are three things
_MULTIPLIER = np.uint64(0x100000001B3)
_SEEDS = mixed(np.arange(1, VALUES + 1)) | np.uint64(1)


def normalised(text: str) -> str:
    """Letters with their marks, digits and symbols in lower case, one space between words, without punctuation, in Unicode's
    form NFC; a text of none of these stays as it is."""
    whole = unicodedata.normalize("NFC", text.casefold())
    return " ".join(_WORD.findall(whole)) or whole.strip()


def shingles(text: str) -> frozenset[str]:
    """Every run of `SHINGLE` characters of a normalised text; a shorter text is its own only shingle."""
    return frozenset(text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1)))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared shingles over all shingles."""
    both = len(first & second)
    return both / (len(first) + len(second) - both)


def rows_at(threshold: float) -> tuple[int, float]:
    """Rows of a band for a similarity, and the share of pairs just as similar that share a band: at 0.9 bands of 5, which
    0.99998 share."""
    return rows_of_a_band(threshold, VALUES, MOST_ROWS)


def bands_of(texts: Sequence[str], rows: int) -> Bands:
    """MinHash bands of normalised texts, (n, VALUES / rows); each depends on its own text alone."""
    hashes, starts = _hashes(texts)
    signature = np.empty((len(texts), VALUES), dtype=np.uint64)
    for number, seed in enumerate(_SEEDS):
        signature[:, number] = np.minimum.reduceat((hashes * seed) >> np.uint64(20), starts) if len(texts) else 0
    return folded(signature, rows)


def _hashes(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """One hash a shingle, text after text, and where each text starts."""
    padded = [text.ljust(SHINGLE, "\0") for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    rolled = np.zeros(max(0, len(codes) - SHINGLE + 1), dtype=np.uint64)
    for place in range(SHINGLE):
        rolled = rolled * _MULTIPLIER + codes[place : place + len(rolled)]
    ends = np.cumsum(lengths)
    inside = np.ones(len(codes), dtype=bool)
    for place in range(1, SHINGLE):
        inside[ends - place] = False  # a shingle that would reach into the next text
    counts = lengths - SHINGLE + 1
    return mixed(rolled[inside[: len(rolled)]]), np.cumsum(counts) - counts
