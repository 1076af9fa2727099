"""A task told in plain words: what is asked, what is right, what it is ranked against, how much of it is known."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from unite_bench.report.catalogue import Entry, data_of, modalities, status_of
from unite_bench.spec.measures import Measure, parse_measure
from unite_bench.spec.model import Column, PerQuery, PlannedTask, QrelsFile, Side, Task
from unite_bench.spec.source_kinds import (
    HUB_SOURCES,
    AnySource,
    BeirSource,
    FilesSource,
    ScenesSource,
)

WIDTH = 110  # of a line
ARTICLE = {"image": "an image", "mixed": "one of several forms"}
MEASURES = {
    "hit": "the share of queries with something right among the first {k}",
    "recall": "the share of what is right that stands among the first {k}",
    "precision": "the share of the first {k} that is right",
    "mrr": "the mean of 1 / rank of the first that is right",
    "map": "the mean precision at each right one among the first {k}",
    "ndcg": "the gain of the first {k}, discounted by rank, against the best order",
    "ndcg_exp": "the exponential gain of the first {k}, discounted by rank, against the best order",
    "median_rank": "the median rank of the first that is right",
    "all_first": "the share of queries with everything right before anything else",
    "modality": "the share of the asked form among the first {k}",
    "content": "the share of queries with something right among the first {k} of the asked form",
    "text_score": "the share of quartets where each medium prefers its own text",
    "image_score": "the share of quartets where each text prefers its own medium",
    "group_score": "the share of quartets where all four preferences are right",
    "pairwise": "the share of the four comparisons of a quartet that are right",
}
STATUS = {
    "own": "made for this benchmark or by its user, after no paper",
    "verified": "compared with published numbers",
    "reconstructed": "after a paper whose test files were not released",
    "unverified": "written from what is known of the dataset, never run against it",
    "incomplete": "something is missing",
}
CAPTIONS = {
    "any-of": "any of a medium's captions is right",
    "first": "only the first of a medium's captions counts",
    "each": "each of a medium's captions is a pair of its own",
    "concatenated": "a medium's captions are joined to one text",
}


def in_words(entry: Entry) -> list[str]:
    """The whole task, a line for each thing that there is to say."""
    asked, *answers = (_some(side) for side in modalities(entry))
    found = answers[0] if len(set(answers)) == 1 else "one of several forms"
    among = _among(entry) if isinstance(entry, Task) else ""
    title = f": {entry.title}" if entry.title else ""
    lines = [f"{entry.name}@{entry.version}{title}", f"Given {asked}, find {found}{among}.", ""]
    told = _of_plan(entry) if isinstance(entry, PlannedTask) else _of_task(entry)
    return lines + [line for word, text in told for line in _wrapped(word, text)]


def _wrapped(word: str, text: str) -> list[str]:
    """A word and what there is to say of it; without a word, a point of the one above."""
    first = f"  {word:<12} " if word else f"{'- ':>17}"
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)


def _of_plan(entry: PlannedTask) -> Iterator[tuple[str, str]]:
    yield "missing", "it cannot run before this is known:"
    yield from (("", what) for what in entry.missing)
    yield "granularity", entry.granularity
    yield "measures", _measures(entry.primary, entry.metrics)
    yield "size", _size(entry)
    yield "dataset", entry.dataset or "none is named"
    yield from _known(entry)


def _of_task(task: Task) -> Iterator[tuple[str, str]]:
    yield "granularity", task.granularity
    yield "queries", _side(task.queries)
    for side in task.corpora:
        yield "candidates", _side(side)
    yield "right", _right(task)
    if task.captions is not None:
        yield "captions", f"{task.captions}: {CAPTIONS[task.captions]}"
    if task.quartets is not None:
        yield "quartets", "two queries and two candidates go together, as hard negatives of each other"
    if task.exclude_self:
        yield "left out", "candidates that equal the query"
    if task.control is not None:
        yield "control", f"of {task.control.of}: {task.control.kind}"
    yield "measures", _measures(task.primary, task.metrics)
    yield "size", _size(task)
    for source in task.sources:
        yield "data", _source(source)
    if data_of(task) == "to fetch":
        yield "", f"not on this machine: `unite-bench data get {task.name}` says its size and licence, and fetches it"
    yield from _known(task)


def _known(entry: Entry) -> Iterator[tuple[str, str]]:
    """How far the task is known, and who has seen it."""
    status = status_of(entry)
    source = f"; from {entry.protocol.source}" if entry.protocol.source else ""
    yield "status", f"{status}: {STATUS[status]}{source}"
    yield "licence", entry.licence or "not stated"
    yield "seen by", ", ".join(entry.trained_on) or "no training set that is known to contain it"
    if entry.notes:
        yield "notes", entry.notes


def _some(kind: str) -> str:
    return ARTICLE.get(kind) or " with ".join(ARTICLE.get(part, f"a {part}") for part in kind.split("+"))


def _among(task: Task) -> str:
    if isinstance(task.pool, PerQuery):
        return " in the query's own list"
    return " among all candidates" if task.pool == "corpus" else " among the candidates of all corpora together"


def _side(side: Side) -> str:
    kinds = [(kind, getattr(side, kind)) for kind in ("image", "video", "text")]
    parts = [f"{kind} of column {column!r}" for kind, column in kinds if column is not None]
    told = ", ".join(parts) + (f" ({' and '.join(side.optional)} where there is one)" if side.optional else "")
    if isinstance(side.instruction, Column):
        told += f"; instruction of column {side.instruction.column!r}"
    elif side.instruction is not None:
        told += f"; instruction {side.instruction!r}"
    if side.video is not None:
        policy = side.frame_policy
        shown = (
            f"{policy.frames} frames, {policy.sampling}" if policy.fps is None else f"{policy.fps:g} frames a second"
        )
        told += f"; {shown}{', shuffled' if policy.order == 'shuffled' else ''}"
    return told


def _right(task: Task) -> str:
    if task.qrels == "by-row":
        return "the candidate of the query's row"
    if task.qrels == "source":
        return "what the dataset's judgements say"
    if isinstance(task.qrels, QrelsFile):
        return f"what the judgements in {task.qrels.file} say"
    assert isinstance(task.qrels, Column)
    return f"what column {task.qrels.column!r} of the query names"


def _measures(primary: str, metrics: list[str]) -> str:
    measure: Measure = parse_measure(primary)
    others = ", ".join(name for name in metrics if name != primary)
    return f"{primary}, {MEASURES[measure.name].format(k=measure.k)}" + (f"; also {others}" if others else "")


def _size(entry: Entry) -> str:
    expected = entry.expected
    counts = [] if expected is None else [("queries", expected.queries), ("candidates", expected.candidates)]
    known = [f"{count:,} {what}" for what, count in counts if count is not None]
    if expected is None or not known:
        return "not known before the data are read"
    return ", ".join(known) + (" (counted)" if expected.status == "verified" else " (as a source states, not counted)")


def _source(source: AnySource) -> str:
    if isinstance(source, HUB_SOURCES):
        named = [getattr(source, key, None) for key in ("config", "language", "split")]
        archive = getattr(source, "archive", None)
        media = f"; media in {archive.file} of {archive.dataset or source.dataset}" if archive else ""
        return f"{source.dataset} at {source.revision[:12]}, {'/'.join(filter(None, named))}{media}"
    if isinstance(source, ScenesSource):
        return f"the procedural world: table {source.table}, seed {source.seed}, part {source.part}"
    assert isinstance(source, FilesSource | BeirSource)
    return source.path
