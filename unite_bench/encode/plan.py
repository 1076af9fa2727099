"""Which batches to make: a pure function of the missing items, their costs and the budget."""

from __future__ import annotations

from collections.abc import Sequence

BUDGET = 8192.0  # relative cost of one batch, about its number of tokens
MOST_ITEMS = 64


def plan(
    keys: Sequence[str], modalities: Sequence[str], costs: Sequence[float], budget: float = BUDGET
) -> list[list[int]]:
    """Positions grouped into batches: one modality a batch, the most expensive first, of about `budget` cost.

    Items of like cost stand together (less padding), the largest batch comes first (running out of memory shows at
    once), and ties are broken by key, so that the order in which items arrive changes nothing.
    """
    order = sorted(range(len(keys)), key=lambda i: (modalities[i], -costs[i], keys[i]))
    batches: list[list[int]] = []
    spent = 0.0
    for i in order:
        fits = batches and modalities[batches[-1][0]] == modalities[i] and len(batches[-1]) < MOST_ITEMS
        if not fits or spent + costs[i] > budget:
            batches.append([])
            spent = 0.0
        batches[-1].append(i)
        spent += costs[i]
    return batches
