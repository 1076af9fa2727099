"""The base scenes that all tables of a seed start from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count as counted

from unite_bench.sources.scenes.sample import sample_moving, sample_still
from unite_bench.sources.scenes.world import Scene

# Larger than what one task looks through (`edit_pools`), or every look would begin anew.
_sample_still = lru_cache(maxsize=16384)(sample_still)
_sample_moving = lru_cache(maxsize=16384)(sample_moving)


def still_base(seed: int, part: str, count: int) -> list[Scene]:
    """The first `count` still scenes of a seed."""
    return [_sample_still(seed, i, part) for i in range(count)]


def moving_base(seed: int, part: str, count: int) -> list[Scene]:
    """The first `count` moving scenes of a seed."""
    return [_sample_moving(seed, i, part) for i in range(count)]


def stills(seed: int, part: str, start: int = 0) -> Iterator[Scene]:
    """Still scenes without end."""
    return (_sample_still(seed, i, part) for i in counted(start))


def movings(seed: int, part: str, start: int = 0) -> Iterator[Scene]:
    """Moving scenes without end."""
    return (_sample_moving(seed, i, part) for i in counted(start))
