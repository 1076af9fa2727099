"""Training material from the real train splits: a folder of sets, each with rows.jsonl and its media.

A row names its picture (`image`) and has words in some of the fields of `wordings`. A set that is not there is left
out, and the log of the run says which were used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reference_model.preprocess import Preprocessing
from reference_model.train.bank import Bank, writing
from unite_bench import media
from unite_bench.errors import DataError
from unite_bench.items import File, Image

PICTURED = ("openclipart", "lucide", "emoji", "flags")


@dataclass(frozen=True)
class Wording:
    """A question and what may be answered: one of `answers`, or `several` of them in a row."""

    asked: str
    answers: tuple[str, ...]
    several: int = 1

    def text(self, rng: np.random.Generator) -> str:
        chosen = rng.permutation(len(self.answers))[: self.several]
        return ", ".join(self.answers[i] for i in chosen)


@dataclass(frozen=True)
class Picture:
    """A banked picture with what is said of it, and its row."""

    bank: Bank
    number: int
    wordings: tuple[Wording, ...]
    row: dict[str, Any]


@dataclass(frozen=True)
class PictureEdit:
    """A picture, what is asked of it, and every picture that answers; edits of one `group` have alike pictures."""

    bank: Bank
    source: int
    text: str
    after: tuple[int, ...]
    group: str


@dataclass(frozen=True)
class Real:
    """Everything that was found: pictures by set, their edits, words with their meanings, and digests of the rows."""

    pictures: dict[str, tuple[Picture, ...]]
    edits: tuple[PictureEdit, ...]
    words: tuple[Wording, ...]
    digests: dict[str, str]
    banks: dict[str, Bank]


def rows_of(data: Path, name: str) -> list[dict[str, Any]]:
    """Rows of one set, empty if it is not there."""
    path = data / name / "rows.jsonl"
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON lines ({error}); build the train splits again") from error


def load_real(data: Path, work: Path, preprocessing: Preprocessing) -> Real:
    """The sets under `data`; their pictures are fitted and banked under `work` once."""
    import hashlib

    pictures: dict[str, tuple[Picture, ...]] = {}
    banks: dict[str, Bank] = {}
    edits: list[PictureEdit] = []
    digests: dict[str, str] = {}
    for name in (*PICTURED, "wordnet"):
        held = data / name / "rows.jsonl"
        if held.exists():
            digests[name] = hashlib.sha256(held.read_bytes()).hexdigest()
    for name in PICTURED:
        rows = rows_of(data, name)
        if not rows:
            continue
        paths = sorted({path for row in rows for path in media_of(row)})
        bank = Bank(work / f"{name}-{digests[name][:12]}")
        if not (bank.folder / "index.npy").exists():
            with writing(bank.folder, preprocessing) as writer:
                for path in paths:
                    writer.add(media.pixels(Image(File(data / name / path)))[np.newaxis])
        number = {path: place for place, path in enumerate(paths)}
        banks[name] = bank
        pictures[name] = tuple(Picture(bank, number[row["image"]], wordings(row), row) for row in rows)
        for row in rows:
            source, *after = (number[path] for path in media_of(row))
            if after:
                edits.append(PictureEdit(bank, source, row["edit"], tuple(after), row["group"]))
    words = tuple(Wording(row["words"], (row["gloss"],)) for row in rows_of(data, "wordnet"))
    return Real(pictures, tuple(edits), words, digests, banks)


def media_of(row: dict[str, Any]) -> list[str]:
    """The picture of a row, then those of its positives, which lie in the same folder under their ids."""
    own = Path(row["image"])
    return [row["image"], *(str(own.with_name(f"{name}{own.suffix}")) for name in row.get("positives", ()))]


def wordings(row: dict[str, Any]) -> tuple[Wording, ...]:
    """What is said of a picture, by the fields that its row has."""
    found = []
    for field, asked, several in (
        ("title", "What is it?", 1),
        ("label", "What kind of thing is it?", 1),
        ("country", "Which country?", 1),
        ("description", "Describe it.", 1),
        ("keywords", "Name some keywords.", 4),
        ("tags", "Name some keywords.", 4),
    ):
        value = row.get(field)
        if value:
            answers = (value,) if isinstance(value, str) else tuple(value)
            found.append(Wording(asked, answers, several))
    if row.get("question"):
        found.append(Wording(row["question"], tuple(row["answers"])))
    return tuple(found)
