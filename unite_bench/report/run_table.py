"""The table at the end of a run: every task with its primary measure, interval and chance."""

from __future__ import annotations

from collections.abc import Sequence

from unite_bench.report.layout import arrow
from unite_bench.report.protocols import one_protocol
from unite_bench.running import Outcome
from unite_bench.spec.catalogue import tasks_root

HEAD = ("task", "kind", "form", "measure", "score", "95 % interval", "chance", "pool")


def run_table(outcomes: Sequence[Outcome]) -> str:
    """Plain text, one line a task; tasks without a result say why."""
    rows = [HEAD, *(_row(outcome) for outcome in outcomes)]
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(HEAD))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(w) if i < 4 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines + _notes(outcomes))


def _row(outcome: Outcome) -> tuple[str, ...]:
    task, result = outcome.task, outcome.result
    first = (task.name, task.granularity, arrow(task), task.primary)
    if result is None:
        return (*first, outcome.status)
    measured = result.record["measures"][task.primary]
    scale, digits = (1, 1) if task.primary == "median_rank" else (100, 1)
    spans = f"{scale * measured['low']:.{digits}f} to {scale * measured['high']:.{digits}f}"
    data = result.record["data"]
    return (
        *first,
        f"{scale * measured['value']:.{digits}f}{'†' if result.record['contamination'] == 'in-domain' else ''}",
        spans,
        f"{scale * measured['chance']:.{digits}f}",
        str(data["candidates"]) if result.record["protocol"]["pool"] != "per-query" else "own",
    )


def _notes(outcomes: Sequence[Outcome]) -> list[str]:
    protocol = one_protocol(outcome.result for outcome in outcomes if outcome.result is not None)
    shipped = any(outcome.task.folder.is_relative_to(tasks_root()) for outcome in outcomes)
    claim = " Not a claim of ability: small, partly procedural data." if shipped else ""
    lines = ["", f"Scores, intervals and chance in percent.{claim}{protocol}"]
    if any(o.result is not None and o.result.record["contamination"] == "in-domain" for o in outcomes):
        lines.append("† trained on this task's train split or on its generator (in-domain).")
    said: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.status != "done":
            said.setdefault(f"{outcome.status}: {outcome.reason}", []).append(outcome.task.name)
        elif outcome.result is not None:
            for warning in outcome.result.record["warnings"]:
                said.setdefault(f"warning: {warning}", []).append(outcome.task.name)
    return lines + [f"{reason} ({_few(names)})" for reason, names in said.items()]


def _few(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    more = [f"and {len(names) - 3} more"] if len(names) > 4 else []
    return ", ".join([*(names[:3] if more else names), *more])
