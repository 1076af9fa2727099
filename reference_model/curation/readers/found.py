"""What readers give: rows with their place, and records that cannot be rows with the reason. Nothing is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reference_model.curation.pool import Placed
from reference_model.curation.rows import Granularity, Row, Stage
from reference_model.curation.sources import Source
from unite_bench.errors import DataError
from unite_bench.items import Item
from unite_bench.spec.model import Column


class BadRecord(DataError):
    """A record that is no row. `reason` is one of few, to be counted; the message says more."""

    def __init__(self, reason: str, detail: str = ""):
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason)


@dataclass(frozen=True)
class Bad:
    """A record that could not be read, where it stands, and why."""

    source: str
    file: str
    at: int
    reason: str
    detail: str


Found = Placed | Bad
Items = tuple[Item, Item, tuple[Item, ...]]  # query, target, negatives


@dataclass(frozen=True)
class Labels:
    """From a source's declarations and a record to a row; `stages` says the stage of each granularity."""

    source: Source
    stages: Mapping[Granularity, Stage]

    def row(self, number: int, items: Items, record: Mapping[str, Any]) -> Row:
        """Raises BadRecord for a granularity that is none, DataError for a column that is not there."""
        source = self.source
        granularity = _cell(source.granularity, record)
        if granularity not in list(self.stages):  # a list, as a cell may be one too, which has no hash
            raise BadRecord("unknown granularity", f"{granularity!r} is none of {', '.join(self.stages)}")
        return Row(
            id=f"{source.name}:{number}",
            source=source.name,
            query=items[0],
            target=items[1],
            negatives=items[2],
            granularity=granularity,
            topic=unicode(str(_cell(source.topic, record)), "topic"),
            weight=source.weight,
            unmasked=source.unmasked,
            both=source.both,
            stage=source.stage or self.stages[granularity],
        )

    def found(
        self, records: Iterator[tuple[str, int, Any]], items: Callable[[str, int, Any], Items]
    ) -> Iterator[Found]:
        """Rows and bad records of (file, number in the file, record), numbered through over all files."""
        for number, (file, at, record) in enumerate(records):
            if number == self.source.first:
                return
            try:
                if isinstance(record, BadRecord):
                    raise record
                if not isinstance(record, Mapping):
                    raise BadRecord("not an object", f"found {type(record).__name__}")
                yield Placed(self.row(number, items(file, at, record), record), file, at)
            except BadRecord as error:
                yield Bad(self.source.name, file, at, error.reason, str(error))


def _cell(value: Any, record: Mapping[str, Any]) -> Any:
    if not isinstance(value, Column):
        return value
    found = record.get(value.column)
    if found is None:
        raise BadRecord("empty column", f"{value.column!r} has no value in this row")
    return found


def path_of(text: str, where: str) -> str:
    """The text, if a file can be called so. Raises BadRecord."""
    if "\0" in text:
        raise BadRecord("not a path", f"{where} holds a null character")
    return unicode(text, where)


def unicode(text: str, where: str) -> str:
    """The text, if it can be written as UTF-8: JSON may hold halves of characters. Raises BadRecord."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRecord("not Unicode", f"{where}: {error.reason}") from error
    return text
