"""The parts of one side of many rows: which of them are equal, where they stand, and their texts on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.steps.keys import Ints, Keys, keys_of, leaders, mixed, text_keys
from reference_model.curation.steps.texts import normalised
from unite_bench.errors import MediaError
from unite_bench.items import KINDS, Image, Item, Kind, Part, Text, Video

BLOCK = 8192  # items held at a time
MOST_PLACES = 4096


@dataclass(frozen=True)
class Occurrences:
    """The parts of one kind. Occurrence k stands in row `rows[k]` (its position among the rows asked for) at `places[k]`
    and is distinct part `numbers[k]`; `first[d]` is the first occurrence of distinct part d. An instruction is a text at
    place 0, the parts of the item follow from 1."""

    rows: Ints
    places: Ints
    numbers: Ints
    first: Ints


@dataclass
class _Growing:
    rows: list[Ints] = field(default_factory=list)
    places: list[Ints] = field(default_factory=list)
    keys: list[Keys] = field(default_factory=list)

    def done(self) -> Occurrences:
        first, numbers = np.unique(leaders(np.concatenate(self.keys)), return_inverse=True)
        return Occurrences(np.concatenate(self.rows), np.concatenate(self.places), numbers.astype(np.int64), first)


class Texts:
    """Texts one after the other in a file, read by number."""

    def __init__(self, path: Path, starts: Ints):
        self._starts = starts
        self._data = np.memmap(path, dtype=np.uint8, mode="r") if starts[-1] else np.zeros(0, np.uint8)

    def __getitem__(self, number: int) -> str:
        return self._data[self._starts[number] : self._starts[number + 1]].tobytes().decode("utf-8", "surrogatepass")


def occurrences(pool: Pool, rows: Numbers, side: Side, path: Path) -> tuple[dict[Kind, Occurrences], Texts]:
    """All parts of a side of `rows` by kind, and the normalised text of every occurrence of a text, written to `path`.

    Texts are equal when they are so once normalised, media when their bytes are. Raises MediaError naming the row.
    """
    growing: dict[Kind, _Growing] = {kind: _Growing() for kind in KINDS}
    lengths = [np.zeros(1, np.int64)]
    with path.open("wb") as file:
        for start in range(0, rows.size, BLOCK):
            found: dict[Kind, list[tuple[int, int, str]]] = {kind: [] for kind in KINDS}
            for position, item in enumerate(pool.items(rows[start : start + BLOCK], side), start):
                if item.instruction is not None:
                    found["text"].append((position, 0, normalised(item.instruction)))
                for place, part in enumerate(item.parts, 1):
                    found[part.kind].append((position, place, _content(part, item)))
            for kind, entries in found.items():
                at, places, contents = zip(*entries, strict=True) if entries else ((), (), ())
                growing[kind].rows.append(np.array(at, np.int64))
                growing[kind].places.append(np.array(places, np.int64))
                growing[kind].keys.append(text_keys(contents) if kind == "text" else keys_of(contents))
                if kind == "text":
                    lengths.append(_write(file, contents))
    return {kind: part.done() for kind, part in growing.items()}, Texts(path, np.cumsum(np.concatenate(lengths)))


def part_keys(pool: Pool, rows: Numbers, side: Side) -> tuple[Ints, npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Every part of a side of `rows`: its row's position (m,), a key (m,) that is equal for equal parts of any side, and
    whether it says what the item is (m,): media do, and texts of items that are texts alone. Instructions are left out.
    Raises MediaError naming the row."""
    positions, contents, telling = [], [], []
    for position, item in enumerate(pool.items(rows, side)):
        alone = all(isinstance(part, Text) for part in item.parts)
        for part in item.parts:
            positions.append(position)
            contents.append(f"{part.kind} {_content(part, item)}")
            telling.append(alone or not isinstance(part, Text))
    return np.array(positions, np.int64), text_keys(contents)[:, 0], np.array(telling, np.bool_)


def _content(part: Part, item: Item) -> str:
    if isinstance(part, Text):
        return normalised(part.text)
    return medium_digest(part, item.id)


def medium_digest(part: Image | Video, row: str) -> str:
    """Hex digest of the picture or clip itself, whichever of its frames are shown. Raises MediaError naming the row."""
    try:
        return part.source_digest if isinstance(part, Video) else part.digest
    except MediaError as error:
        raise MediaError(f"row {row}: {error}; the step `validity` finds and drops such rows") from error


def _write(file: BinaryIO, texts: Sequence[str]) -> Ints:
    raw = [text.encode("utf-8", "surrogatepass") for text in texts]
    file.write(b"".join(raw))
    return np.array([len(text) for text in raw], dtype=np.int64)


def distinct_media(pool: Pool, rows: Numbers, side: Side, of: Occurrences) -> Iterator[tuple[Image | Video, str]]:
    """The first occurrence of every distinct picture or clip, in order, and the id of its row."""
    positions, places = of.rows[of.first], of.places[of.first]
    unique, starts = np.unique(positions, return_index=True)  # occurrences are in the order of rows
    for item, own in zip(pool.items(rows[unique], side), np.split(places, starts[1:]), strict=True):
        for place in own.tolist():
            part = item.parts[place - 1]
            assert not isinstance(part, Text)
            yield part, item.id


def labels(count: int, of: Mapping[Kind, Occurrences], numbers: Mapping[Kind, Ints]) -> Keys:
    """A key for each of `count` rows from kind, place and number of its parts, (count, 2): equal parts, equal key.

    `numbers[kind]` (distinct,) says as which distinct part each distinct part counts.
    """
    out = np.zeros((count, 2), dtype=np.uint64)
    for code, kind in enumerate(KINDS):
        own = numbers[kind][of[kind].numbers].astype(np.uint64) * np.uint64(MOST_PLACES)
        own = (own + of[kind].places.astype(np.uint64)) * np.uint64(8)
        for word in range(2):
            np.add.at(out[:, word], of[kind].rows, mixed(own + np.uint64(2 * code + word)))
    return out
