"""Ranks and measures against slow, independent definitions: every order of the tied, plain sorting, pytrec_eval.

If these fail, published numbers are wrong.
"""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unite_bench.metrics.measures import per_query
from unite_bench.ragged import Ragged
from unite_bench.rank import counts as counting
from unite_bench.rank import lists as in_lists
from unite_bench.rank import scorer
from unite_bench.rank.counts import Counts, count, if_all_tied
from unite_bench.rank.grid import Similarity, on_grid, scales
from unite_bench.rank.top import first, share_within
from unite_bench.spec.measures import parse_measure

# SHA-256 of the counts in test_thread_count_changes_no_bit
COUNTS_OF_400_BY_3000 = "cdf785fc1a7f928a1b57595552cdcff0dee52921c7560f22cb2570ae90d38e58"
MEASURES = [
    *("hit@1", "hit@3", "recall@2", "precision@3", "precision@9", "mrr", "map@3", "map@9", "ndcg@3", "ndcg_exp@4"),
    "all_first",
]


def measure_of_order(name: str, ranking: Sequence[int], grades: dict[int, float]) -> float:
    """A measure of one strict ranking, written from its definition."""
    base, _, cutoff = name.partition("@")
    k = int(cutoff) if cutoff else len(ranking)
    hits = [place for place, c in enumerate(ranking[:k], start=1) if c in grades]
    if base == "hit":
        return float(bool(hits))
    if base == "recall":
        return len(hits) / len(grades)
    if base == "precision":
        return len(hits) / k
    if base == "mrr":
        return 1 / hits[0]
    if base == "all_first":
        return float(set(ranking[: len(grades)]) == set(grades))
    if base == "map":
        return sum(n / place for n, place in enumerate(hits, start=1)) / len(grades)
    gain = (lambda g: g) if base == "ndcg" else (lambda g: 2**g - 1)
    earned = sum(gain(grades[c]) / math.log2(p + 1) for p, c in enumerate(ranking[:k], start=1) if c in grades)
    best = sorted((gain(g) for g in grades.values()), reverse=True)[:k]
    return earned / sum(g / math.log2(p + 1) for p, g in enumerate(best, start=1))


def mean_over_orders(name: str, scores: Sequence[int], grades: dict[int, float]) -> float:
    """The mean of a measure over every ranking that the scores allow."""
    levels = [[c for c, s in enumerate(scores) if s == level] for level in sorted(set(scores), reverse=True)]
    values = [
        measure_of_order(name, [c for group in arrangement for c in group], grades)
        for arrangement in itertools.product(*(itertools.permutations(level) for level in levels))
    ]
    return sum(values) / len(values)


def counts_by_definition(scores: Sequence[int], grades: dict[int, float]) -> Counts:
    """The four counts of one query, one comparison at a time."""
    columns: list[list[int]] = [[], [], [], []]
    for c in grades:
        columns[0].append(sum(s > scores[c] for s in scores))
        columns[1].append(sum(s == scores[c] for s in scores))
        columns[2].append(sum(scores[o] > scores[c] for o in grades))
        columns[3].append(sum(scores[o] == scores[c] for o in grades))
    qrels = Ragged.of([list(grades)], [list(grades.values())])
    return Counts(qrels, qrels, *(np.array(c) for c in columns), np.array([len(scores)]))


@st.composite
def tied_pools(draw: st.DrawFn) -> tuple[list[int], dict[int, float]]:
    scores = draw(st.lists(st.integers(0, 2), min_size=2, max_size=7))
    chosen = draw(st.sets(st.integers(0, len(scores) - 1), min_size=1, max_size=len(scores)))
    return scores, {c: float(draw(st.integers(1, 3))) for c in sorted(chosen)}


@pytest.mark.parametrize("name", MEASURES)
@given(pool=tied_pools())
@settings(max_examples=40, deadline=None)
def test_closed_form_equals_the_mean_over_every_order(name: str, pool: tuple[list[int], dict[int, float]]) -> None:
    scores, grades = pool
    closed = per_query(parse_measure(name), counts_by_definition(scores, grades))[0]
    assert closed == pytest.approx(mean_over_orders(name, scores, grades), abs=1e-12)


