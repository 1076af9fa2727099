"""Keys of rows and parts, as pairs of 64-bit words: what is equal, and which of the equal comes first.

Ten million keys are 160 MB. Two different contents share a key with a probability of about n^2 / 2^129.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]  # (n, 2)
Ints = npt.NDArray[np.int64]
WORDS = 2
_FIRST = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)  # odd: multiplying loses nothing
_SECOND = np.array([0xD6E8FEB86659FD93, 0xA0761D6478BD642F], dtype=np.uint64)


def keys_of(digests: Sequence[str]) -> Keys:
    """The first 128 bits of hex digests, (n, 2)."""
    raw = bytes.fromhex("".join(digest[: 16 * WORDS] for digest in digests))
    return np.frombuffer(raw, dtype=">u8").reshape(-1, WORDS).astype(np.uint64)


def text_keys(texts: Sequence[str]) -> Keys:
    """Keys of texts by their bytes, (n, 2)."""
    raw = b"".join(hashlib.blake2b(text.encode(), digest_size=8 * WORDS).digest() for text in texts)
    return np.frombuffer(raw, dtype=">u8").reshape(-1, WORDS).astype(np.uint64)


def joined(first: Keys, second: Keys) -> Keys:
    """One key for two, in this order, (n, 2); the words are those of a cryptographic digest, so sums stay apart."""
    return first * _FIRST + second * _SECOND


def leaders(keys: npt.NDArray[np.uint64]) -> Ints:
    """For each row of `keys` (n, words) the first row that equals it, (n,)."""
    if len(keys) == 0:
        return np.zeros(0, dtype=np.int64)
    order = np.lexsort(keys.T[::-1])  # stable, so the first of equal rows stays first
    fresh = np.ones(len(keys), dtype=bool)
    fresh[1:] = False
    for word in range(keys.shape[1]):
        column = keys[order, word]
        fresh[1:] |= column[1:] != column[:-1]
    starts = np.flatnonzero(fresh)
    found = np.empty(len(keys), dtype=np.int64)
    found[order] = np.repeat(order[starts], np.diff(np.append(starts, len(keys))))
    return found


def mixed(values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """64-bit integers with every bit spread over all others (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    x = values.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
