"""Ranks under the rules of others: trec_eval's order of ties, and dual softmax. Each against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unite_bench.metrics.measures import per_query
from unite_bench.ragged import Ragged
from unite_bench.rank import dual_softmax as rescoring
from unite_bench.rank.counts import count
from unite_bench.rank.dual_softmax import dual_softmax
from unite_bench.rank.ties import by_descending_name, positives_first
from unite_bench.spec.measures import parse_measure

OF_TREC = {
    "ndcg_cut_3": "ndcg@3",
    "map_cut_5": "map@5",
    "recip_rank": "mrr",
    "recall_5": "recall@5",
    "P_5": "precision@5",
    "success_1": "hit@1",
}


@given(seed=st.integers(0, 2**32), own_pools=st.booleans(), excluding=st.booleans())
@settings(max_examples=40, deadline=None)
def test_ties_by_descending_name_are_those_of_trec_eval(seed: int, own_pools: bool, excluding: bool) -> None:
    """Scores are whole numbers, so most are tied; names sort otherwise than numbers (d10 before d9)."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(seed)
    n, m = 5, int(rng.integers(2, 40))
    queries, candidates = np.eye(n, dtype=np.float32), rng.integers(0, 4, (m, n)).astype(np.float32)
    candidates[:, 0] += 1  # no vector of zeros
    names = [f"d{place}" for place in rng.permutation(m)]
    lists = [rng.permutation(m)[: int(rng.integers(1, m + 1))] if own_pools else np.arange(m) for _ in range(n)]
    positives = [rng.permutation(pool)[: int(rng.integers(1, 5))] for pool in lists]
    out = [rng.permutation(np.setdiff1d(lists[q], positives[q]))[: 3 * excluding] for q in range(n)]
    qrels, excluded = Ragged.of(positives), Ragged.of(out)
    pools = Ragged.of(lists) if own_pools else None
    counts = by_descending_name(
        count(queries, candidates, qrels, pools, excluded, "dot"), queries, candidates, names, pools, excluded, "dot"
    )
    assert (counts.tied == 1).all() and (counts.positives_tied == 1).all()
    run = {
        str(q): {names[c]: float(candidates[c, q]) for c in np.setdiff1d(lists[q], out[q]).tolist()} for q in range(n)
    }
    judged = {str(q): {names[c]: 1 for c in positives[q].tolist()} for q in range(n)}
    wanted = {"ndcg_cut.3", "map_cut.5", "recip_rank", "recall.5", "P.5", "success.1"}
    theirs = pytrec_eval.RelevanceEvaluator(judged, wanted).evaluate(run)
    for trec, ours in OF_TREC.items():
        expected = [theirs[str(q)][trec] for q in range(n)]
        np.testing.assert_allclose(per_query(parse_measure(ours), counts), expected, atol=1e-12, rtol=0, err_msg=ours)


def test_positives_first_gives_ties_to_the_positive_and_nothing_else() -> None:
    queries, candidates = np.ones((1, 2), dtype=np.float32), np.ones((4, 2), dtype=np.float32)
    candidates[3] = [2, 1]
    tied = count(queries, candidates, Ragged.of([[1, 2]]), similarity="dot")
    assert (tied.above.tolist(), tied.tied.tolist()) == ([1, 1], [3, 3])
    counts = positives_first(tied)
    assert (counts.above.tolist(), counts.tied.tolist()) == ([1, 1], [2, 2])
    assert per_query(parse_measure("hit@2"), counts)[0] == 1.0
    assert per_query(parse_measure("hit@1"), counts)[0] == 0.0


def rescored(queries: np.ndarray, candidates: np.ndarray, temperature: float) -> np.ndarray:
    """The definition, in plain float64."""
    units = [
        x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
        for x in (queries, candidates)
    ]
    cosines = units[0] @ units[1].T
    powers = np.exp(cosines / temperature)
    return cosines * powers / powers.sum(axis=0)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
