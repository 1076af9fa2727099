"""MaxSim against exact fractions and plain loops: many ties, ragged items, every order and block size.

If these fail, published numbers of late interaction models are wrong.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unite_bench.ragged import Ragged
from unite_bench.rank import maxsim
from unite_bench.rank.counts import count, pair_scores
from unite_bench.rank.grid import on_grid, scales
from unite_bench.rank.maxsim import MOST_QUERY_TOKENS, MaxSim, Tokens
from unite_bench.rank.ties import by_descending_name
from unite_bench.rank.top import first, share_within


def fraction_score(query: np.ndarray, candidate: np.ndarray) -> Fraction:
    """MaxSim as the docstring states it, in rational numbers: products and sums are never rounded, the maxima to 2^-40."""
    a, b = (
        [[Fraction(x) for x in row] for row in on_grid(t, scales(t, "cosine")).tolist()] for t in (query, candidate)
    )
    best = (max(sum(x * y for x, y in zip(row, other, strict=True)) for other in b) for row in a)
    return sum((Fraction(round(m * 2**40), 2**40) for m in best), Fraction(0))  # round() halves to even, as rint does


@st.composite
def late(draw: st.DrawFn) -> tuple[Tokens, Tokens, Ragged, Ragged | None]:
    """Tokens from small integers, so that equal scores abound, and one to four of them an item."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, m, dim = draw(st.integers(1, 6)), draw(st.integers(2, 18)), draw(st.integers(1, 4))
    spread = draw(st.sampled_from([1, 2, 40]))

    def item() -> np.ndarray:
        rows = rng.integers(-spread, spread + 1, (int(rng.integers(1, 5)), dim)).astype(np.float32)
        rows[~rows.any(axis=1)] = 1
        return rows

    queries, candidates = Tokens([item() for _ in range(n)]), Tokens([item() for _ in range(m)])
    lists = [sorted(rng.choice(m, size=int(rng.integers(1, m + 1)), replace=False)) for _ in range(n)]
    positives = [list(rng.permutation(pool)[: int(rng.integers(1, 4))]) for pool in lists]
    return queries, candidates, Ragged.of(positives), Ragged.of(lists) if draw(st.booleans()) else None


def slow_counts(scores: list[list[Fraction]], qrels: Ragged, pools: list[list[int]]) -> list[list[int]]:
    """The four counts of every (query, positive), one comparison at a time."""
    rows = []
    for q, own in enumerate(scores):
        for c in qrels[q].tolist():
            rows.append([sum(own[o] > own[c] for o in pools[q]), sum(own[o] == own[c] for o in pools[q])])
            rows[-1] += [sum(own[o] > own[c] for o in qrels[q]), sum(own[o] == own[c] for o in qrels[q])]
    return rows


@given(case=late(), blocks=st.sampled_from([(1, 1), (3, 5), (512, 8192)]), exclude=st.booleans())
@settings(max_examples=60, deadline=None)
def test_counts_and_first_equal_fractions_for_every_block_size(
    case: tuple[Tokens, Tokens, Ragged, Ragged | None], blocks: tuple[int, int], exclude: bool
) -> None:
    queries, candidates, qrels, pools = case
    scores = [[fraction_score(q, c) for c in candidates.of] for q in queries.of]
    lists = [list(range(len(candidates))) if pools is None else pools[q].tolist() for q in range(len(queries))]
    excluded = None
    if exclude:
        out = [[c for c in lists[q] if c % 3 == 0 and c not in qrels[q]] for q in range(len(queries))]
        excluded = Ragged.of(out)
        lists = [[c for c in lists[q] if c not in out[q]] for q in range(len(queries))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maxsim, "QUERY_TOKENS", blocks[0])
        patch.setattr(maxsim, "CANDIDATE_TOKENS", blocks[1])
        found = count(queries, candidates, qrels, pools, excluded, "maxsim")
        places, best = first(queries, candidates, 5, pools, excluded, "maxsim")
    seen = np.stack([found.above, found.tied, found.positives_above, found.positives_tied], axis=1)
    assert seen.tolist() == slow_counts(scores, qrels, lists)
    for q, own in enumerate(scores):
        expected = sorted(lists[q], key=lambda c: (-own[c], c))[:5]
        assert [p for p in places[q].tolist() if p >= 0] == expected
        assert [Fraction(s) for s in best[q, : len(expected)].tolist()] == [own[c] for c in expected]


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_order_of_items_and_of_tokens_changes_not_one_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def items(number: int, most: int) -> list[np.ndarray]:
        return [rng.standard_normal((int(rng.integers(1, most)), 24)).astype(np.float32) for _ in range(number)]

    queries, candidates = items(7, 40), items(30, 9)
    turn, shuffle = rng.permutation(7), rng.permutation(30)
    before = MaxSim(Tokens(queries), Tokens(candidates)).against(np.arange(7), slice(0, 30))
    mixed = [[rng.permutation(side[n]) for n in order] for side, order in ((queries, turn), (candidates, shuffle))]
    after = MaxSim(*map(Tokens, mixed)).against(np.arange(7), slice(0, 30))
    assert before[turn][:, shuffle].tobytes() == after.tobytes()
    rows, columns = np.divmod(rng.permutation(7 * 30), 30)
    pairs = pair_scores(Tokens(queries), Tokens(candidates), rows, columns, "maxsim")
    assert pairs.tobytes() == before[rows, columns].tobytes()


