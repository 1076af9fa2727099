"""Intervals for the mean of one embedder that are not used, where the one in use is widest and where they err.

    python benchmarks/calibration_alternatives.py [--trials 10000]

Prints the table of docs/statistics.md. Seeds are fixed; it takes ten seconds on one core. Samples are those of
`calibration.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from calibration_samples import Doubles, chances, seeded
from scipy import special, stats

from unite_bench.stats.bootstrap import Interval
from unite_bench.stats.intervals import clustered_wilson, relative_variance, wilson

POOR = np.array([0.001, 0.02])  # chances of a geometric rank, for hard and for easy media


def plain_design_effect(totals: Doubles, captions: int) -> float:
    """Variance of the mean over that of as many independent hits, from the spread of the clusters alone."""
    share = totals.mean() / captions
    if share in (0.0, 1.0):
        return float(captions)
    return float(totals.var(ddof=1) / captions / (share * (1 - share)))


def on_effective_size(totals: Doubles, captions: int, effect: float, level: float = 0.95) -> Interval:
    effective = totals.size * captions / max(effect, 1e-9)
    return wilson(float(totals.mean()) / captions * effective, effective, level)


def in_use(totals: Doubles, captions: int, relative: float) -> Interval:
    return clustered_wilson(totals, np.full(totals.size, float(captions)), relative)


def students_quantile(totals: Doubles, captions: int, relative: float) -> Interval:
    """The plain design effect, with Student's quantile for z (Korn and Graubard, Survey Methodology 24, 1998)."""
    level = 2 * float(special.ndtr(stats.t.ppf(0.975, totals.size - 1))) - 1
    return on_effective_size(totals, captions, plain_design_effect(totals, captions), level)


def towards_agreement(totals: Doubles, captions: int, relative: float) -> Interval:
    """The plain design effect, drawn towards that of queries which agree, with the weight of one cluster."""
    plain = np.clip(plain_design_effect(totals, captions), min(relative, captions), captions)
    effect = (totals.size * plain + captions * max(relative, 1 / captions)) / (totals.size + 1)
    return on_effective_size(totals, captions, float(effect))


def weight_as_alike(totals: Doubles, captions: int, relative: float) -> Interval:
    """As in use, the added cluster weighing as much as queries of a cluster are seen to be alike."""
    weight = float(np.clip(plain_design_effect(totals, captions) / captions, 1 / captions, 1))
    n = (totals.size + weight) * captions
    share = (totals.sum() + weight * captions / 2) / n
    variance = (((totals - captions * share) ** 2).sum() + weight * captions**2 / 4) / n**2
    effect = np.clip(variance / (share * (1 - share) / n), min(relative, captions), captions)
    return on_effective_size(totals, captions, float(effect))


METHODS: dict[str, Callable[[Doubles, int, float], Interval]] = {
    "in use": in_use,
    "plain design effect, Student's quantile": students_quantile,
    "design effect drawn towards agreement": towards_agreement,
    "weight of the added cluster as queries are alike": weight_as_alike,
}
CELLS = {
    "1 / rank, 5 media of 40": (40, 200, None),
    "1 / rank, 125 media of 40": (40, 5000, None),
    "1 / rank, 200 media of 1": (1, 200, None),
    "hits, p = 0.02, 125 media of 40": (40, 5000, 0.02),
    "hits, p = 0.5, 5 media of 40": (40, 200, 0.5),
}


def samples(captions: int, queries: int, p: float | None, trials: int) -> Iterator[tuple[Doubles, float]]:
    """Totals of the clusters and the relative variance of the values; `p` None: 1 / rank of a poor embedder."""
    random, media = seeded(8, captions, queries, p or 0.0), queries // captions
    for _ in range(trials):
        if p is None:
            values = 1 / random.geometric(POOR[random.integers(2, size=(media, 1))], (media, captions))
            yield values.sum(axis=1), relative_variance(values.ravel())
        else:
            yield random.binomial(captions, chances(random, p, media)).astype(float), 1.0


def coverage(cell: str, trials: int) -> list[float]:
    """Of each method, in their order."""
    captions, queries, p = CELLS[cell]
    truth = float(np.mean(-POOR / (1 - POOR) * np.log(POOR))) if p is None else p
    covered = np.zeros(len(METHODS))
    for totals, relative in samples(captions, queries, p, trials):
        spans = [method(totals, captions, relative) for method in METHODS.values()]
        covered += [low - 1e-12 <= truth <= high + 1e-12 for low, high in spans]
    return [float(share) for share in covered / trials]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials
    columns = [coverage(cell, trials) for cell in CELLS]
    print(f"| method | {' | '.join(CELLS)} |\n|---|{'--:|' * len(CELLS)}")
    for name, row in zip(METHODS, zip(*columns, strict=True), strict=True):
        print(f"| {name} | {' | '.join(f'{share:.3f}' for share in row)} |")


if __name__ == "__main__":
    main()
