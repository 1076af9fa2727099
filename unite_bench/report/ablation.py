"""A baseline and its variants: which parts each has, its score over a suite, and the difference with interval and test.

The variants stand in a YAML file, the baseline first:

    variants:
      full: [mask, hard negatives]
      no-mask: [hard negatives]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from unite_bench.errors import UsageError
from unite_bench.report.comparison import CORRECTIONS, Difference, suite_differences
from unite_bench.report.comparison_tables import CORRECTED, p_value
from unite_bench.report.entries import IN_DOMAIN, NOTES, Asked, measured
from unite_bench.report.leaderboard import TARGET, notes, percent
from unite_bench.report.pairing import paired
from unite_bench.report.table import MISSING, Cell, Row, Table
from unite_bench.results import read
from unite_bench.spec.model import Suite, Task
from unite_bench.spec.reader import checked
from unite_bench.spec.source_kinds import Strict
from unite_bench.spec.yaml_reader import read as read_yaml

HELD, LEFT_OUT = Cell("✓"), Cell("")


class Ablation(Strict):
    """Embedder to the parts it has; the first is the baseline."""

    variants: Annotated[dict[str, list[str]], Field(min_length=2)]


def ablation_table(
    file: Path, suite: Suite, tasks: Sequence[Task], paths: Sequence[Path], correction: str = "holm", digits: int = 1
) -> Table:
    """One row a variant. Raises SpecError for a wrong file, UsageError where a task lacks a result of a variant."""
    variants = checked(Ablation, read_yaml(file)).variants
    baseline = next(iter(variants))
    parts = list(dict.fromkeys(part for held in variants.values() for part in held))
    labels = [task.label for task in tasks]
    pairs = paired(paths, list(variants), labels)
    lacking = sorted(set(labels) - {pair.label for pair in pairs})
    if lacking:
        raise UsageError(
            f"a variant has no result of {', '.join(lacking)}; a mean over fewer tasks is no mean of the suite"
        )
    differences = suite_differences([(suite.name, pairs)], list(variants), correction)
    found = {d.pair[1]: d for d in differences if d.pair[0] == baseline}
    tested = CORRECTIONS[correction](np.array([d.test.p for d in found.values()]))
    p_values = dict(zip(found, tested.tolist(), strict=True))
    marks, beats = _marked(tasks, paths, set(variants))
    rows = []
    for name, held in variants.items():
        checks = [HELD if part in held else LEFT_OUT for part in parts]
        score = next(iter(found.values())).scores[0] if name == baseline else found[name].scores[1]
        shown = Cell(percent(score, digits), score, beats[name] and IN_DOMAIN not in marks[name], marks[name])
        rest = _difference(found[name], p_values[name], digits) if name in found else (MISSING,) * 3
        rows.append(Row(name, (*checks, shown, *rest)))
    queries = sum(len(pair.values) for pair in pairs)
    caption = (
        f"{suite.title or suite.name}: score above chance in percent, and the difference to {baseline}; {len(pairs)} tasks; "
        f"n = {queries:,} queries. {TARGET} p: sign flips by cluster, two-sided, corrected by {CORRECTED[correction]} over "
        f"{len(found)} differences.{pairs[0].protocol}"
    )
    return Table(caption, "variant", (*parts, "score", "difference", "95 % interval", "p"), tuple(rows), notes(rows))


def _difference(found: Difference, p: float, digits: int) -> tuple[Cell, Cell, Cell]:
    """The variant less the baseline, its interval and its corrected p-value."""
    low, high = -found.interval[1], -found.interval[0]
    shown = f"[{percent(low, digits)}, {percent(high, digits)}]"
    value = -found.difference
    return Cell(percent(value, digits), value, False, (), (low, high)), Cell(shown), Cell(p_value(p))


def _marked(
    tasks: Sequence[Task], paths: Sequence[Path], names: set[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, bool]]:
    """What must be read with each variant's score, and whether it beats chance anywhere."""
    results = [result for result in map(read, paths) if result.embedder in names]
    entries = measured([Asked.of(task) for task in tasks], results)
    held = {entry.name: {mark for score in entry.scores.values() for mark in score.marks} for entry in entries}
    marks = {name: tuple(mark for mark in NOTES if mark in found) for name, found in held.items()}
    return marks, {entry.name: any(score.beats_chance for score in entry.scores.values()) for entry in entries}
