"""The catalogue of tasks as rows: what each asks, how large it is, how far its protocol is known, who has seen it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from unite_bench.report.layout import LETTERS
from unite_bench.report.table import Cell, Row, Table
from unite_bench.sources.opening import missing_datasets
from unite_bench.spec.model import PlannedTask, Task
from unite_bench.spec.source_kinds import HUB_SOURCES

Entry = Task | PlannedTask
QUESTION = " A number with ? is not verified."
COLUMNS = ("asks", "granularity", "queries", "candidates", "measure", "status", "data", "licence", "seen by", "source")
STATUSES = ("own", "verified", "reconstructed", "unverified", "incomplete")


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; None wants all."""

    granularity: str | None = None
    modality: str | None = None
    status: str | None = None

    def wants(self, entry: Entry) -> bool:
        kinds = {kind for side in modalities(entry) for kind in side.split("+")}
        if self.modality is not None and self.modality not in kinds:
            return False
        return self.granularity in (None, entry.granularity) and self.status in (None, status_of(entry))


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
                    status_of(entry),
                    data_of(entry),
                    entry.licence or "-",
                    ", ".join(entry.trained_on) or "-",
                    entry.protocol.source or "-",
                )
            ),
        )
        for entry in entries
    ]
    return Table(counted(row.cells[5].text for row in rows) + QUESTION, "task", COLUMNS, tuple(rows))


def status_table(suites: Mapping[str, Sequence[Entry]]) -> Table:
    """How many tasks of each suite have which status; the last row counts every task once."""
    once = {entry.name: entry for entries in suites.values() for entry in entries}
    rows = []
    for name, entries in {**suites, "all of them": list(once.values())}.items():
        counts = Counter(map(status_of, entries))
        cells = (len(entries), *(counts[status] for status in STATUSES))
        rows.append(Row(name, tuple(Cell(str(count)) for count in cells), below_rule=name not in suites))
    return Table("", "suite", ("tasks", *STATUSES), tuple(rows))


def asks(entry: Entry) -> str:
    """Query and candidate modality as papers write them."""
    query, *targets = ("+".join(LETTERS.get(kind, "?") for kind in side.split("+")) for side in modalities(entry))
    return f"{query}→{targets[0] if len(set(targets)) == 1 else 'any'}"


def status_of(entry: Entry) -> str:
    """How far the protocol is known; `incomplete` for what cannot run."""
    return "incomplete" if isinstance(entry, PlannedTask) else entry.protocol.status


def data_of(entry: Entry) -> str:
    """Where the data are: with the package, on this machine, or still to be fetched."""
    if isinstance(entry, PlannedTask):
        return "-"
    if not any(isinstance(source, HUB_SOURCES) for source in entry.sources):
        return "bundled"
    return "to fetch" if missing_datasets(entry) else "here"


def modalities(entry: Entry) -> list[str]:
    """The modality of the queries, then of each corpus; `mixed` where every row has its own."""
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


def counted(statuses: Iterable[str]) -> str:
    """Tasks by status in one line."""
    counts = Counter(statuses)
    told = ", ".join(f"{counts[name]} {name}" for name in STATUSES)
    return f"{sum(counts.values())} tasks: {told}."
