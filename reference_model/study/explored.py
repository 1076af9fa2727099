"""What was looked at after the verdicts, to say what stands behind them: no hypothesis, no correction, no verdict.

python -m reference_model verdicts --explored
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from reference_model.study.verdicts import Runs

TASKS = ("t2i", "i2t", "t2t", "t2v", "v2t", "t2it", "it2i", "vt2v")
CROSS = ("t2i", "i2t", "t2v", "v2t")  # from one modality to another
MAMCL, INFONCE = "mask/mamcl", "mask/infonce"
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Look:
    """An arm against another on the mean of some keys of a run. `less` are two arms whose difference is taken off."""

    what: str
    arm: str
    against: str
    keys: tuple[str, ...]
    less: tuple[str, str] | None = None


def _union(tasks: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"union-{task}" for task in tasks)


def _without(*left: str) -> tuple[str, ...]:
    return tuple(task for task in TASKS if task not in left)


LOOKS = (
    Look("own pools without text to text", MAMCL, INFONCE, _without("t2t")),
    Look("own pools, across modalities", MAMCL, INFONCE, CROSS),
    Look("union without fused targets", MAMCL, INFONCE, _union(_without("t2it"))),
    Look("union, across modalities", MAMCL, INFONCE, _union(CROSS)),
    Look("union without fused targets", "mask/homogeneous", INFONCE, _union(_without("t2it"))),
    Look("union without fused targets", "mask/soft-0.01", INFONCE, _union(_without("t2it"))),
    Look("own pools", MAMCL, "mask/soft-0.1", TASKS),
    Look("union", MAMCL, "mask/soft-0.1", _union(TASKS)),
    Look("bias", MAMCL, "mask/soft-0.1", ("bias",)),
    Look("own pools", "mask/infonce-both", INFONCE, TASKS),
    Look("union", "mask/infonce-both", INFONCE, _union(TASKS)),
    Look("own pools", MAMCL, "mask/infonce-both", TASKS),
    Look("own pools, across modalities", MAMCL, "mask/infonce-both", CROSS),
    Look("own pools without text to text", "mask/mamcl-paper-like", "mask/infonce-paper-like", _without("t2t")),
    Look("own pools, across modalities", "mask/mamcl-paper-like", "mask/infonce-paper-like", CROSS),
    Look(
        "own pools: the gain at equal shares, less that at UNITE's",
        MAMCL,
        INFONCE,
        TASKS,
        ("mask/mamcl-paper-like", "mask/infonce-paper-like"),
    ),
)


def explored(runs: Runs) -> str:
    """Markdown: what MAMCL does to each task against InfoNCE, then the looks; in points, p of Student's test as it is."""
    heads = "| task | own pool | difference [95 %] | union | difference [95 %] |"
    return "\n".join([heads, "|---|---|---|---|---|", *_by_task(runs), "", *_looks(runs)])


def _by_task(runs: Runs) -> Iterator[str]:
    for task in TASKS:
        cells = [task]
        for key in (task, f"union-{task}"):
            pair = [[values[key] for (name, _), values in runs.items() if name == arm] for arm in (INFONCE, MAMCL)]
            found = _differences(runs, Look("", MAMCL, INFONCE, (key,)))
            cells += [" → ".join(f"{100 * np.mean(own):.1f}" for own in pair), _interval(found)]
        yield f"| {' | '.join(cells)} |"


def _looks(runs: Runs) -> Iterator[str]:
    yield "| what | arm | against | difference [95 %] | p, not corrected | seeds |"
    yield "|---|---|---|---|---|---|"
    for look in LOOKS:
        found = _differences(runs, look)
        p = float(stats.ttest_1samp(found, 0.0).pvalue)
        said = f"{p:.3f}" if p >= 0.001 else "< 0.001"
        yield f"| {look.what} | {look.arm} | {look.against} | {_interval(found)} | {said} | {found.size} |"


def _differences(runs: Runs, look: Look) -> Doubles:
    """(seeds,) over the seeds that all of its arms have."""
    arms = [look.arm, look.against, *(look.less or ())]
    seeds = sorted(set.intersection(*({seed for name, seed in runs if name == arm} for arm in arms)))
    means = [np.array([np.mean([runs[arm, seed][key] for key in look.keys]) for seed in seeds]) for arm in arms]
    found = means[0] - means[1]
    return np.asarray(found - (means[2] - means[3]) if look.less else found)


def _interval(found: Doubles) -> str:
    half = float(stats.t.ppf(0.975, found.size - 1) * found.std(ddof=1) / np.sqrt(found.size))
    mean = float(found.mean())
    return f"{100 * mean:+.1f} [{100 * (mean - half):+.1f}, {100 * (mean + half):+.1f}]"
