"""The catalogue of tasks as rows: what each asks, how large it is, how far its protocol is known, who has seen it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unite_bench.report.leaderboard import LETTERS
from unite_bench.report.table import Cell, Row, Table
from unite_bench.sources.opening import missing_datasets
from unite_bench.spec.model import PlannedTask, Task
from unite_bench.spec.source_kinds import HUB_SOURCES

Entry = Task | PlannedTask
COLUMNS = ("asks", "granularity", "queries", "candidates", "measure", "protocol", "data", "licence", "seen by")


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; None wants all."""

    granularity: str | None = None
    modality: str | None = None

    def wants(self, entry: Entry) -> bool:
        kinds = {kind for side in _modalities(entry) for kind in side.split("+")}
        return (self.granularity in (None, entry.granularity)) and (self.modality is None or self.modality in kinds)


def catalogue_table(entries: Iterable[Entry]) -> Table:
    """One row an entry."""
    rows = [
        Row(
            entry.name,
            tuple(
                Cell(text)
                for text in (
                    asks(entry),
                    entry.granularity,
                    _count(entry, "queries"),
                    _count(entry, "candidates"),
                    entry.primary,
                    protocol_of(entry),
                    data_of(entry),
                    entry.licence or "-",
                    ", ".join(entry.trained_on) or "-",
                )
            ),
        )
        for entry in entries
    ]
    return Table(_counted(row.cells[5].text for row in rows), "task", COLUMNS, tuple(rows))


def asks(entry: Entry) -> str:
    """Query and candidate modality as papers write them."""
    query, *targets = ("+".join(LETTERS.get(kind, "?") for kind in side.split("+")) for side in _modalities(entry))
    return f"{query}→{targets[0] if len(set(targets)) == 1 else 'any'}"


def protocol_of(entry: Entry) -> str:
    """How far the protocol is known; `incomplete` for what cannot run."""
    return "incomplete" if isinstance(entry, PlannedTask) else entry.protocol.status


def data_of(entry: Entry) -> str:
    """Where the data are: with the package, on this machine, or still to be fetched."""
    if isinstance(entry, PlannedTask):
        return "-"
    if not any(isinstance(source, HUB_SOURCES) for source in entry.sources):
        return "bundled"
    return "to fetch" if missing_datasets(entry) else "here"


def in_words(entry: PlannedTask) -> Sequence[str]:
    """A planned task told in plain lines."""
    lines = [
        f"{entry.name}@{entry.version}: {entry.title or ''}",
        f"asks {asks(entry)}, {entry.granularity}; {entry.primary}",
    ]
    lines += [f"dataset: {entry.dataset}"] if entry.dataset else []
    lines += ["It is incomplete and cannot run. What is missing:", *(f"  - {what}" for what in entry.missing)]
    lines += [f"protocol: {entry.protocol.status}, from {entry.protocol.source or 'no source'}"]
    return lines + ([f"notes: {entry.notes}"] if entry.notes else [])


def _modalities(entry: Entry) -> list[str]:
    if isinstance(entry, PlannedTask):
        return [entry.queries.modality, entry.candidates.modality]
    sides = (entry.queries, *entry.corpora)
    return [side.modality if isinstance(side.modality, str) else "mixed" for side in sides]


def _count(entry: Entry, side: str) -> str:
    expected = entry.expected
    value = None if expected is None else getattr(expected, side)
    if value is None:
        return "-"
    return f"{value:,}" + ("" if expected is not None and expected.status == "verified" else "?")


def _counted(statuses: Iterable[str]) -> str:
    counts = Counter(statuses)
    told = ", ".join(
        f"{counts[name]} {name}" for name in ("own", "verified", "reconstructed", "unverified", "incomplete")
    )
    return f"{sum(counts.values())} tasks by protocol: {told}. A number with ? is not verified."
