"""Which protocol gives a published number: every plausible reading of a task, scored from vectors that are stored.

Papers leave open what moves a score by points: who wins a tie, whether equal candidates are one, which of several captions
count, whether an instruction was given, whether "R@1" is a hit or a recall, whether scores were rescored by dual softmax.
Most of these need no new vector.
A reading that does is named, and scored only if encoding is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from unite_bench.encode.run import Encoder
from unite_bench.errors import DataError, NotStored, UsageError
from unite_bench.evaluation import evaluate, not_for
from unite_bench.protocol import Settings, in_words
from unite_bench.published import Published
from unite_bench.results import Result
from unite_bench.spec.measures import parse_measure
from unite_bench.spec.model import Task

TEMPERATURES = (0.01, 0.05, 0.1)
RELATIVES = {"hit": "recall", "recall": "hit", "ndcg": "ndcg_exp", "ndcg_exp": "ndcg"}


@dataclass(frozen=True)
class Printed:
    """A published score of one task, in percent. It stands for every number within `rounding` of it."""

    checkpoint: str
    source: str
    measure: str
    score: float
    rounding: float


@dataclass(frozen=True)
class Reading:
    """One way to understand the task: the task as read, the settings of the run, and what they are called."""

    words: str
    task: Task
    settings: Settings


@dataclass(frozen=True)
class Attempt:
    """A reading under one measure: its score with the 95 % interval in percent, or (None) why it has none."""

    words: str
    task: str
    measure: str
    score: float | None = None
    interval: tuple[float, float] = (0.0, 0.0)
    missing: str = ""

    def off(self, printed: Printed) -> float | None:
        """Points above the printed score."""
        return None if self.score is None else self.score - printed.score

    def matches(self, printed: Printed) -> bool:
        off = self.off(printed)
        return off is not None and abs(off) <= printed.rounding + 1e-9


def printed_scores(files: Iterable[Published], task: str, checkpoint: str) -> list[Printed]:
    """What was published of this checkpoint on this task. Raises UsageError with the names there are, if nothing was."""
    found, known = [], []
    for file in files:
        for row in file.rows:
            for name, score in row.scores.items():
                if file.columns[name].task != task:
                    continue
                known.append(row.checkpoint)
                if row.checkpoint.lower() == checkpoint.lower():
                    digits = max(_digits(value) for value in row.scores.values())
                    source = f"{file.name}: {file.source_of(row)}"
                    printed = Printed(row.checkpoint, source, file.columns[name].measure, score, 0.5 * 10.0**-digits)
                    found.append(printed)
    if not found:
        there = f"there are scores of {', '.join(sorted(set(known)))}" if known else "nobody's are known"
        raise UsageError(f"no published score of {checkpoint!r} on {task}; {there}")
    return found


def as_printed(score: str, measure: str, checkpoint: str) -> Printed:
    """A number as a paper prints it. Raises UsageError if it is none, or the measure is not known."""
    try:
        value, name = float(score), str(parse_measure(measure))
    except ValueError as error:
        raise UsageError(f"--score {score} --measure {measure}: {error}") from error
    digits = len(score.partition(".")[2])
    return Printed(checkpoint, "as given", name, value, 0.5 * 10.0**-digits)


def attempts(encoder: Encoder, tasks: Sequence[Task], measure: str, settings: Settings) -> Iterator[Attempt]:
    """Every reading of these tasks (one, or several that a paper may mean) under the measure and its relatives."""
    measures = [measure, *_relatives(measure)]
    for task in tasks:
        for reading in readings(task, settings, encoder):
            asked = reading.task.model_copy(update={"metrics": measures, "primary": measure, "expected": None})
            asked = asked.in_folder(task.folder)
            if reason := not_for(encoder.embedder, asked, reading.settings):
                yield Attempt(reading.words, task.name, measure, missing=reason)
                continue
            try:
                result = evaluate(encoder, asked, reading.settings)
            except (NotStored, DataError) as reason:
                yield Attempt(reading.words, task.name, measure, missing=str(reason))
                continue
            yield from (_attempt(reading, result, m) for m in measures)


def readings(task: Task, settings: Settings, encoder: Encoder) -> Iterator[Reading]:
    """The plausible readings of one task, beginning with the task and settings as they are."""
    for captions in _rules_of_captions(task):
        for shown in _ways_to_show(task, settings, encoder):
            for changes, of_task in _ways_to_rank(task):
                chosen, changed = replace(shown, **changes), captions | of_task
                said = [in_words(asdict(chosen)), *(f"{key}: {value}" for key, value in changed.items())]
                words = ", ".join(filter(None, said)) or "as the task says"
                yield Reading(words, task.model_copy(update=changed).in_folder(task.folder), chosen)


def _rules_of_captions(task: Task) -> list[dict[str, str]]:
    """Changes of the task that take several captions otherwise; none where its judgements say which caption is whose."""
    if task.captions is None or task.qrels != "by-row":
        return [{}]
    rules = ("each", "first", "concatenated") if task.captions_ask else ("any-of", "each", "first", "concatenated")
    return [{}, *({"captions": rule} for rule in rules if rule != task.captions)]


def _ways_to_show(task: Task, settings: Settings, encoder: Encoder) -> list[Settings]:
    """What items look like to the model: each of these has vectors of its own."""
    sides = (task.queries, *task.corpora)
    ways = [settings]
    if any(side.instruction is not None for side in sides):
        wordings: list[Any] = ["task", "none", *(["published"] if all(side.published for side in sides) else [])]
        ways += [replace(settings, instructions=wording) for wording in wordings if wording != settings.instructions]
    own = replace(settings, instructions="model")
    if own != settings and own.own_wording(task, encoder.embedder.card) is not None:
        ways.append(own)
    clips = any(side.video is not None for side in sides)
    if clips and encoder.embedder.card.frames is not None:
        ways += [replace(way, frames="native" if way.frames == "controlled" else "controlled") for way in ways]
    return ways


def _ways_to_rank(task: Task) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Changes of settings and of the task that need no new vector."""
    yield {}, {}
    yield {"compat": "mmeb"}, {}
    yield {"compat": "trec"}, {}
    for rule in ("merge", "keep", "by-name"):
        if rule != task.duplicates:
            yield {}, {"duplicates": rule}
    for temperature in TEMPERATURES:
        yield {"dual_softmax": temperature}, {}


def _attempt(reading: Reading, result: Result, measure: str) -> Attempt:
    measured = result.record["measures"][measure]
    scale = 1.0 if parse_measure(measure).name == "median_rank" else 100.0
    span = (scale * measured["low"], scale * measured["high"])
    return Attempt(reading.words, reading.task.name, measure, scale * measured["value"], span)


def _relatives(measure: str) -> list[str]:
    """Measures that papers take for this one."""
    name, _, cutoff = measure.partition("@")
    return [f"{RELATIVES[name]}@{cutoff}"] if name in RELATIVES else []


def _digits(value: float) -> int:
    """How many digits after the point a number was written with, as far as can be seen."""
    return len(f"{value:.10f}".rstrip("0").partition(".")[2])
