"""Hard negatives in Winoground's form: two queries a, b (captions) and two candidates A, B (pictures or clips).

`image_score`: each caption prefers its own picture. `text_score`: each picture prefers its own caption. `group_score`: both.
`pairwise`: the share of the four comparisons that come out right. After Thrush et al., "Winoground" (CVPR 2022).

Ties are expectations over a random order of the four scores, so a constant embedder gets 1/4, 1/4, 1/6 and 1/2; a score
that ignores the query gets exactly 1/2 pairwise and 0 for the group.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import numpy.typing as npt

from unite_bench.ragged import Ragged
from unite_bench.rank.counts import pair_scores
from unite_bench.rank.grid import Similarity
from unite_bench.rank.maxsim import Tokens
from unite_bench.rank.scorer import Vectors
from unite_bench.spec.measures import Measure

Doubles = npt.NDArray[np.float64]

QUARTET_CHANCE = {"text_score": 1 / 4, "image_score": 1 / 4, "group_score": 1 / 6, "pairwise": 1 / 2}


def quartet_values(
    measure: Measure,
    queries: Vectors | Tokens,
    candidates: Vectors | Tokens,
    quartets: Sequence[str],
    qrels: Ragged,
    similarity: Similarity = "cosine",
) -> Doubles:
    """The value of each query's quartet, (queries,): both queries of a quartet carry the same.

    A quartet that is not whole scores 0: cut by a limit, or with a query or candidate that could not be encoded (then a
    positive is missing from `qrels`).
    """
    _, group, sizes = np.unique(np.asarray(quartets), return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    pairs = order[sizes[group[order]] == 2].reshape(-1, 2)  # `--limit` may have cut one in half
    whole = pairs[(qrels.counts[pairs] == 1).all(axis=1)]
    own = qrels.indices[qrels.starts[whole]]
    scores = np.stack(
        [
            pair_scores(queries, candidates, whole[:, row], own[:, column], similarity)
            for row, column in ((0, 0), (0, 1), (1, 0), (1, 1))
        ],
        axis=1,
    )
    values = np.zeros(len(quartets))
    values[whole] = _expected(measure.name, scores)[:, None]
    return values


def _expected(name: str, scores: Doubles) -> Doubles:
    """Mean over the 24 orders in which ties may be broken; `scores` are (quartets, [aA, aB, bA, bB])."""
    total = np.zeros(len(scores))
    for order in permutations(range(4)):

        def above(i: int, j: int, order: tuple[int, ...] = order) -> npt.NDArray[np.bool_]:
            broken = order[i] > order[j]
            return np.asarray((scores[:, i] > scores[:, j]) | ((scores[:, i] == scores[:, j]) & broken))

        a_picks, b_picks, first_picks, second_picks = above(0, 1), above(3, 2), above(0, 2), above(3, 1)
        total += {
            "image_score": a_picks & b_picks,
            "text_score": first_picks & second_picks,
            "group_score": a_picks & b_picks & first_picks & second_picks,
            "pairwise": np.mean([a_picks, b_picks, first_picks, second_picks], axis=0),
        }[name]
    return total / 24
