"""Statistics against independent definitions: every sign flip, every resample, closed forms, scipy's own tests."""

from __future__ import annotations

import time
from itertools import product

import numpy as np
import pytest
from scipy import stats

from unite_bench.metrics.aggregate import above_chance, over_tasks
from unite_bench.stats.bootstrap import Statistic, bca, percentile, resample
from unite_bench.stats.clusters import ClusterSums
from unite_bench.stats.effects import (
    equivalence,
    normal_p,
    smallest_detectable,
    standard_error,
    standardised_difference,
    win_tie_loss,
)
from unite_bench.stats.intervals import clustered_wilson, design_effect, interval, relative_variance, wilson
from unite_bench.stats.multiplicity import benjamini_hochberg, holm
from unite_bench.stats.ranks import borda, rank_sets
from unite_bench.stats.sign_flip import sign_flip
from unite_bench.stats.student import over_other_queries, over_other_tasks, unseen
from unite_bench.stats.suites import mean_interval, suite_weights

ONE = np.ones(1)


def sums_of(values: np.ndarray, labels: list[str] | None = None) -> ClusterSums:
    return ClusterSums.of([values[:, None]], [labels or [str(n) for n in range(values.size)]])


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (1, 20), (10, 20), (20, 20), (4, 200)])
def test_wilson_agrees_with_scipy(hits: int, n: int) -> None:
    theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((theirs.low, theirs.high))


def test_design_effect_is_one_for_single_queries_and_the_size_of_a_cluster_where_all_agree() -> None:
    assert design_effect(np.array([1.0, 0.0, 1.0]), np.ones(3)) == 1.0
    hits = np.tile([5.0, 0.0], 500)
    assert design_effect(hits, np.full(1000, 5.0)) == pytest.approx(5.0, rel=0.01)
    assert design_effect(np.zeros(9), np.full(9, 5.0)) == 5.0
    independent = np.random.default_rng(0).binomial(5, 0.3, 20_000).astype(float)
    assert design_effect(independent, np.full(20_000, 5.0)) == pytest.approx(1.0, abs=0.05)


