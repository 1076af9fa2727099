"""What an attempt to reproduce a published number found: a table of readings, nearest first, and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence

from unite_bench.report.table import Cell, Row, Table
from unite_bench.reproduction import Attempt, Printed


def reproduction_table(printed: Printed, attempts: Sequence[Attempt]) -> Table:
    """Readings with their score, how far it is off and its 95 % interval. Readings of one score stand in one row."""
    alike: dict[tuple[str, str, float], list[Attempt]] = {}
    for attempt in attempts:
        if attempt.score is not None:
            alike.setdefault((attempt.task, attempt.measure, attempt.score), []).append(attempt)
    rows = []
    for group in sorted(alike.values(), key=lambda group: abs(group[0].off(printed) or 0.0)):
        one = group[0]
        off = one.off(printed)
        assert one.score is not None and off is not None  # only such are grouped
        rows.append(
            Row(
                "; ".join(attempt.words for attempt in group),
                (
                    Cell(one.task),
                    Cell(one.measure),
                    Cell(f"{one.score:.2f}"),
                    Cell(f"{off:+.2f}"),
                    Cell(f"[{one.interval[0]:.1f}, {one.interval[1]:.1f}]"),
                    Cell("matches" if one.matches(printed) else ""),
                ),
            )
        )
    columns = ("task", "measure", "score", "off", "95 % interval", "")
    return Table(_verdict(printed, attempts), "read as", columns, tuple(rows))


def _verdict(printed: Printed, attempts: Sequence[Attempt]) -> str:
    scored = [attempt for attempt in attempts if attempt.score is not None]
    right = [attempt for attempt in scored if attempt.matches(printed)]
    said = [
        f"{printed.checkpoint}, {printed.measure} {printed.score:g} ({printed.source}). "
        f"{len(right)} of {len(scored)} readings match within {printed.rounding:g}"
    ]
    if right:
        said.append(": " + "; ".join(f"{a.words}, {a.measure}" for a in right))
    elif scored:
        nearest = min(scored, key=lambda attempt: abs(attempt.off(printed) or 0.0))
        said.append(f"; the nearest is {abs(nearest.off(printed) or 0.0):.2f} off: {nearest.words}, {nearest.measure}")
    left: dict[str, list[str]] = {}
    for attempt in attempts:
        if attempt.score is None:
            left.setdefault(attempt.missing, []).append(attempt.words)
    said += [f". Not scored, {reason}: {'; '.join(words)}" for reason, words in left.items()]
    return "".join(said) + "."
