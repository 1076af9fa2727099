"""Intervals of a leaderboard's means, from those of their tasks and from which queries share media."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from unite_bench.errors import DataError
from unite_bench.report.entries import Entry
from unite_bench.report.layout import Column, Layout
from unite_bench.results import read_rows
from unite_bench.stats.clusters import ClusterSums
from unite_bench.stats.intervals import Interval
from unite_bench.stats.suites import mean_interval

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """One task's measure in a column: its interval, and `weight` times it (less `offset`) is what it adds."""

    label: str
    measure: str
    interval: Interval
    weight: float
    offset: float


def mean_intervals(
    layout: Layout, entries: Iterable[Entry], files: Mapping[tuple[str, str], Path]
) -> dict[tuple[str, int], Interval]:
    """The 95 % intervals of an embedder's means and totals, and of single tasks above chance: by embedder and number of the
    column. Columns less their controls have none, nor have ranks, published rows, and means with a task missing.

    `files` are results by embedder and task label. Raises StoreError for rows that cannot be read, DataError for rows that
    were written before they held their cluster.
    """
    found = {}
    for entry in entries:
        rows = cache(partial(_rows, files, entry.name))
        for n, column in enumerate(layout.columns):
            if parts := _parts(layout, column, entry):
                found[entry.name, n] = _interval(parts, rows)
    return found


def _parts(layout: Layout, column: Column, entry: Entry) -> list[Part]:
    """Empty where the column has no interval under this entry."""
    if column.controlled or any(measure == "median_rank" for _, measure in column.shares):
        return []
    parts = []
    for (task, measure), share in column.shares.items():
        score = entry.scores.get((task.label, measure))
        if score is None or score.interval is None or score.chance is None:
            return []
        chance = score.chance if layout.corrected else 0.0
        weight = share / (1.0 - chance) if chance < 1.0 else 0.0
        parts.append(Part(task.label, measure, score.interval, weight, weight * chance))
    return parts


def _interval(parts: Sequence[Part], rows: Callable[[str], Rows]) -> Interval:
    offset = sum(part.offset for part in parts)
    if len(parts) == 1:
        low, high = (parts[0].weight * end for end in parts[0].interval)
    else:
        values = [np.array([[row[part.measure]] for row in rows(part.label)], dtype=np.float64) for part in parts]
        clusters = [[str(row["cluster"]) for row in rows(part.label)] for part in parts]
        weights = np.array([part.weight for part in parts])
        low, high = mean_interval(ClusterSums.of(values, clusters), weights, [part.interval for part in parts])
    return low - offset, high - offset


def _rows(files: Mapping[tuple[str, str], Path], embedder: str, label: str) -> Rows:
    path = files[embedder, label]
    rows = read_rows(path)
    if not rows or "cluster" not in rows[0]:
        raise DataError(f"{path.with_suffix('.parquet')}: rows without their cluster; run the task again")
    return rows