def test_values_between_hit_and_miss_count_for_more_queries() -> None:
    """Equal spread, equal width: the interval of a mean in mid-range is that of the normal distribution."""
    values = np.random.default_rng(16).beta(4, 4, 4000)
    assert relative_variance(values) == pytest.approx(values.var() / 0.25, rel=0.01)
    (low, high), _ = interval(values)
    half = 1.96 * values.std() / np.sqrt(values.size)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 50)
    assert relative_variance(np.array([0.0, 1.0, 1.0])) == pytest.approx(1.0)
    one_tie = np.append((np.arange(400) % 40 == 0).astype(float), 0.5)
    labels = [str(n // 5) for n in range(401)]
    assert interval(one_tie, labels)[0] == pytest.approx(interval(np.append(one_tie[:-1], 0.0), labels)[0], abs=0.004)


def test_clustered_wilson_counts_clusters_where_queries_of_a_cluster_agree() -> None:
    hits = np.tile([5.0, 0.0], 500)
    assert clustered_wilson(hits, np.full(1000, 5.0)) == pytest.approx(wilson(500, 1000), rel=0.001)
    assert clustered_wilson(np.zeros(30), np.full(30, 40.0)) == wilson(0, 30)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("captions", [1, 5])
def test_no_hits_or_hits_alone_never_give_an_interval_without_width(value: float, captions: int) -> None:
    labels = [str(n // captions) for n in range(200)]
    (low, high), method = interval(np.full(200, value), labels)
    assert low <= value <= high and high - low > 0.01 and method.startswith("wilson")


def test_a_single_cluster_gives_an_interval() -> None:
    (low, high), _ = interval(np.array([0.2, 0.9, 0.4]), ["a", "a", "a"])
    assert low < 0.1 and high > 0.9


def test_the_method_follows_the_values() -> None:
    assert interval(np.array([0.0, 1.0, 1.0]))[1] == "wilson"
    assert interval(np.array([0.0, 1.0, 1.0]), ["a", "a", "b"])[1] == "wilson, effective sample size"
    assert interval(np.array([0.0, 0.5, 1.0]))[1] == "wilson, effective sample size"
    assert interval(np.array([1.0, 5.0, 9.0]), median=True)[1] == "cluster bootstrap, percentile"


def test_median_bootstrap_draws_whole_clusters() -> None:
    (low, high), _ = interval(np.array([1.0, 1.0, 9.0, 9.0]), ["a", "a", "b", "b"], median=True)
    assert (low, high) == (1.0, 9.0)


def test_resampling_draws_every_combination_of_clusters_as_often_as_chance_does() -> None:
    """Three clusters of unequal size: the bootstrap's mean and spread against all 27 ordered draws."""
    values = np.array([0.0, 1.0, 1.0, 0.5, 0.25, 0.25])
    labels = ["a", "a", "a", "b", "c", "c"]
    totals, sizes = {"a": 2.0, "b": 0.5, "c": 0.5}, {"a": 3, "b": 1, "c": 2}
    every = np.array([sum(totals[c] for c in d) / sum(sizes[c] for c in d) for d in product("abc", repeat=3)])
    drawn = resample(sums_of(values, labels), 40_000).draws.ravel()
    assert drawn.mean() == pytest.approx(every.mean(), abs=0.005)
    assert drawn.std() == pytest.approx(every.std(), rel=0.02)
    assert set(np.round(drawn, 9)) == set(np.round(every, 9))


def test_few_kinds_of_clusters_are_drawn_like_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hits have few kinds and are drawn by kind; the other way of drawing gives the same distribution."""
    values = (np.arange(400) % 4 == 0).astype(float)
    by_kind = resample(sums_of(values), 20_000).draws.ravel()
    monkeypatch.setattr("unite_bench.stats.bootstrap.FEW_KINDS", 10**9)
    by_cluster = resample(sums_of(values), 20_000).draws.ravel()
    assert not np.array_equal(by_kind, by_cluster)
    at = np.linspace(0.02, 0.98, 25)
    np.testing.assert_allclose(np.quantile(by_kind, at), np.quantile(by_cluster, at), atol=0.003)


def test_a_cluster_counts_alike_in_every_task_it_is_in() -> None:
    """Two tasks that ask the same of the same media move as one; with media of their own they are independent."""
    values = np.random.default_rng(0).random((100, 1))
    shared = ClusterSums.of([values, values], [[str(n) for n in range(100)]] * 2)
    apart = ClusterSums.of([values, values], [[f"{task}{n}" for n in range(100)] for task in "ab"])
    draws = resample(shared, 2000).draws[:, :, 0]
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    assert abs(np.corrcoef(resample(apart, 2000).draws[:, :, 0].T)[0, 1]) < 0.1
    assert len(set(shared.strata)) == 1 and len(set(apart.strata)) == 2


def of_tasks(*values: np.ndarray, media: str = "ab") -> tuple[ClusterSums, list[tuple[float, float]]]:
    """Sums of tasks with these values, each over its own media if they have different letters, and each task's interval."""
    labels = [[f"{letter}{n}" for n in range(value.size)] for letter, value in zip(media, values, strict=True)]
    return ClusterSums.of([value[:, None] for value in values], labels), [interval(value)[0] for value in values]


def test_the_interval_of_a_mean_adds_distances_in_squares_or_as_tasks_agree() -> None:
    hits = (np.arange(100) % 5 == 0).astype(float)
    low, high = interval(hits)[0]
    alone = mean_interval(*_weighted(of_tasks(hits, media="a"), 0.5))
    assert alone == pytest.approx((low / 2, high / 2)), "of one task it is its own"
    apart = mean_interval(*_weighted(of_tasks(hits, hits), 0.5, 0.5))
    assert apart == pytest.approx((0.2 - (0.2 - low) / np.sqrt(2), 0.2 + (high - 0.2) / np.sqrt(2)))
    agreeing = mean_interval(*_weighted(of_tasks(hits, hits, media="aa"), 0.5, 0.5))
    assert agreeing == pytest.approx((low, high)), "tasks that hit the same media are one task"
    opposed, other = (of_tasks(hits, 1 - hits, media=media) for media in ("aa", "ab"))
    assert mean_interval(*_weighted(opposed, 0.5, 0.5)) == pytest.approx(mean_interval(*_weighted(other, 0.5, 0.5)))


def test_tasks_that_do_not_vary_are_taken_to_agree_on_shared_media_only() -> None:
    never = np.zeros(50)
    low, high = interval(never)[0]
    assert mean_interval(*_weighted(of_tasks(never, never, media="aa"), 0.5, 0.5)) == pytest.approx((low, high))
    assert mean_interval(*_weighted(of_tasks(never, never), 0.5, 0.5)) == pytest.approx((low, high / np.sqrt(2)))
    sixths, some = np.full(50, 1 / 6), (np.arange(50) % 3 == 0).astype(float)  # whose mean is no float
    ends = mean_interval(*_weighted(of_tasks(sixths, some, media="aa"), 0.5, 0.5))
    each = [interval(values)[0] for values in (sixths, some)]
    assert ends == pytest.approx(np.mean(each, axis=0)), "a task of equal fractions does not vary either"


def _weighted(
    tasks: tuple[ClusterSums, list[tuple[float, float]]], *weights: float
) -> tuple[ClusterSums, np.ndarray, list[tuple[float, float]]]:
    return tasks[0], np.array(weights), tasks[1]


def test_a_resample_without_a_query_of_some_task_is_left_out() -> None:
    two = ClusterSums.of([np.ones((20, 1)), np.ones((2, 1))], [[str(n) for n in range(20)], ["0", "1"]])
    drawn = resample(two, 1000).draws
    assert np.isfinite(drawn).all() and 800 < len(drawn) < 950  # (1 - 2 / 20) ** 20 = 12 % are left out


def test_bca_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=60)
    drawn = resample(sums_of(values), 20_000).statistic(ONE, ONE)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(2))
    assert bca(drawn) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)
    plain = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2))
    assert percentile(drawn) == pytest.approx(tuple(plain.confidence_interval), abs=0.02)
    assert bca(drawn)[0] > percentile(drawn)[0], "skewed values move the BCa interval to the right"


