"""Randomness that is the same on every machine and under every numpy release.

numpy promises stable raw output of its bit generators, not of `Generator.choice` and its kin. So a `Draw` takes raw
64-bit words of Philox, keyed by what is drawn, and turns them into choices by integer arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
_WORDS = 32
_INDEX_BITS, _SEED_BITS = 48, 40


class Draw:
    """A stream of choices keyed by (version, stream, part code, seed, index); equal keys give equal streams."""

    def __init__(self, version: int, stream: int, part: int, seed: int, index: int):
        if not (0 <= index < 1 << _INDEX_BITS and 0 <= seed < 1 << _SEED_BITS):
            raise ValueError(f"seed {seed} or index {index} is out of range")
        high = (version << 56) | (part << 48) | seed
        low = (stream << _INDEX_BITS) | index
        self._bits = np.random.Philox(key=np.array([high, low], dtype=np.uint64))
        self._words: list[int] = []

    def below(self, n: int) -> int:
        """A number in [0, n)."""
        if not self._words:
            self._words = self._bits.random_raw(_WORDS).tolist()
        return (self._words.pop() * n) >> 64

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent

    def choice(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def sample(self, values: Sequence[T], k: int) -> list[T]:
        """k different members in random order (Fisher and Yates)."""
        left = list(values)
        return [left.pop(self.below(len(left))) for _ in range(k)]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        return self.sample(values, len(values))