@given(pool=tied_pools())
@settings(max_examples=60, deadline=None)
def test_expected_first_rank_equals_the_mean_over_every_order(pool: tuple[list[int], dict[int, float]]) -> None:
    scores, grades = pool
    closed = per_query(parse_measure("median_rank"), counts_by_definition(scores, grades))[0]
    levels = [[c for c, s in enumerate(scores) if s == level] for level in sorted(set(scores), reverse=True)]
    firsts = [
        next(p for p, c in enumerate((c for g in order for c in g), start=1) if c in grades)
        for order in itertools.product(*(itertools.permutations(level) for level in levels))
    ]
    assert closed == pytest.approx(sum(firsts) / len(firsts), abs=1e-12)


@pytest.mark.parametrize(("pool", "positives"), [(500, 1), (500, 7), (40, 39), (1000, 250)])
def test_chance_in_large_pools_is_hypergeometric(pool: int, positives: int) -> None:
    """Chance from sums over the hypergeometric distribution (exact integers), not from the code under test."""
    qrels = Ragged.of([range(positives)])
    tied = if_all_tied(qrels, np.array([pool]))

    def value(name: str) -> float:
        return float(per_query(parse_measure(name), tied)[0])

    for k in (1, 5, 10):
        miss = math.comb(pool - positives, k) / math.comb(pool, k)
        assert value(f"hit@{k}") == pytest.approx(1 - miss, abs=1e-12)
        found = sum(
            h * math.comb(positives, h) * math.comb(pool - positives, k - h) for h in range(min(k, positives) + 1)
        ) / math.comb(pool, k)
        assert value(f"recall@{k}") == pytest.approx(found / positives, abs=1e-12)
        assert value(f"precision@{k}") == pytest.approx(found / k, abs=1e-12)
    first = [math.comb(pool - j, positives - 1) / math.comb(pool, positives) for j in range(1, pool - positives + 2)]
    assert value("mrr") == pytest.approx(sum(p / j for j, p in enumerate(first, start=1)), abs=1e-12)
    assert value("median_rank") == pytest.approx(sum(p * j for j, p in enumerate(first, start=1)), rel=1e-12)