def test_dual_softmax_ranks_as_its_definition_does(temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "ENTRIES", 200)
    rng = np.random.default_rng(5)
    queries, candidates = (rng.standard_normal((size, 8)).astype(np.float32) for size in (30, 90))
    qrels = Ragged.of([rng.choice(90, size=2, replace=False) for _ in range(30)])
    counts, places, scores = dual_softmax(
        queries, candidates, qrels, Ragged.of([[]] * 30), temperature, np.arange(30), 5
    )
    expected = rescored(queries, candidates, temperature)
    own = expected[qrels.rows, qrels.indices][:, None]
    np.testing.assert_array_equal(counts.above, (expected[qrels.rows] > own * (1 + 1e-9 * np.sign(own))).sum(axis=1))
    assert (counts.tied == 1).all()
    np.testing.assert_array_equal(places, np.argsort(-expected, axis=1)[:, :5])
    np.testing.assert_allclose(scores, -np.sort(-expected, axis=1)[:, :5], rtol=1e-5)
    plain = count(queries, candidates, qrels)
    assert (plain.above != counts.above).any()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_no_order_of_rows_and_no_block_changes_a_bit_of_dual_softmax(seed: int) -> None:
    """`order` is by content, so it names the same queries in the same sequence however the rows stand."""
    rng = np.random.default_rng(seed)
    queries, candidates = (rng.standard_normal((size, 6)).astype(np.float32) for size in (23, 41))
    candidates[30:] = candidates[:11]
    qrels = [rng.choice(41, size=2, replace=False) for _ in range(23)]
    order = rng.permutation(23)[:20]
    turn, shuffle = rng.permutation(23), rng.permutation(41)
    back = np.argsort(turn)
    found = []
    for entries in (1, 10**6):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rescoring, "ENTRIES", entries)
            found.append(dual_softmax(queries, candidates, Ragged.of(qrels), Ragged.of([[]] * 23), 0.05, order, 41))
            moved = Ragged.of([np.argsort(shuffle)[qrels[q]] for q in turn])
            found.append(
                dual_softmax(queries[turn], candidates[shuffle], moved, Ragged.of([[]] * 23), 0.05, back[order], 41)
            )
    same = [np.stack([c.above, c.tied]).reshape(2, 23, 2) for c, _, _ in found]
    for n, (_, _, scores) in enumerate(found):
        turned = back if n % 2 else np.arange(23)
        np.testing.assert_array_equal(same[n][:, turned], same[0])
        assert scores[turned].tobytes() == found[0][2].tobytes()
    assert (same[0][1] > 1).any()  # copies of a candidate tie


def test_a_candidate_that_suits_every_query_suits_none_under_dual_softmax() -> None:
    """Two queries; a hub near both beats each one's own candidate by cosine alone."""
    queries = np.array([[1.0, 0.2], [1.0, -0.2]], dtype=np.float32)
    candidates = np.array([[1.0, 0.0], [1.0, 0.7], [1.0, -0.7]], dtype=np.float32)
    qrels, none = Ragged.of([[1], [2]]), Ragged.of([[], []])
    assert count(queries, candidates, qrels).above.tolist() == [1, 1]
    assert dual_softmax(queries, candidates, qrels, none, 0.1, np.arange(2), 3)[0].above.tolist() == [0, 0]


def test_what_is_excluded_takes_no_part_in_dual_softmax() -> None:
    """An excluded pair neither ranks nor weighs: the query's own copy would else take the whole share of the candidate."""
    queries, candidates = np.eye(2, dtype=np.float32), np.array([[0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
    qrels, excluded = Ragged.of([[1], [0]]), Ragged.of([[0], []])
    counts, places, scores = dual_softmax(queries, candidates, qrels, excluded, 0.5, np.arange(2), 2)
    assert counts.pool.tolist() == [1, 2] and places.tolist() == [[1, -1], [0, 1]]
    assert counts.above.tolist() == [0, 0]
    assert scores[1, 0] == pytest.approx(0.6)  # the whole share of candidate 0
