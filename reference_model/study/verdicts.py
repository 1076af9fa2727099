"""From runs to verdicts, by the rules of PROTOCOL.md. The seed is the unit; arms are paired by seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from reference_model.study.design import ARMS, COMPARISONS, MARGINS, Comparison
from unite_bench.errors import UsageError
from unite_bench.stats.multiplicity import holm

Doubles = npt.NDArray[np.float64]
LEVEL = 0.05
Runs = dict[tuple[str, int], dict[str, Any]]


@dataclass(frozen=True)
class Verdict:
    """Mean difference of arm less other, its 95 % interval and its Holm-adjusted p, both Student's over paired seeds."""

    comparison: Comparison
    seeds: int
    means: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    p: float
    word: str

    @property
    def differs(self) -> bool:
        """Whether the corrected test rejects that there is no difference."""
        return self.p <= LEVEL


def read_runs(path: Path) -> Runs:
    """(arm, seed) -> endpoints. A run that was repeated counts once, as it was first. UsageError if there is no file."""
    if not path.exists():
        raise UsageError(f"{path}: no runs yet; `python -m reference_model study --work FOLDER` makes them")
    runs: Runs = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        runs.setdefault((row["arm"], row["seed"]), with_means(row))
    return runs


def with_means(row: dict[str, Any]) -> dict[str, Any]:
    """The endpoints that are means of others: `images` over both image-text directions, `fine` over the long captions."""
    images, fine = (row["t2i"] + row["i2t"]) / 2, (row["long-t2i"] + row["long-t2v"]) / 2
    return {**row, "images": images, "fine": fine}


def judge(runs: Runs, comparisons: Sequence[Comparison] = COMPARISONS) -> list[Verdict]:
    """Verdicts of all comparisons with two paired seeds or more; p is adjusted among primary ones, and within families."""
    held = [(c, *differences(runs, c)) for c in comparisons]
    held = [(c, d, means) for c, d, means in held if d.size > 1]
    raw = [_p_value(d) for _, d, _ in held]
    groups = [_group(c) for c, _, _ in held]
    adjusted = np.ones(len(held))
    for group in set(groups):
        own = [n for n, other in enumerate(groups) if other == group]
        adjusted[own] = holm(np.array([raw[n] for n in own]))
    return [_verdict(c, d, means, float(p)) for (c, d, means), p in zip(held, adjusted, strict=True)]


def finished(runs: Runs, comparisons: Sequence[Comparison] = COMPARISONS) -> list[Comparison]:
    """Those of the groups within which p is adjusted that have all their runs."""
    lacking = {arm.label for arm in ARMS if any((arm.label, seed) not in runs for seed in range(arm.seeds))}
    open_groups = {_group(c) for c in comparisons if {c.arm, c.against} & lacking}
    return [c for c in comparisons if _group(c) not in open_groups]


def _group(comparison: Comparison) -> str:
    return "primary" if comparison.primary else comparison.family


def differences(runs: Runs, comparison: Comparison) -> tuple[Doubles, tuple[float, float]]:
    """(seeds,) paired differences, and the means of the two arms over those seeds. Raises UsageError where a pair was run in
    two precisions."""
    seeds = sorted(seed for arm, seed in runs if arm == comparison.arm and (comparison.against, seed) in runs)
    for seed in seeds:
        pair = [runs[arm, seed].get("products", "bf16") for arm in (comparison.arm, comparison.against)]
        if pair[0] != pair[1]:
            raise UsageError(
                f"{comparison.arm} was run in {pair[0]} and {comparison.against} in {pair[1]}, seed {seed}; run both on a "
                "processor of one kind"
            )
    values = [[runs[arm, seed][comparison.endpoint] for seed in seeds] for arm in (comparison.arm, comparison.against)]
    first, second = (np.array(each, dtype=np.float64) for each in values)
    return first - second, (float(first.mean()), float(second.mean())) if seeds else (0.0, 0.0)


def _p_value(found: Doubles) -> float:
    """Two-sided, of Student's paired test; 0 or 1 where all differences are equal."""
    error = float(found.std(ddof=1) / np.sqrt(found.size))
    if error == 0.0:
        return float(not found.any())
    return float(2 * stats.t.sf(abs(found.mean()) / error, found.size - 1))


def _verdict(comparison: Comparison, found: Doubles, means: tuple[float, float], p: float) -> Verdict:
    mean, error = float(found.mean()), float(found.std(ddof=1) / np.sqrt(found.size))
    half = {share: float(stats.t.ppf(share, found.size - 1)) * error for share in (0.95, 0.975)}
    margin = MARGINS[comparison.endpoint]
    interval = (mean - half[0.975], mean + half[0.975])
    equivalent = abs(mean) + half[0.95] < margin  # two one-sided tests at 5 %
    more, less = ("more biased", "less biased") if comparison.endpoint == "bias" else ("better", "worse")
    if p <= LEVEL:
        word = (more if mean > 0 else less) + (", within the margin" if equivalent else "")
    else:
        word = "equivalent" if equivalent else "undecided"
    return Verdict(comparison, found.size, means, mean, interval, p, word)


def table(verdicts: Iterable[Verdict]) -> str:
    """Markdown, in points."""
    lines = [
        "| arm | against | endpoint | means | difference [95 %] | p (Holm) | seeds | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for v in verdicts:
        low, high = (100 * end for end in v.interval)
        first, second = (100 * mean for mean in v.means)
        name = f"**{v.comparison.arm}**" if v.comparison.primary else v.comparison.arm
        cells = [name, v.comparison.against, v.comparison.endpoint, f"{first:.1f}, {second:.1f}"]
        cells += [
            f"{100 * v.difference:+.1f} [{low:+.1f}, {high:+.1f}]",
            f"{v.p:.3f}" if v.p >= 0.001 else "< 0.001",
            str(v.seeds),
            v.word,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
