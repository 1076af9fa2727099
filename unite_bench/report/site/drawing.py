"""Charts: the geometry of those that templates draw, and, for those that stand in every row of a table, their SVG.

No text from data enters the SVG that is made here, which is why it may be marked as safe.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from unite_bench.report.leaderboard import percent

WIDTH = 200  # of the charts in rows, which show 0 to 100 %
Point = tuple[float, float]
RADIUS = 110.0


@dataclass(frozen=True)
class Spoke:
    """One axis of a radar: where it ends, and where and how its name is anchored."""

    name: str
    end: Point
    label: Point
    anchor: str


@dataclass(frozen=True)
class Radar:
    """Spokes around (0, 0), rings at quarters of RADIUS, and one outline a series: `points` for values that are there, as
    an SVG path that closes where all are."""

    spokes: tuple[Spoke, ...]
    rings: tuple[float, ...]
    outlines: tuple[str, ...]
    points: tuple[Point, ...]


def radar(names: Sequence[str], *series: Sequence[float | None]) -> Radar:
    """Values from 0 (or less) in the middle to 1 at the rim; None leaves a gap. `points` are those of the first series."""
    angles = [2 * math.pi * n / len(names) - math.pi / 2 for n in range(len(names))]
    spokes = tuple(
        Spoke(name, _at(angle, RADIUS), _at(angle, RADIUS + 14), _anchor(angle))
        for name, angle in zip(names, angles, strict=True)
    )
    distances = [[None if value is None else RADIUS * min(1.0, max(0.0, value)) for value in of] for of in series]
    placed = [[None if d is None else _at(a, d) for a, d in zip(angles, of, strict=True)] for of in distances]
    rings = tuple(RADIUS * quarter / 4 for quarter in range(1, 5))
    return Radar(spokes, rings, tuple(map(_outline, placed)), tuple(p for p in placed[0] if p is not None))


def histogram(values: Sequence[float], bins: int = 20) -> list[int]:
    """How many of the values in [0, 1] fall in each of equal bins; the last one holds 1."""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, max(0, int(value * bins)))] += 1
    return counts


def whisker(measured: Mapping[str, float]) -> Markup:
    """A score with its interval, and chance as a tick."""
    low, value, high, chance = (measured[key] for key in ("low", "value", "high", "chance"))
    label = f"{percent(value)}, 95 % interval {percent(low)} to {percent(high)}, chance {percent(chance)}"
    at, tick = WIDTH * value, WIDTH * chance
    box = f'viewBox="-4 0 {WIDTH + 8} 16" width="{WIDTH + 8}" height="16"'
    return Markup(
        f'<svg class="whisker" {box} role="img" aria-label="{label}">'
        f'<path class="axis" d="M0,8H{WIDTH}"/><path class="chance" d="M{tick:.1f},1V15"/>'
        f'<path class="span" d="M{WIDTH * low:.1f},8H{WIDTH * high:.1f}"/>'
        f'<circle class="dot" cx="{at:.1f}" cy="8" r="3.5"/></svg>'
    )


def stack(shares: Sequence[float], names: Sequence[str]) -> Markup:
    """Shares of queries, end to end; the names are those of the bins, which the program gives."""
    label = ", ".join(f"{name}: {percent(share)} %" for name, share in zip(names, shares, strict=True))
    bars, start = "", 0.0
    for n, share in enumerate(shares):
        if share > 0:
            bars += f'<rect class="bin{n}" x="{WIDTH * start:.2f}" width="{WIDTH * share:.2f}" height="12"/>'
        start += share
    return Markup(
        f'<svg class="stack" viewBox="0 0 {WIDTH} 12" width="{WIDTH}" height="12" role="img" '
        f'aria-label="rank of the best positive {label}">{bars}</svg>'
    )


def _at(angle: float, distance: float) -> Point:
    return round(distance * math.cos(angle), 1), round(distance * math.sin(angle), 1)


def _anchor(angle: float) -> str:
    across = math.cos(angle)
    return "middle" if abs(across) < 0.2 else "start" if across > 0 else "end"


def _outline(points: Sequence[Point | None]) -> str:
    """The path through the points; a missing one breaks it."""
    n = len(points)
    if all(points):
        return "M" + "L".join(f"{p[0]},{p[1]}" for p in points if p) + "Z"
    pairs = [(points[i], points[(i + 1) % n]) for i in range(n)]
    return "".join(f"M{a[0]},{a[1]}L{b[0]},{b[1]}" for a, b in pairs if a and b)
