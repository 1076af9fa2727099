"""Several captions of one medium: what is asked and what is right, by the rule that a task names.

A pair of a medium and its captions is one row with a list, or several rows with the same medium. Under `first` and
`concatenated` a medium has one text. Under `any-of` (texts as candidates) a medium asks once, and each of its captions is
right. Under `each` every caption makes a pair of its own: as a query its medium is right; as a candidate it is the
only right one, and its medium asks once for each of them. docs/captions.md works an example by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unite_bench.errors import DataError
from unite_bench.items import Item
from unite_bench.sources.judgements import Judgements
from unite_bench.sources.rows import items_of
from unite_bench.sources.tables import Table
from unite_bench.spec.model import Side, Task


@dataclass(frozen=True)
class Pairs:
    """Tables of one item a row; `positives` holds the rows of candidates that are right for each row of queries.

    Queries of equal `clusters` share a medium.
    """

    queries: Table
    candidates: Table
    positives: tuple[tuple[int, ...], ...]
    clusters: tuple[str, ...]

    def judgements(self, queries: Sequence[Item], candidates: Sequence[Item]) -> Judgements:
        """The positives by id."""
        return {
            query.id: {candidates[at].id: 1.0 for at in held}
            for query, held in zip(queries, self.positives, strict=True)
        }


@dataclass(frozen=True)
class _Medium:
    """The first row of a medium, and (row, caption) for each of its captions."""

    row: int
    captions: tuple[tuple[int, str], ...]


def paired(task: Task, queries: Table, candidates: Table) -> Pairs:
    """The tables of a task with `captions` and `qrels: by-row`, with one item a row.

    Raises DataError if the two sides have not the same rows, or a row has no caption.
    """
    if len(queries.rows) != len(candidates.rows):
        raise DataError(
            f"{queries.name}: qrels by-row, but {len(queries.rows)} queries and {len(candidates.rows)} candidates"
        )
    (candidate_side,) = task.corpora
    if task.captions_ask:
        texts, text_side, media, media_side = queries, task.queries, candidates, candidate_side
    else:
        texts, text_side, media, media_side = candidates, candidate_side, queries, task.queries
    held = [_ruled(task, texts, medium) for medium in _media(task, texts, text_side, media, media_side)]
    told = _texts(held, texts, text_side)
    places = _places(held)
    if task.captions_ask:
        groups = [str(at) for at, own in enumerate(places) for _ in own]
        answers = tuple((at,) for at, own in enumerate(places) for _ in own)
        return Pairs(told, _rows(media, [medium.row for medium in held]), answers, tuple(groups))
    if task.captions == "each":
        asked = _repeated(held, media, media_side)
        groups = [str(at) for at, own in enumerate(places) for _ in own]
        return Pairs(asked, told, tuple((at,) for own in places for at in own), tuple(groups))
    asked = _rows(media, [medium.row for medium in held])
    return Pairs(asked, told, tuple(places), tuple(str(at) for at in range(len(held))))


def check_captions(task: Task, judged: Judgements, findings: list[str]) -> None:
    """Where judgements say which caption is whose, a caption must be that of one medium alone."""
    media_of: dict[str, set[str]] = {}
    for query, answers in judged.items():
        for candidate in answers:
            text, medium = (query, candidate) if task.captions_ask else (candidate, query)
            media_of.setdefault(text, set()).add(medium)
    for text, media in media_of.items():
        if len(media) > 1:
            findings.append(
                f"{task.name}: text {text!r} is judged right for {len(media)} media; it is no caption of one: "
                "leave out `captions`"
            )


def _media(task: Task, texts: Table, text_side: Side, media: Table, media_side: Side) -> list[_Medium]:
    """Rows of equal media together, in the order in which they come; all apart with `duplicates: keep`."""
    items = items_of(task, media_side, media, "candidate", {})
    held: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        known = item.parts and task.duplicates != "keep"
        held.setdefault(item.content if known else f"row {number}", []).append(number)
    return [
        _Medium(rows[0], tuple((n, caption) for n in rows for caption in _captions(texts, text_side, n)))
        for rows in held.values()
    ]


def _captions(texts: Table, side: Side, row: int) -> list[Any]:
    cell = texts.rows[row].get(str(side.text))
    found = cell if isinstance(cell, list) else [cell]
    if not found:
        raise DataError(f"{texts.where(row)}: column {side.text!r} holds no caption")
    return found


def _ruled(task: Task, texts: Table, medium: _Medium) -> _Medium:
    if task.captions == "first":
        return _Medium(medium.row, medium.captions[:1])
    if task.captions == "concatenated":
        row, captions = medium.captions[0][0], [caption for _, caption in medium.captions]
        if not all(isinstance(caption, str) and caption.strip() for caption in captions):
            raise DataError(f"{texts.where(row)}: a caption that is to be joined with others is empty or no text")
        return _Medium(medium.row, ((row, " ".join(caption.strip() for caption in captions)),))
    return medium


def _places(held: Sequence[_Medium]) -> list[tuple[int, ...]]:
    """The rows of the table of texts that are each medium's."""
    places, start = [], 0
    for medium in held:
        places.append(tuple(range(start, start + len(medium.captions))))
        start += len(medium.captions)
    return places


def _texts(held: Sequence[_Medium], table: Table, side: Side) -> Table:
    """One row a caption; of several captions in one row the ids get a number."""
    rows: list[Mapping[str, Any]] = []
    lines: list[int] = []
    for medium in held:
        shared = [row for row, _ in medium.captions]
        for n, (row, caption) in enumerate(medium.captions):
            number = f".{n - shared.index(row)}" if shared.count(row) > 1 else ""
            rows.append({**table.rows[row], str(side.text): caption, **_numbered(table, side, row, number)})
            lines.append(row)
    return _of(table, rows, lines)


def _repeated(held: Sequence[_Medium], table: Table, side: Side) -> Table:
    """The row of each medium once for each of its captions, with a number in the id."""
    rows = [
        (medium.row, {**table.rows[medium.row], **_numbered(table, side, medium.row, f".{n}")})
        for medium in held
        for n in range(len(medium.captions))
    ]
    return _of(table, [row for _, row in rows], [number for number, _ in rows])


def _numbered(table: Table, side: Side, row: int, number: str) -> dict[str, str]:
    return {side.id: f"{table.rows[row][side.id]}{number}"} if side.id else {}


def _rows(table: Table, numbers: Sequence[int]) -> Table:
    return _of(table, [table.rows[n] for n in numbers], numbers)


def _of(table: Table, rows: Sequence[Mapping[str, Any]], numbers: Sequence[int]) -> Table:
    """Rows made from those of `table` with these numbers; messages still name the line that they came from."""
    lines = None if table.lines is None else [table.lines[n] for n in numbers]
    return Table(table.name, table.columns, rows, lines)
