"""Near texts: shingles of the normalised text, their Jaccard similarity, and MinHash signatures that find candidates.

MinHash: Broder, "On the resemblance and containment of documents" (1997); bands: Leskovec et al., "Mining of Massive
Datasets", 3.4. The threshold holds for the exact Jaccard similarity; the signature decides only what is compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reference_model.curation.steps.bands import Bands, folded
from reference_model.curation.steps.keys import mixed

SHINGLE = 5  # characters
BANDS, ROWS = 12, 5  # a pair of similarity 0.9 shares a band with probability 1 - (1 - 0.9^5)^12 = 0.99998
_WORD = re.compile(r"\w+")
_MULTIPLIER = np.uint64(0x100000001B3)
_SEEDS = mixed(np.arange(1, BANDS * ROWS + 1)) | np.uint64(1)


def normalised(text: str) -> str:
    """Letters, digits and underscores in lower case, one space between words; a text of none of these stays as it is."""
    return " ".join(_WORD.findall(text.casefold())) or text.strip()


def shingles(text: str) -> frozenset[str]:
    """Every run of `SHINGLE` characters of a normalised text; a shorter text is its own only shingle."""
    return frozenset(text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1)))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Shared shingles over all shingles."""
    both = len(first & second)
    return both / (len(first) + len(second) - both)


def bands_of(texts: Sequence[str]) -> Bands:
    """MinHash bands of normalised texts, (n, BANDS); each depends on its own text alone."""
    hashes, starts = _hashes(texts)
    signature = np.empty((len(texts), BANDS * ROWS), dtype=np.uint64)
    for number, seed in enumerate(_SEEDS):
        signature[:, number] = np.minimum.reduceat((hashes * seed) >> np.uint64(20), starts) if len(texts) else 0
    return folded(signature, ROWS)


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