def test_bca_without_bias_or_skew_is_the_percentile_interval() -> None:
    draws = np.linspace(-1, 1, 2001)
    statistic = Statistic(0.0, draws, np.array([-1.0, 1.0]))
    assert bca(statistic) == pytest.approx(percentile(statistic), abs=1e-3)


def test_influence_is_the_change_by_leaving_a_cluster_out() -> None:
    values = np.random.default_rng(3).random(300)
    labels = [str(n // 3) for n in range(300)]
    influence = sums_of(values, labels).influence(ONE, ONE)
    without = [values[np.array(labels) != label].mean() for label in sorted(set(labels))]
    np.testing.assert_allclose(np.sort(influence), np.sort(values.mean() - np.array(without)), atol=1e-4)


def flipped(contributions: np.ndarray) -> tuple[float, float]:
    """p and mid-p by trying all signs, one by one."""
    all_sums = [
        abs(sum(s * x for s, x in zip(signs, contributions, strict=True)))
        for signs in product((-1, 1), repeat=len(contributions))
    ]
    observed = abs(contributions.sum())
    beyond = np.mean([s > observed + 1e-9 for s in all_sums])
    at_least = np.mean([s >= observed - 1e-9 for s in all_sums])
    return float(at_least), float((beyond + at_least) / 2)


@pytest.mark.parametrize(
    "contributions",
    [[1.0, 1, 1, -1, 1, 0], [3.0, -1, 2, 2, 5, -4], [0.3, 0.2, -0.1, 0.7, 0.1], [1 / 3, 1 / 3, -1 / 6, 0.5], [2.5]],
)
def test_sign_flips_against_all_of_them(contributions: list[float]) -> None:
    test = sign_flip(np.array(contributions))
    assert (test.p, test.mid_p) == pytest.approx(flipped(np.array(contributions)))
    assert test.method == "exact" and test.discordant == np.count_nonzero(contributions)


def test_one_hit_or_miss_a_cluster_is_mcnemars_exact_test() -> None:
    for wins, losses in ((0, 5), (9, 2), (300, 240), (2600, 2400)):
        test = sign_flip(np.concatenate([np.ones(wins), -np.ones(losses), np.zeros(50)]))
        theirs = stats.binomtest(wins, wins + losses).pvalue
        assert test.p == pytest.approx(theirs)
        assert test.mid_p == pytest.approx(theirs - stats.binom.pmf(wins, wins + losses, 0.5))


def test_random_flips_come_near_the_exact_p_and_are_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(5).normal(0.25, 1, 16)
    exact = sign_flip(x)
    monkeypatch.setattr("unite_bench.stats.sign_flip.ENUMERATED", 0)
    drawn = sign_flip(x)
    assert drawn.method == "9999 random flips" and drawn.p == pytest.approx(exact.p, abs=0.015)
    assert sign_flip(np.linspace(0.5, 0.7, 100)).p == 1 / 10_000


def test_no_difference_is_no_evidence() -> None:
    for x in (np.zeros(5), np.array([1.0, -1.0]), np.zeros(0)):
        assert (sign_flip(x).p, sign_flip(x).mid_p) == (1.0, 1.0)


def test_suite_contributions_add_up_to_the_suites_own_mean() -> None:
    random = np.random.default_rng(6)
    groups, chance = ["coarse", "coarse", "fine"], np.array([0.01, 0.1, 0.25])
    values = [random.random((n, 2)) for n in (30, 50, 20)]
    labels = [[str(n % 40) for n in range(len(v))] for v in values]
    sums = ClusterSums.of(values, labels)
    contributions = sums.contributions(suite_weights(groups, chance), np.array([1.0, -1.0]))

    def suite(embedder: int) -> float:
        scores: dict[str, list[float]] = {}
        for group, c, v in zip(groups, chance, values, strict=True):
            scores.setdefault(group, []).append(above_chance(float(v[:, embedder].mean()), c))
        return over_tasks(scores)

    assert contributions.sum() == pytest.approx(suite(0) - suite(1))
    drawn = resample(sums, 10).statistic(suite_weights(groups, chance), np.array([1.0, -1.0]))
    assert drawn.estimate == pytest.approx(suite(0) - suite(1))
    assert suite_weights(["coarse"], np.ones(1)) == 0.0, "a task in which chance is the maximum weighs nothing"


def test_holm_and_benjamini_hochberg() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])
    random = np.random.default_rng(7).random(50) ** 3
    np.testing.assert_allclose(benjamini_hochberg(random), stats.false_discovery_control(random))
    rejected = set()
    for k, at in enumerate(np.argsort(random)):  # Holm's own procedure, step by step
        if random[at] > 0.05 / (random.size - k):
            break
        rejected.add(int(at))
    assert set(np.flatnonzero(holm(random) <= 0.05).tolist()) == rejected


