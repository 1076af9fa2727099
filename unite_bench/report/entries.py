"""What a leaderboard has to say of each embedder, measured or published, before any column is chosen.

An entry holds scores by task and measure, in [0, 1]; published tables that print only means give those means, under the
name of the layout's column that they belong to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from unite_bench.errors import DataError, UsageError
from unite_bench.items import modality
from unite_bench.published import UNKNOWN as NOT_SAID
from unite_bench.published import Column, Conditions, Published, Row
from unite_bench.report.protocols import compared_protocol, one_protocol
from unite_bench.results import Result
from unite_bench.spec.model import PlannedTask, Task
from unite_bench.submissions import Badge, Submission, badge

IN_DOMAIN = "†"
UNKNOWN = "?"
PROTOCOL = "‡"
SELF_REPORTED = "ˢ"
RERUN = "ʳ"
PUBLISHED = "¶"
PRINTED_MEAN = "§"
DISPUTED = "!"
BETTER, WORSE = "⁺", "⁻"
NOTES = {
    IN_DOMAIN: "trained on this task's train split or on its generator (in-domain); never best.",
    UNKNOWN: "training data not declared; it may contain this task.",
    PROTOCOL: "the published protocol is reconstructed or unverified.",
    SELF_REPORTED: "measured by those who made the model (self-reported).",
    RERUN: "measured again by others, with the same outcome.",
    PUBLISHED: "published by others, under their own protocol; not measured here, and never averaged with what is.",
    PRINTED_MEAN: "a mean as its source prints it.",
    DISPUTED: "disputed or inconsistent:",
    BETTER: "significantly better than",
    WORSE: "significantly worse than",
}
MARK_NAMES = {
    IN_DOMAIN: "in-domain",
    UNKNOWN: "training data unknown",
    PROTOCOL: "protocol unverified",
    SELF_REPORTED: "self-reported",
    RERUN: "rerun by others",
    PUBLISHED: "published",
    PRINTED_MEAN: "printed mean",
    DISPUTED: "disputed",
    BETTER: "significantly better",
    WORSE: "significantly worse",
}


@dataclass(frozen=True)
class Asked:
    """A task as a column knows it, whether it can run or not. `modalities` are those its file names."""

    name: str
    label: str
    primary: str
    modalities: frozenset[str]
    queries: int | None
    trained_on: frozenset[str]

    @classmethod
    def of(cls, entry: Task | PlannedTask) -> Asked:
        if isinstance(entry, Task):
            sides = [side.modality for side in (entry.queries, *entry.corpora)]
        else:
            sides = [entry.queries.modality, entry.candidates.modality]
        named = frozenset(modality(side.split("+")) for side in sides if isinstance(side, str))
        count = entry.expected.queries if entry.expected else None
        label = f"{entry.name}@{entry.version}"
        return cls(entry.name, label, entry.primary, named, count, frozenset(entry.trained_on))


@dataclass(frozen=True)
class Score:
    """One value in [0, 1] (ranks: as they are), with what must be read with it."""

    value: float
    interval: tuple[float, float] | None = None
    chance: float | None = None
    queries: int | None = None
    marks: tuple[str, ...] = ()
    reason: str = ""

    @property
    def beats_chance(self) -> bool:
        """False where the interval reaches down to chance: that is never best."""
        return self.interval is None or self.chance is None or self.interval[0] > self.chance


@dataclass(frozen=True)
class Entry:
    """One row's worth. `scores` by (task label, measure), `means` by layout column (`mmeb/CLS`).

    `protocol` says under which one measured scores came about, "" for the default. `modalities` is None where they are not
    known; then a missing cell is "-" and never "n/a".
    """

    name: str
    scores: Mapping[tuple[str, str], Score]
    means: Mapping[str, Score] = field(default_factory=dict)
    modalities: frozenset[str] | None = None
    backbone: str = NOT_SAID
    size: str = NOT_SAID
    published: bool = False
    marks: tuple[str, ...] = ()
    protocol: str = ""

    def can(self, task: Asked) -> bool:
        """Whether the embedder declares what the task asks for, as far as both are known."""
        return self.modalities is None or task.modalities <= self.modalities


def measured(
    tasks: Sequence[Asked], results: Iterable[Result], told: Mapping[str, Submission] | None = None
) -> list[Entry]:
    """One entry an embedder with a whole result of one of these tasks; `told` says who measured.

    Raises what `latest` raises.
    """
    entries = []
    for name, of in latest(tasks, results).items():
        submission, own = (told or {}).get(name), list(of.values())
        entries.append(_entry(name, own, None if submission is None else badge(submission, own)))
    return entries


def published(
    files: Iterable[Published], tasks: Mapping[str, Asked], means: Mapping[str, Sequence[Asked]]
) -> list[Entry]:
    """One entry a row that has a score of one of these tasks (by name) or means (by layout column, with their tasks)."""
    entries = []
    for file in files:
        under_file = Counter(row.checkpoint for row in file.rows if row.source is None)
        for row in file.rows:
            conditions = file.conditions_of(row)
            scores, averages = {}, {}
            for name, value in row.scores.items():
                column = file.columns[name]
                if column.task is not None and column.task in tasks:
                    task = tasks[column.task]
                    scores[task.label, column.measure] = _printed(value, row, name, column, conditions, [task])
                elif column.mean is not None and column.mean in means:
                    averages[column.mean] = _printed(value, row, name, column, conditions, means[column.mean])
            if scores or averages:
                own = row.source or (conditions.run_by if under_file[row.checkpoint] > 1 else None)
                where = file.name if own is None else f"{file.name}: {own}"
                name = f"{row.checkpoint} ({where})"
                entries.append(Entry(name, scores, averages, None, row.backbone, row.size, True, marks=(PUBLISHED,)))
    return entries


def latest(tasks: Sequence[Asked | Task], results: Iterable[Result]) -> dict[str, dict[str, Result]]:
    """Embedder to task label to its one result.

    Partial results are never tabled, and what cannot be compared is never in one column. Raises UsageError if there is
    nothing to table, DataError if two results would share a cell, if the results of a column differ in their data, or if any
    differ in their protocol.
    """
    known = {task.label: task for task in tasks}
    held: dict[str, dict[str, Result]] = {}
    shapes: dict[str, tuple[str, Result]] = {}
    for result in results:
        label = result.record["task"]["label"]
        if label not in known or result.record["partial"] or known[label].primary not in result.record["measures"]:
            continue
        of = held.setdefault(result.embedder, {})
        if label in of and of[label].identity != result.identity:
            raise DataError(
                f"{result.embedder} has two different results for {label} (other weights, data or protocol): "
                f"{of[label].identity} and {result.identity}; keep one of them in the folder"
            )
        shape = f"data {result.record['data']['digest'][:12]}, protocol {compared_protocol(result)}"
        first_shape, first = shapes.setdefault(label, (shape, result))
        if shape != first_shape:
            raise DataError(
                f"{label}: {first.embedder} ({first_shape}) and {result.embedder} ({shape}) cannot stand in one column; "
                "tabulate them from separate folders"
            )
        of[label] = result
    if not held:
        raise UsageError("no results for these tasks; `unite-bench run --model NAME --suite NAME` makes them")
    one_protocol(result for of in held.values() for result in of.values())
    return held


def _entry(name: str, results: Sequence[Result], trust: Badge | None) -> Entry:
    scores = {
        (str(result.record["task"]["label"]), measure): _score(result, measured)
        for result in results
        for measure, measured in result.record["measures"].items()
    }
    card = results[0].record["embedder"]
    return Entry(
        name,
        scores,
        modalities=frozenset(card["modalities"]),
        backbone=card.get("backbone") or NOT_SAID,
        size=card.get("size") or NOT_SAID,
        marks=_trust(trust),
        protocol=one_protocol(results),
    )


def _trust(found: Badge | None) -> tuple[str, ...]:
    """Rerun by others, or else self-reported; nothing where nobody said."""
    if found is None:
        return ()
    return (RERUN,) if found.rerun == found.results else (SELF_REPORTED,) * (found.reported == "self")


def _score(result: Result, measured: Mapping[str, float]) -> Score:
    record = result.record
    marks = [{"in-domain": IN_DOMAIN, "unknown": UNKNOWN}.get(record["contamination"], "")]
    marks += [PROTOCOL] if record["task"]["status"] in ("reconstructed", "unverified") else []
    interval = (float(measured["low"]), float(measured["high"]))
    return Score(
        float(measured["value"]),
        interval,
        float(measured["chance"]),
        int(record["data"]["queries"]),
        tuple(filter(None, marks)),
    )


def _printed(
    percent: float, row: Row, name: str, column: Column, conditions: Conditions, tasks: Sequence[Asked]
) -> Score:
    """A published number with its marks; its reason names what is known of how it came about."""
    seen = row.trained_on != NOT_SAID and any(task.trained_on & set(row.trained_on) for task in tasks)
    marks = [IN_DOMAIN if seen else UNKNOWN]  # what is known of others' training data is never all of it
    marks += [SELF_REPORTED] if conditions.reported == "self" else []
    marks += [PRINTED_MEAN] if column.mean is not None else []
    marks += [DISPUTED] if name in row.flags else []
    known = [f"{what}: {text}" for what, text in conditions.model_dump().items() if text != NOT_SAID]
    reason = "; ".join([*([row.flags[name]] if name in row.flags else []), *known])
    return Score(percent / 100, queries=column.queries, marks=tuple(marks), reason=reason)
