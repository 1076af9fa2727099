"""Figures of what results do not hold (mixtures, scaling, training runs), from CSV files with a header."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unite_bench.errors import DataError
from unite_bench.report.figures.scaling import Curve, scaling
from unite_bench.report.figures.simplex import simplex
from unite_bench.report.figures.training import Panel, training_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[tuple[int, Sequence[str]]]


def simplex_of(path: Path) -> Figure:
    """Columns: three kinds of data (shares or amounts), then the score as a share of 1."""
    header, rows = _read(path, 4, 4)
    found = np.array([_numbers(path, line, row) for line, row in rows])
    text = f"Score by mixture of {', '.join(header[:3])}, in percent, {len(rows)} models; ring: the best. No intervals."
    return simplex(header[:3], found[:, :3], _shares(path, found[:, 3]), text)


def scaling_of(path: Path) -> Figure:
    """Columns: the name of the line, x (its header names the axis), the score as a share of 1, and perhaps the two ends of
    its interval."""
    header, rows = _read(path, 3, 5)
    held: dict[str, list[list[float]]] = {}
    for line, row in rows:
        held.setdefault(row[0], []).append(_numbers(path, line, row[1:]))
    curves = []
    for name, points in held.items():
        x, values, *ends = np.array(sorted(points)).T
        if (x <= 0).any():
            raise DataError(f"{path}: {header[1]} stands on a logarithmic axis and must be positive")
        low, high = ends or (np.full(x.size, np.nan),) * 2
        curves.append(Curve(name, x, _shares(path, values), low, high))
    told = "Bands: intervals as given." if len(header) == 5 else "No intervals."
    text = f"Score over {header[1]}, in percent, {len(rows)} measurements. {told}"
    return scaling(curves, header[1], text)


def training_of(path: Path) -> Figure:
    """Columns: the panel, the name of the line, x (its header names the axis), y."""
    header, rows = _read(path, 4, 4)
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line, row in rows:
        x, y = _numbers(path, line, row[2:])
        panels.setdefault(row[0], {}).setdefault(row[1], []).append((x, y))
    text = f"{', '.join(panels)} over {header[2]}, one run. No intervals."
    drawn = [Panel(title, series) for title, series in panels.items()]
    return training_curves(drawn, header[2], {}, text)


def _read(path: Path, least: int, most: int) -> tuple[list[str], Rows]:
    """The header, and the rows with their line numbers. Raises DataError for another number of columns."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.reader(handle)
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a readable CSV file ({error})") from error
    if len(rows) < 2:
        raise DataError(f"{path}: a header and at least one row are needed")
    header = rows[0][1]
    if len(header) not in (least, most):
        wanted = str(least) if least == most else f"{least} or {most}"
        raise DataError(f"{path}: {len(header)} columns ({', '.join(header)}); this figure takes {wanted}")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: {len(row)} values under {len(header)} columns")
    return header, rows[1:]


def _numbers(path: Path, line: int, row: Sequence[str]) -> list[float]:
    try:
        return [float(value) for value in row]
    except ValueError as error:
        raise DataError(f"{path}:{line}: {error}") from error


def _shares(path: Path, scores: np.ndarray) -> np.ndarray:
    if not ((scores >= -1) & (scores <= 1)).all():
        raise DataError(f"{path}: scores are shares of 1, not percent; one is {scores[np.abs(scores) > 1][:1]}")
    return scores