def test_effects_by_hand() -> None:
    differences = np.array([1.0, 0.0, -1.0, 1.0, 1e-15])
    assert win_tie_loss(differences) == (2, 2, 1)
    assert standardised_difference(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert standardised_difference(np.full(3, 0.1)) is None
    assert standard_error((0.0, 2 * 1.959963984540054)) == pytest.approx(1.0)
    assert smallest_detectable(1.0) == pytest.approx(1.96 + 0.8416, abs=1e-3)
    assert normal_p(1.959963984540054, 1.0) == pytest.approx(0.05)


def test_unseen_solves_the_score_equation() -> None:
    """Tango's interval without discordant pairs: at its end, the score statistic n d / sqrt(n d (1 - d)) is z."""
    d = unseen(50)
    assert 50 * d / np.sqrt(50 * d * (1 - d)) == pytest.approx(1.959963984540054)


def test_equivalence_is_two_one_sided_tests() -> None:
    for difference in (-0.01, 0.0, 0.03):
        lower, upper = stats.norm.sf((difference + 0.02) / 0.01), stats.norm.cdf((difference - 0.02) / 0.01)
        assert equivalence(difference, 0.01, 0.02) == pytest.approx(max(lower, upper))
    with pytest.raises(ValueError, match="positive margin"):
        equivalence(0.0, 0.01, 0.0)


def test_the_detectable_difference_is_found_with_its_power() -> None:
    """200 queries, 60 discordant: shift the chance of a win until the exact test finds it in 80 % of samples."""
    random = np.random.default_rng(8)
    error = np.sqrt(60) / 200
    wins = random.binomial(60, 0.5 + smallest_detectable(error) * 200 / 60 / 2, 4000)
    found = np.mean([sign_flip(np.repeat([1.0, -1.0], [w, 60 - w])).mid_p <= 0.05 for w in wins])
    assert found == pytest.approx(0.8, abs=0.04)


def test_other_queries_without_clusters_is_students_interval() -> None:
    values = np.random.default_rng(12).random(40)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval()
    assert over_other_queries(sums_of(values), ONE, ONE) == pytest.approx((theirs.low, theirs.high))
    means = values.reshape(10, 4).mean(axis=1)
    theirs = stats.ttest_1samp(means, 0.0).confidence_interval()
    labels = [str(n // 4) for n in range(40)]
    assert over_other_queries(sums_of(values, labels), ONE, ONE) == pytest.approx((theirs.low, theirs.high))


def test_other_queries_of_two_tasks_is_welchs_interval_if_they_share_none() -> None:
    first, second = np.random.default_rng(13).random(12), np.random.default_rng(14).random(30) * 0.6
    apart = ClusterSums.of(
        [first[:, None], second[:, None]], [[f"a{n}" for n in range(12)], [f"b{n}" for n in range(30)]]
    )
    theirs = stats.ttest_ind(first, -second, equal_var=False).confidence_interval()
    assert over_other_queries(apart, np.ones(2), ONE) == pytest.approx((theirs.low, theirs.high))
    joint = ClusterSums.of([first[:, None], 2 * first[:, None]], [[str(n) for n in range(12)]] * 2)
    theirs = stats.ttest_1samp(3 * first, 0.0).confidence_interval()
    assert over_other_queries(joint, np.ones(2), ONE) == pytest.approx((theirs.low, theirs.high))


def test_other_queries_allow_for_what_was_too_rare_to_be_seen() -> None:
    same, other = np.zeros((50, 1)), np.random.default_rng(15).random((60, 1))
    labels = [[f"a{n}" for n in range(50)], [f"b{n}" for n in range(60)]]
    low, high = over_other_queries(ClusterSums.of([same], labels[:1]), ONE, ONE)
    assert (low, high) == pytest.approx((-unseen(50), unseen(50)))
    alone = over_other_queries(ClusterSums.of([other], labels[1:]), ONE, ONE)
    both = over_other_queries(ClusterSums.of([same, other], labels), np.array([2.0, 1.0]), ONE)
    half = np.sqrt((np.diff(alone)[0] / 2) ** 2 + (2 * unseen(50)) ** 2)
    assert np.diff(both)[0] / 2 == pytest.approx(half)


def test_other_tasks_in_one_group_is_students_interval() -> None:
    values = np.array([0.1, 0.3, 0.2, 0.6])
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval()
    assert over_other_tasks(values, ["fine"] * 4) == pytest.approx((theirs.low, theirs.high))
    two = stats.ttest_ind([0.1, 0.3, 0.2], [-0.6, -0.9], equal_var=False).confidence_interval()
    ours = over_other_tasks(np.array([0.1, 0.3, 0.2, 0.6, 0.9]), ["a", "a", "a", "b", "b"])
    assert ours is not None and np.diff(ours) == pytest.approx(np.diff([two.low, two.high]) / 2)
    assert over_other_tasks(values, ["fine", "fine", "fine", "coarse"]) is None
    assert over_other_tasks(np.ones(3), ["fine"] * 3) is None


def test_rank_sets_hold_apart_what_lies_apart() -> None:
    draws = np.random.default_rng(9).normal([0.9, 0.51, 0.5, 0.1], 0.02, (4000, 4))
    sets = rank_sets(np.array([0.9, 0.51, 0.5, 0.1]), draws)
    assert sets.tolist() == [[1, 1], [2, 3], [2, 3], [4, 4]]
    still = np.full((4, 4), 0.5)
    assert rank_sets(np.array([0.9, 0.51, 0.5, 0.1]), draws, unseen=still).tolist()[0] == [1, 3]
    same = np.zeros((100, 3))
    assert rank_sets(np.zeros(3), same).tolist() == [[1, 3]] * 3


def test_rank_sets_by_brute_force() -> None:
    """For each embedder, count the others whose simultaneous interval for the difference leaves out 0."""
    random = np.random.default_rng(10)
    estimates = random.normal(0, 1, 6)
    draws = estimates + random.normal(0, 0.4, (3000, 6)) * [1, 2, 1, 0.5, 1, 1]
    pairs = [(j, k) for j in range(6) for k in range(j)]
    spread = {p: np.std(draws[:, p[0]] - draws[:, p[1]]) for p in pairs}
    largest = np.max(
        [np.abs(draws[:, j] - draws[:, k] - estimates[j] + estimates[k]) / spread[j, k] for j, k in pairs], axis=0
    )
    critical = np.quantile(largest, 0.95)
    for j, (low, high) in enumerate(rank_sets(estimates, draws).tolist()):
        halves = {k: critical * spread[max(j, k), min(j, k)] for k in range(6) if k != j}
        assert low == 1 + sum(estimates[k] - estimates[j] > half for k, half in halves.items())
        assert high == 6 - sum(estimates[j] - estimates[k] > half for k, half in halves.items())


def test_borda_depends_on_who_is_compared() -> None:
    shares = np.full(3, 1 / 3)
    two = np.array([[0.9, 0.8], [0.9, 0.8], [0.1, 0.8]])
    third = np.array([0.85, 0.85, 0.5])
    np.testing.assert_allclose(borda(two, shares), [2 / 3, 1 / 3])
    np.testing.assert_allclose(borda(np.column_stack([two, third]), shares), [2 / 3, 1 / 3, 1 / 2])
    np.testing.assert_allclose(borda(np.array([[0.5, 0.5, 0.2]]), np.ones(1)), [0.75, 0.75, 0.0])


def test_many_resamples_cost_little_more_than_scipy_takes_for_independent_queries() -> None:
    """10,000 resamples of 5,000 queries, which scipy draws in about 0.3 s; clusters and several tasks come on top."""
    values = np.random.default_rng(11).random(5000)

    def ratio() -> float:
        start = time.thread_time()
        drawn = resample(sums_of(values), 10_000).statistic(ONE, ONE)
        bca(drawn)
        assert drawn.draws.size == 10_000
        between = time.thread_time()
        stats.bootstrap((values,), np.mean, n_resamples=10_000, method="BCa", batch=500, rng=1)
        return (between - start) / (time.thread_time() - between)

    assert any(ratio() < 4.0 for _ in range(3))