@st.composite
def corpora(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Ragged, Ragged | None]:
    """Vectors with many exact ties (small integers), several positives a query, with or without lists."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, m, dim = draw(st.integers(1, 12)), draw(st.integers(2, 60)), draw(st.integers(2, 9))
    spread = draw(st.sampled_from([1, 2, 50]))
    queries, candidates = (rng.integers(-spread, spread + 1, (size, dim)).astype(np.float32) for size in (n, m))
    queries[:, 0] += spread + 1
    candidates[:, 0] += spread + 1
    lists = [sorted(rng.choice(m, size=int(rng.integers(1, m + 1)), replace=False)) for _ in range(n)]
    positives = [list(rng.permutation(pool)[: int(rng.integers(1, 5))]) for pool in lists]
    pools = Ragged.of(lists) if draw(st.booleans()) else None
    return queries, candidates, Ragged.of(positives), pools


def slow_counts(queries: np.ndarray, candidates: np.ndarray, qrels: Ragged, pools: Ragged | None) -> np.ndarray:
    """The four counts from exact integer scores: grid coordinates times 2^26 as Python integers."""
    grids = [
        [[round(x * 2**26) for x in row] for row in on_grid(v, scales(v, "cosine")).tolist()]
        for v in (queries, candidates)
    ]
    rows = []
    for q in range(len(queries)):
        pool = pools[q].tolist() if pools is not None else range(len(candidates))
        scores = {c: sum(a * b for a, b in zip(grids[0][q], grids[1][c], strict=True)) for c in pool}
        positives = qrels[q].tolist()
        for c in positives:
            rows.append(
                (
                    sum(s > scores[c] for s in scores.values()),
                    sum(s == scores[c] for s in scores.values()),
                    sum(scores[o] > scores[c] for o in positives),
                    sum(scores[o] == scores[c] for o in positives),
                )
            )
    return np.array(rows)


def stacked(counts: Counts) -> np.ndarray:
    return np.stack([counts.above, counts.tied, counts.positives_above, counts.positives_tied], axis=1)


@given(corpus=corpora(), block=st.sampled_from([1, 3, 16, 4096]))
@settings(max_examples=80, deadline=None)
def test_counts_equal_integer_arithmetic_for_every_block_size(
    corpus: tuple[np.ndarray, np.ndarray, Ragged, Ragged | None], block: int
) -> None:
    queries, candidates, qrels, pools = corpus
    found = count(queries, candidates, qrels, pools, candidate_block=block)
    np.testing.assert_array_equal(stacked(found), slow_counts(queries, candidates, qrels, pools))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("exclude", [False, True])
def test_counts_and_first_equal_a_whole_float64_product(
    similarity: Similarity, exclude: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A corpus large enough for the sparse path and every chunk's edge, among them copies and near-copies."""
    monkeypatch.setattr(counting, "PAIR_CHUNK", 37)
    monkeypatch.setattr(scorer, "GATHER_CHUNK", 101)
    rng = np.random.default_rng(7)
    candidates = (rng.standard_normal((3000, 24)) * rng.lognormal(size=(3000, 1))).astype(np.float32)
    candidates[2000:2600] = candidates[:600]
    candidates[2600:] = candidates[600:1000] + 1e-7
    queries = (candidates[rng.integers(3000, size=90)] + 0.3 * rng.standard_normal((90, 24))).astype(np.float32)
    qrels = Ragged.of([rng.choice(3000, size=int(rng.integers(0, 6)), replace=False) for _ in range(90)])
    excluded = Ragged.of([sorted(set(range(50)) - set(qrels[q].tolist())) for q in range(90)]) if exclude else None
    grids = [on_grid(queries, scales(queries, "cosine")), on_grid(candidates, scales(candidates, similarity))]
    scores = grids[0] @ grids[1].T
    if excluded is not None:
        for q in range(90):
            scores[q, excluded[q]] = -np.inf
    own = scores[qrels.rows, qrels.indices][:, None]
    for block in (257, 4096):
        found = count(queries, candidates, qrels, excluded=excluded, similarity=similarity, candidate_block=block)
        np.testing.assert_array_equal(found.above, (scores[qrels.rows] > own).sum(axis=1))
        np.testing.assert_array_equal(found.tied, (scores[qrels.rows] == own).sum(axis=1))
        places, best = first(queries, candidates, 10, None, excluded, similarity, candidate_block=block)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        np.testing.assert_array_equal(places, order)
        np.testing.assert_array_equal(best, np.take_along_axis(scores, order, axis=1))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("shared", [0, 10**9])
