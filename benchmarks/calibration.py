"""Do intervals cover and tests reject as often as they say? Simulated samples whose truth is known.

    python benchmarks/calibration.py [--trials 10000] [--only SECTION]

Writes figures/calibration.json and figures/calibration.md beside this file, and the same tables into docs/statistics.md;
with --only, one section to the terminal. Seeds are fixed. The full run takes about a quarter of an hour on one core.

Queries of a medium (captions of a picture) are alike: the chance of a hit differs from medium to medium as a beta
distribution with an intra-class correlation of 0.3. Two embedders find half of the media equally hard.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from calibration_samples import (
    CAPTIONS,
    QUERIES,
    RESAMPLES,
    Tally,
    alike_chances,
    apart,
    chances,
    grid,
    one_task,
    paired_hits,
    seeded,
)
from calibration_tables import missed, written
from scipy import stats

from unite_bench.stats.bootstrap import resample
from unite_bench.stats.clusters import ClusterSums
from unite_bench.stats.effects import equivalence, standard_error
from unite_bench.stats.intervals import clustered_wilson, relative_variance
from unite_bench.stats.ranks import rank_sets
from unite_bench.stats.sign_flip import sign_flip
from unite_bench.stats.student import over_other_queries, over_other_tasks
from unite_bench.stats.suites import mean_interval

Row = dict[str, float]
FIGURES = Path(__file__).parent / "figures"
PAGE = Path(__file__).parent.parent / "docs" / "statistics.md"
MARKS = ("<!-- calibration -->", "<!-- /calibration -->")
CONTRASTS = 10  # methods that are not used are shown for contrast, on every tenth trial
ONE = np.ones(1)
FIRST_LESS_SECOND = np.array([1.0, -1.0])


def proportions(trials: int) -> Iterator[Row]:
    """Coverage for the share of hits of one embedder."""
    for captions, queries, p in grid():
        random, tally, media = seeded(1, captions, queries, p), Tally(p), queries // captions
        sizes = np.full(media, float(captions))
        for trial in range(trials):
            totals = random.binomial(captions, p if captions == 1 else chances(random, p, media), media).astype(float)
            tally.add("used", clustered_wilson(totals, sizes))
            if trial % CONTRASTS == 0:
                ends = stats.binom.ppf([0.025, 0.975], queries, totals.sum() / queries) / queries
                tally.add("query bootstrap", (ends[0], ends[1]))
                tally.add_bootstraps(one_task(totals[:, None], captions), ONE)
        yield {"captions": captions, "queries": queries, "media": media, "p": p} | tally.row()


def reciprocal_ranks(trials: int) -> Iterator[Row]:
    """Coverage for a mean of 1 / rank; ranks are geometric, and media hard or easy: a good embedder and a poor one."""
    for captions in CAPTIONS:
        for queries in QUERIES:
            for easy in (np.array([0.05, 0.7]), np.array([0.001, 0.02])):
                truth = float(np.mean(-easy / (1 - easy) * np.log(easy)))
                random, tally, media = seeded(2, captions, queries, truth), Tally(truth), queries // captions
                sizes = np.full(media, float(captions))
                for trial in range(trials):
                    values = 1 / random.geometric(easy[random.integers(2, size=(media, 1))], (media, captions))
                    totals = values.sum(axis=1)
                    tally.add("used", clustered_wilson(totals, sizes, relative_variance(values.ravel())))
                    if trial % CONTRASTS == 0:
                        half = 1.96 * values.std() / np.sqrt(queries)  # what a bootstrap of queries comes to
                        tally.add("query bootstrap", (values.mean() - half, values.mean() + half))
                        tally.add_bootstraps(one_task(totals[:, None], captions), ONE)
                yield {"captions": captions, "queries": queries, "media": media, "mean": truth} | tally.row()


def suite_means(trials: int) -> Iterator[Row]:
    """Coverage of the mean of three tasks that find the same media hard, weighted 1/4, 1/4, 1/2: from the intervals of the
    tasks, and from those as if the tasks were independent."""
    weights = np.array([0.25, 0.25, 0.5])
    for captions in (1, 5):
        for media in (20, 50, 200):
            for shares in ((0.02, 0.02, 0.02), (0.5, 0.5, 0.5), (0.1, 0.3, 0.05), (0.02, 0.5, 0.98)):
                random, tally = seeded(8, captions, media, *shares), Tally(float(weights @ shares))
                sizes = np.full((media, 3), float(captions))
                for _ in range(trials):
                    hits = random.binomial(captions, alike_chances(random, shares, media)).astype(float)
                    found = ClusterSums(hits[:, :, None], sizes)
                    each = [clustered_wilson(hits[:, n], sizes[:, n]) for n in range(3)]
                    tally.add("used", mean_interval(found, weights, each))
                    tally.add("tasks apart", mean_interval(apart(found), weights, each))
                named = {f"p{n + 1}": p for n, p in enumerate(shares)}
                yield {"captions": captions, "media": media} | named | tally.row()


def differences(trials: int) -> Iterator[Row]:
    """Coverage for the difference of two embedders, without and with a true one; and how often the equivalence test finds it
    to lie within a margin that it just reaches, at 5 %."""
    for captions, queries, p in grid():
        for kept in (1.0, 0.9):
            truth, media = p * (1 - kept), queries // captions
            random, tally, equivalent = seeded(3, captions, queries, p, kept), Tally(truth), 0
            for trial in range(trials):
                found = one_task(paired_hits(random, p, kept, media, captions), captions)
                span = over_other_queries(found, ONE, FIRST_LESS_SECOND)
                tally.add("used", span)
                if truth > 0:
                    equivalent += equivalence(sum(span) / 2, standard_error(span), truth) <= 0.05
                if trial % CONTRASTS == 0:
                    tally.add_bootstraps(found, FIRST_LESS_SECOND)
            cell = {"captions": captions, "queries": queries, "media": media, "p": p, "difference": round(truth, 4)}
            yield cell | tally.row() | ({"equivalent": equivalent / trials} if truth > 0 else {})


def tests(trials: int) -> Iterator[Row]:
    """How often sign flips reject at 5 % two embedders that are equally good."""
    for captions, queries, p in grid():
        random, media = seeded(4, captions, queries, p), queries // captions
        exact = mid = discordant = 0
        for _ in range(trials):
            test = sign_flip(paired_hits(random, p, 1.0, media, captions) @ FIRST_LESS_SECOND)
            exact, mid, discordant = exact + (test.p <= 0.05), mid + (test.mid_p <= 0.05), discordant + test.discordant
        cell = {"captions": captions, "queries": queries, "media": media, "p": p, "discordant": discordant / trials}
        yield cell | {"exact": exact / trials, "mid-p": mid / trials}


def suites(trials: int) -> Iterator[Row]:
    """The same over three tasks on the same media, weighted 1/4, 1/4, 1/2: the interval, the interval that takes the tasks
    for independent, and the test by random flips."""
    weights = np.array([0.25, 0.25, 0.5])
    for captions in (1, 5):
        for media in (50, 200):
            random, tally, exact = seeded(5, captions, media), Tally(0.0), 0
            for trial in range(trials):
                chance = np.stack([chances(random, 0.5, media) for _ in range(2)], axis=1)
                totals = random.binomial(captions, chance[:, None, :], (media, 3, 2)).astype(float)
                found = ClusterSums(totals, np.full((media, 3), float(captions)))
                tally.add("used", over_other_queries(found, weights, FIRST_LESS_SECOND))
                tally.add("tasks apart", over_other_queries(apart(found), weights, FIRST_LESS_SECOND))
                exact += sign_flip(found.contributions(weights, FIRST_LESS_SECOND), 999, trial).p <= 0.05
            cell = {"captions": captions, "media": media} | tally.row()
            yield cell | {"size of test": exact / trials}


def other_tasks(trials: int) -> Iterator[Row]:
    """Coverage for other tasks, whose differences are normal with a spread of 0.05 and 0.02 in two granularities."""
    for counts in ((2, 2), (4, 4), (8, 4), (20, 20)):
        random, tally = seeded(6, *counts), Tally(0.01)
        groups = [str(g) for g, count in enumerate(counts) for _ in range(count)]
        spread = np.repeat([0.05, 0.02], counts)
        for _ in range(trials):
            found = over_other_tasks(random.normal(0.01, spread), groups)
            assert found is not None  # tasks differ with probability one
            tally.add("used", found)
        yield {"coarse tasks": counts[0], "fine tasks": counts[1]} | tally.row()


def ranks(trials: int) -> Iterator[Row]:
    """How often the rank sets of five embedders, two of them equally good, hold all true ranks at once."""
    shares = np.array([0.6, 0.55, 0.5, 0.5, 0.3])
    for media in (50, 200):
        random, held, width = seeded(7, media), 0, 0.0
        count = len(range(0, trials, CONTRASTS))
        for _ in range(count):
            alike = random.random((media, 1)) < 0.5  # of these media, a better embedder finds all that a worse one does
            hits = np.where(alike, random.random((media, 1)), random.random((media, 5))) < shares
            drawn = resample(one_task(hits.astype(float), 1), RESAMPLES)
            sets = rank_sets(drawn.sums.means[0], drawn.draws[:, 0])
            low, high = 1 + (shares[:, None] < shares).sum(axis=1), (shares[:, None] <= shares).sum(axis=1)
            held += bool(((sets[:, 0] <= low) & (high <= sets[:, 1])).all())
            width += float((sets[:, 1] - sets[:, 0] + 1).mean())
        yield {"media": media, "used": held / count, "ranks left open": width / count}


SECTIONS: dict[str, Callable[[int], Iterator[Row]]] = {
    section.__name__: section
    for section in (proportions, reciprocal_ranks, suite_means, differences, tests, suites, other_tasks, ranks)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--only", choices=SECTIONS)
    options = parser.parse_args()
    start = time.process_time()
    found = {}
    for name in [options.only] if options.only else SECTIONS:
        found[name] = list(SECTIONS[name](options.trials))
        print(written({name: found[name]}, options.trials) + "\n", flush=True)
    print("\n".join(["outside their bars:", *missed(found)]))
    if options.only is None:
        minutes = round((time.process_time() - start) / 60, 1)
        figures = {"trials": options.trials, "minutes": minutes, **found}
        (FIGURES / "calibration.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        (FIGURES / "calibration.md").write_text(written(found, options.trials) + "\n", encoding="utf-8")
        page = PAGE.read_text(encoding="utf-8")
        before, after = page.split(MARKS[0])[0], page.split(MARKS[1])[1]
        tables = "\n\n".join([MARKS[0], written(found, options.trials), MARKS[1]])
        PAGE.write_text(before + tables + after, encoding="utf-8")


if __name__ == "__main__":
    main()