def test_sums_at_the_limit_of_tokens_are_exact() -> None:
    """4,096 query tokens whose maxima use every digit of the grid: the sum equals that of rational numbers."""
    rng = np.random.default_rng(5)
    query = rng.standard_normal((MOST_QUERY_TOKENS, 2)).astype(np.float32)
    candidate = rng.standard_normal((3, 2)).astype(np.float32)
    found = MaxSim(Tokens([query]), Tokens([candidate])).against(np.arange(1), slice(0, 1))[0, 0]
    assert Fraction(float(found)) == fraction_score(query, candidate)
    with pytest.raises(ValueError, match="4097 tokens"):
        MaxSim(Tokens([np.ones((MOST_QUERY_TOKENS + 1, 2))]), Tokens([candidate]))


def test_one_token_each_ranks_as_cosine_does() -> None:
    rng = np.random.default_rng(2)
    queries, candidates = (rng.integers(-3, 4, (n, 5)).astype(np.float32) + 0.5 for n in (20, 300))
    qrels = Ragged.of([[int(c)] for c in rng.integers(300, size=20)])
    single = count(queries, candidates, qrels)
    late = count(Tokens(list(queries[:, None])), Tokens(list(candidates[:, None])), qrels, similarity="maxsim")
    assert (single.above.tolist(), single.tied.tolist()) == (late.above.tolist(), late.tied.tolist())


def test_share_of_a_form_over_tokens() -> None:
    one, two, both = ([[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]])
    candidates = Tokens([np.array(rows) for rows in (one, two, both, both)])
    wanted = np.array([[True, True, True, False]])
    assert share_within(Tokens([np.array(both)]), candidates, wanted, 1, similarity="maxsim")[0] == 0.5
    assert share_within(Tokens([np.array(both)]), candidates, wanted, 3, similarity="maxsim")[0] == 2 / 3


def test_tokens_and_single_vectors_are_never_mixed_up() -> None:
    rows = np.ones((2, 3), dtype=np.float32)
    tokens = Tokens([rows, rows])
    for given_, similarity in ((rows, "maxsim"), (tokens, "cosine")):
        with pytest.raises(ValueError, match="Tokens with Tokens"):
            count(given_, given_, Ragged.of([[0], [1]]), similarity=similarity)  # type: ignore[arg-type]


@given(case=late(), blocks=st.sampled_from([(1, 1), (3, 5), (512, 8192)]))
@settings(max_examples=25, deadline=None)
def test_ties_by_descending_name_are_those_of_a_sort(
    case: tuple[Tokens, Tokens, Ragged, Ragged | None], blocks: tuple[int, int]
) -> None:
    """`compat: trec` over tokens: the place of each positive in a list sorted by score, then by the greater name."""
    queries, candidates, qrels, pools = case
    names = [f"{(7 * n) % len(candidates):02}-{n}" for n in range(len(candidates))]
    none = Ragged.of([[] for _ in range(len(queries))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maxsim, "QUERY_TOKENS", blocks[0])
        patch.setattr(maxsim, "CANDIDATE_TOKENS", blocks[1])
        counts = count(queries, candidates, qrels, pools, None, "maxsim")
        found = by_descending_name(counts, queries, candidates, names, pools, none, "maxsim")
    expected = []
    for q, query in enumerate(queries.of):
        pool = range(len(candidates)) if pools is None else pools[q].tolist()
        own = {c: fraction_score(query, candidates.of[c]) for c in pool}
        order = sorted(sorted(pool, key=lambda c: names[c], reverse=True), key=lambda c: -own[c])
        expected += [order.index(c) for c in qrels[q].tolist()]
    assert found.above.tolist() == expected and set(found.tied.tolist()) <= {1}