def test_counts_and_first_in_lists_equal_a_whole_float64_product(
    similarity: Similarity, shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists in place and scattered, both ways to score them, every chunk's edge; copies, near-copies, extreme lengths."""
    for name, value in (("SHARED", shared), ("BLOCK", 101), ("ROWS", 13), ("GATHERED", 7), ("ENTRIES", 997)):
        monkeypatch.setattr(in_lists, name, value)
    rng = np.random.default_rng(11)
    candidates = rng.standard_normal((900, 24)).astype(np.float32)
    candidates[600:800] = candidates[:200]
    candidates[800:] = candidates[200:300] + np.float32(1e-7)
    if similarity == "cosine":  # beyond what a squared length in single precision holds
        candidates[::7] *= np.float32(2.0**90)
        candidates[1::7] *= np.float32(2.0**-90)
    queries = (rng.standard_normal((80, 24)) + candidates[rng.integers(300, 600, size=80)]).astype(np.float32)
    lists = [rng.choice(900, size=int(rng.integers(1, 300)), replace=False) for _ in range(60)]
    lists += [np.arange(start, start + 200) for start in range(0, 600, 30)]
    qrels = Ragged.of([rng.permutation(pool)[: int(rng.integers(0, 5))] for pool in lists])
    pools = Ragged.of(lists)
    grids = [on_grid(queries, scales(queries, "cosine")), on_grid(candidates, scales(candidates, similarity))]
    scores = np.full((80, 900), -np.inf)
    scores[pools.rows, pools.indices] = (grids[0] @ grids[1].T)[pools.rows, pools.indices]
    own = scores[qrels.rows, qrels.indices][:, None]
    found = count(queries, candidates, qrels, pools, similarity=similarity)
    np.testing.assert_array_equal(found.above, (scores[qrels.rows] > own).sum(axis=1))
    np.testing.assert_array_equal(found.tied, (scores[qrels.rows] == own).sum(axis=1))
    assert (found.tied > 1).any()
    places, best = first(queries, candidates, 10, pools, similarity=similarity)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    expected = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_array_equal(places, np.where(np.isfinite(expected), order, -1))
    np.testing.assert_array_equal(best, np.where(np.isfinite(expected), expected, np.nan))


def test_counts_and_first_of_a_collapsed_corpus() -> None:
    """The dense path: everything is tied."""
    ones = np.ones((5500, 8), dtype=np.float32)
    found = count(ones[:3], ones, Ragged.of([[5], [5499], [0]]))
    assert (found.above.tolist(), found.tied.tolist()) == ([0, 0, 0], [5500, 5500, 5500])
    assert first(ones[:3], ones, 4)[0].tolist() == [[0, 1, 2, 3]] * 3


@given(corpus=corpora(), k=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_first_within_lists(corpus: tuple[np.ndarray, np.ndarray, Ragged, Ragged | None], k: int) -> None:
    queries, candidates, qrels, pools = corpus
    scores = on_grid(queries, scales(queries, "cosine")) @ on_grid(candidates, scales(candidates, "cosine")).T
    places, _ = first(queries, candidates, k, pools, excluded=qrels)
    for q in range(len(queries)):
        allowed = set(range(len(candidates)) if pools is None else pools[q].tolist()) - set(qrels[q].tolist())
        best = sorted(allowed, key=lambda c: (-scores[q, c], c))[:k]
        assert [p for p in places[q].tolist() if p >= 0] == best


def test_row_sums_do_not_overflow() -> None:
    mask = np.ones((2, 9001), dtype=bool)
    mask[1, ::2] = False
    assert counting._row_sums(mask).tolist() == [9001, 4500]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_thread_count_changes_no_bit(threads: str) -> None:
    """Counts of 400 x 3,000 random vectors in a process with one and with two threads of BLAS."""
    code = (
        "import hashlib, numpy as np\n"
        "from unite_bench.rank.counts import count\nfrom unite_bench.ragged import Ragged\n"
        "r = np.random.default_rng(0)\n"
        "q, c = (r.standard_normal((n, 300)).astype(np.float32) for n in (400, 3000))\n"
        "f = count(q, c, Ragged.of([[int(i)] for i in r.integers(3000, size=400)]))\n"
        "print(hashlib.sha256(f.above.tobytes() + f.tied.tobytes()).hexdigest())"
    )
    environment = os.environ | {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == COUNTS_OF_400_BY_3000


@given(corpus=corpora(), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_order_of_corpus_and_queries_changes_no_bit_of_any_measure(
    corpus: tuple[np.ndarray, np.ndarray, Ragged, Ragged | None], seed: int
) -> None:
    queries, candidates, qrels, pools = corpus
    rng = np.random.default_rng(seed)
    shuffle, turn = rng.permutation(len(candidates)), rng.permutation(len(queries))
    new = np.argsort(shuffle)

    def moved(lists: Ragged) -> Ragged:
        return Ragged.of([rng.permutation(new[lists[q]]) for q in turn])

    before = count(queries, candidates, qrels, pools)
    after = count(queries[turn], candidates[shuffle], moved(qrels), moved(pools) if pools is not None else None)
    for name in [*MEASURES, "median_rank"]:
        measure = parse_measure(name)
        assert per_query(measure, before)[turn].tobytes() == per_query(measure, after).tobytes(), name


def test_counts_are_exact_where_single_precision_is_not() -> None:
    """Anisotropic vectors whose scores differ by less than single precision resolves."""
    rng = np.random.default_rng(3)
    base = rng.standard_normal(64)
    candidates = (base + 1e-6 * rng.standard_normal((400, 64))).astype(np.float32)
    queries = (base + 1e-6 * rng.standard_normal((20, 64))).astype(np.float32)
    qrels = Ragged.of([[int(c)] for c in rng.integers(400, size=20)])
    found = count(queries, candidates, qrels, candidate_block=64)
    np.testing.assert_array_equal(stacked(found), slow_counts(queries, candidates, qrels, None))
    assert len(set(found.above.tolist())) > 5


def test_excluded_candidates_count_neither_above_nor_tied() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    query = vectors[:1]
    all_in = count(query, vectors, Ragged.of([[2]]))
    without = count(query, vectors, Ragged.of([[2]]), excluded=Ragged.of([[0]]))
    assert (all_in.above[0], all_in.tied[0], all_in.pool[0]) == (2, 2, 4)
    assert (without.above[0], without.tied[0], without.pool[0]) == (1, 2, 3)


def test_share_of_a_form_counts_only_the_pool() -> None:
    candidates = np.eye(4, dtype=np.float32)
    wanted = np.array([[True, True, False, True]])
    query = candidates[:1]
    assert share_within(query, candidates, wanted, 1)[0] == 1.0
    assert share_within(query, candidates, wanted, 2)[0] == pytest.approx((1 + 2 / 3) / 2)
    assert share_within(query, candidates, wanted, 3, pools=Ragged.of([[1]]))[0] == pytest.approx(1 / 3)
    assert share_within(query, candidates, wanted, 1, excluded=Ragged.of([[0]]))[0] == pytest.approx(2 / 3)


def test_short_candidates_keep_their_ranks_under_dot_product() -> None:
    rng = np.random.default_rng(1)
    queries, candidates = (
        rng.standard_normal((5, 8)).astype(np.float32),
        rng.standard_normal((60, 8)).astype(np.float32),
    )
    qrels = Ragged.of([[n] for n in range(5)])
    plain = count(queries, candidates, qrels, similarity="dot").above
    tiny = count(queries, candidates * np.float32(2.0**-20), qrels, similarity="dot").above
    np.testing.assert_array_equal(plain, tiny)


def test_dot_product_keeps_lengths_and_cosine_drops_them() -> None:
    candidates = np.array([[1.0, 0.0], [3.0, 3.0]], dtype=np.float32)
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    qrels = Ragged.of([[0]])
    assert count(query, candidates, qrels, similarity="cosine").above[0] == 0
    assert count(query, candidates, qrels, similarity="dot").above[0] == 1


@given(corpus=corpora())
@settings(max_examples=40, deadline=None)
def test_measures_agree_with_pytrec_eval(corpus: tuple[np.ndarray, np.ndarray, Ragged, Ragged | None]) -> None:
    """On untied runs (integer scores derived from ranks), to 1e-12, per-query pools included."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    _, candidates, qrels, pools = corpus
    rng = np.random.default_rng(len(candidates))
    run, judged, rows = {}, {}, []
    for q in range(len(qrels)):
        pool = pools[q] if pools is not None else np.arange(len(candidates))
        ranks = dict(zip(rng.permutation(pool).tolist(), range(1, pool.size + 1), strict=True))
        run[str(q)] = {str(c): float(-rank) for c, rank in ranks.items()}
        judged[str(q)] = {str(c): 1 for c in qrels[q].tolist()}
        places = [ranks[c] for c in qrels[q].tolist()]
        rows += [(rank - 1, 1, sum(p < rank for p in places), 1) for rank in places]
    counts = Counts(
        qrels, qrels, *np.array(rows).T, pools.counts if pools is not None else np.full(len(qrels), len(candidates))
    )
    names = {
        "ndcg_cut_3": "ndcg@3",
        "map_cut_5": "map@5",
        "recip_rank": "mrr",
        "recall_5": "recall@5",
        "P_5": "precision@5",
    }
    theirs = pytrec_eval.RelevanceEvaluator(
        judged, {"ndcg_cut.3", "map_cut.5", "recip_rank", "recall.5", "P.5", "success.1"}
    )
    scored = theirs.evaluate(run)
    for trec, ours in [*names.items(), ("success_1", "hit@1")]:
        expected = [scored[str(q)][trec] for q in range(len(qrels))]
        np.testing.assert_allclose(per_query(parse_measure(ours), counts), expected, atol=1e-12, rtol=0)
