"""What must hold of the statistics whatever the values: order and names change nothing, bounds are kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unite_bench.stats.bootstrap import bca, percentile, resample
from unite_bench.stats.clusters import ClusterSums
from unite_bench.stats.intervals import clustered_wilson, interval
from unite_bench.stats.multiplicity import benjamini_hochberg, holm
from unite_bench.stats.ranks import borda, rank_sets
from unite_bench.stats.sign_flip import sign_flip

SEEDS = st.integers(0, 2**32 - 1)
VALUES = st.lists(st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 1.0]), min_size=2, max_size=40)


@given(values=VALUES, seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_neither_order_of_queries_nor_names_of_clusters_changes_a_bit(values: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    held = np.array(values)
    labels = random.integers(len(values), size=len(values))
    order, names = random.permutation(len(values)), random.permutation(len(values))
    for median in (False, True):
        before = interval(held, [f"c{n}" for n in labels], median=median)
        assert before == interval(held[order], [f"{names[n]:04}" for n in labels[order]], median=median)
        assert before[0][0] <= before[0][1]
    if set(values) <= {0.0, 1.0}:
        (low, high), _ = interval(held, [str(n) for n in labels])
        assert 0.0 <= low <= held.mean() <= high <= 1.0 and low < high


@given(hits=st.lists(st.integers(0, 7), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_clustered_wilson_lies_in_range_has_width_and_mirrors(hits: list[int]) -> None:
    totals, sizes = np.array(hits, dtype=float), np.full(len(hits), 7.0)
    low, high = clustered_wilson(totals, sizes)
    assert 0.0 <= low <= totals.sum() / sizes.sum() <= high <= 1.0 and low < high
    np.testing.assert_allclose(clustered_wilson(sizes - totals, sizes), (1 - high, 1 - low), atol=1e-12)


@given(values=VALUES, seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_bootstrap_intervals_lie_within_what_can_be_drawn(values: list[float], seed: int) -> None:
    labels = [str(n) for n in np.random.default_rng(seed).integers(len(values), size=len(values))]
    drawn = resample(ClusterSums.of([np.array(values)[:, None]], [labels]), 200)
    statistic = drawn.statistic(np.ones(1), np.ones(1))
    for low, high in (bca(statistic), percentile(statistic)):
        assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12


@given(
    x=st.lists(st.sampled_from([-2.0, -1.0, -0.3, 0.0, 0.3, 0.7, 1.0]), max_size=12), scale=st.sampled_from([0.1, 3.0])
)
@settings(max_examples=80, deadline=None)
def test_sign_flips_know_neither_direction_nor_scale_nor_order(x: list[float], scale: float) -> None:
    held = np.array(x)
    test = sign_flip(held)
    assert 0.0 < test.mid_p <= test.p <= 1.0
    for other in (-held, held[::-1], held * scale):
        again = sign_flip(other)
        np.testing.assert_allclose((again.p, again.mid_p), (test.p, test.mid_p), atol=1e-12)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrections_keep_order_and_bounds(p: list[float]) -> None:
    held = np.array(p)
    order = np.argsort(held, kind="stable")
    for adjusted in (holm(held), benjamini_hochberg(held)):
        assert (adjusted >= held - 1e-15).all() and (adjusted <= 1.0).all()
        assert (np.diff(adjusted[order]) >= 0).all()
    assert (holm(held) >= benjamini_hochberg(held) - 1e-15).all()


@given(seed=SEEDS, embedders=st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_rank_sets_hold_the_observed_rank_and_borda_sums_to_half(seed: int, embedders: int) -> None:
    random = np.random.default_rng(seed)
    estimates = np.round(random.random(embedders), 1)
    sets = rank_sets(estimates, estimates + random.normal(0, 0.1, (500, embedders)))
    for estimate, (low, high) in zip(estimates, sets.tolist(), strict=True):
        assert 1 <= low <= 1 + (estimates > estimate).sum() and (estimates >= estimate).sum() <= high <= embedders
    scores = np.round(random.random((5, embedders)), 1)
    np.testing.assert_allclose(borda(scores, np.full(5, 0.2)).mean(), 0.5)
