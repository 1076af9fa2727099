"""What contrastive training learns from: pairs of items, in named kinds that are drawn with declared weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unite_bench.items import Item

BITS = {"text": 1, "image": 2, "video": 4}


@dataclass(frozen=True)
class Pair:
    """A query, its target, and explicit negatives of that query.

    `unmasked` rows compete with candidates of every modality: the only ones from which the order between modalities
    can be learned, because the masked loss leaves it free.
    """

    query: Item
    target: Item
    negatives: tuple[Item, ...] = ()
    unmasked: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of pair. `both` trains the direction from target to query as well."""

    name: str
    weight: float
    draw: Callable[[np.random.Generator], Pair]
    both: bool = False


def modality_bits(item: Item) -> int:
    """T = 1, I = 2, V = 4, and their sums: the paper's modality sets."""
    return sum(BITS[kind] for kind in {part.kind for part in item.parts})


def pick_kinds(kinds: Sequence[Kind], count: int, rng: np.random.Generator) -> list[Kind]:
    """`count` kinds (or all, if there are fewer), without repetition, by weight."""
    weights = np.array([kind.weight for kind in kinds])
    size = min(count, len(kinds))
    return [kinds[i] for i in rng.choice(len(kinds), size=size, replace=False, p=weights / weights.sum())]


def draw_batch(kinds: Sequence[Kind], size: int, rng: np.random.Generator) -> list[Pair]:
    """`size` pairs of these kinds in equal shares."""
    return [kinds[i % len(kinds)].draw(rng) for i in range(size)]
