"""Training records of UNITE: {"query": SIDE, "candidate": SIDE, "negative"?: SIDE or a list, "target_modal"?: "text,image"}.

SIDE is {"text"?, "image"?, "video"?}, media being a path or a list of paths. `<|IMAGE|>` and `<|VIDEO|>` in a text mark
where the media stand. Two things that the published code leaves to chance are fixed: an image without a mark comes first
instead of being dropped (its ret_dataset.py:131), and no order of keys decides the order of parts. `target_modal` is what
the published mask goes by: where it leaves the text of a candidate out, that text is the candidate's instruction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reference_model.curation.readers.found import BadRecord, Found, Items, Labels, path_of
from reference_model.curation.readers.json_stream import values
from reference_model.curation.readers.sides import text_of
from reference_model.curation.readers.tables import jsonl
from reference_model.curation.rows import relative
from reference_model.curation.sources import UniteSource
from unite_bench.items import Blob, File, Image, Item, Part, Text, Video, modality

Locate = Callable[[str, Any], File | Blob]  # kind and cell -> medium; raises BadRecord
MARKS = {"<|IMAGE|>": "image", "<|VIDEO|>": "video"}
_SPLIT = re.compile("(" + "|".join(re.escape(mark) for mark in MARKS) + ")")
KEYS = ("query", "candidate", "negative", "target_modal")


def read(source: UniteSource, labels: Labels, folder: Path, root: Path) -> Iterator[Found]:
    """Rows and bad records of the file."""
    path = folder / source.path
    media = path.parent if source.media is None else folder / source.media
    name, records = relative(path, root), jsonl(path) if path.suffix == ".jsonl" else values(path)

    def locate(kind: str, cell: Any) -> File:
        if not isinstance(cell, str):
            raise BadRecord("not a path", f"a medium is {cell!r}"[:200])
        return File(media / path_of(cell, f"the path of {kind}"))

    return labels.found(
        ((name, at, value) for at, value in enumerate(records)), lambda _file, _at, value: items_of(value, locate)
    )


def items_of(record: Mapping[str, Any], locate: Locate) -> Items:
    """Query, target, and those negatives that are not empty. Raises BadRecord, also where `target_modal` names media that
    the candidate does not hold, or leaves some out."""
    missing = [name for name in ("query", "candidate") if not isinstance(record.get(name), Mapping)]
    if missing:
        raise BadRecord("no query or candidate", f"{missing[0]!r} is not an object in the record")
    negative = record.get("negative") or []
    negatives = [one for one in (negative if isinstance(negative, list) else [negative]) if not _empty(one)]
    target = _as_said(side_item(record["candidate"], locate), record.get("target_modal"))
    others = (_as_said(side_item(one, locate), record.get("target_modal"), strict=False) for one in negatives)
    return side_item(record["query"], locate), target, tuple(others)


def _as_said(item: Item, said: Any, strict: bool = True) -> Item:
    """The item with its texts as instruction, where `target_modal` counts its media alone. Raises BadRecord where the two
    contradict each other; not for a negative, which may be of any modality, if not `strict`."""
    words = said if isinstance(said, list) else re.split(r"[,+\s]+", str(said or "").strip())
    kinds = {str(word) for word in words if word}
    if not kinds or modality(sorted(kinds)) == item.modality:
        return item
    media = tuple(part for part in item.parts if not isinstance(part, Text))
    if media and {part.kind for part in media} == kinds:
        return Item(media, " ".join(part.text.strip() for part in item.parts if isinstance(part, Text)))
    if strict:
        raise BadRecord("target_modal contradicts", f"it says {said!r}, the candidate is {item.modality}")
    return item


def _empty(side: Any) -> bool:
    return isinstance(side, Mapping) and all(value in (None, "", []) for key, value in side.items() if key != "type")


def side_item(side: Any, locate: Locate) -> Item:
    """Parts in the order of the marks; media without any mark come first, images before videos."""
    if not isinstance(side, Mapping):
        raise BadRecord("not an object", f"a side is {type(side).__name__}")
    unknown = sorted(set(side) - {"text", "image", "video", "type"})
    if unknown:
        raise BadRecord("unknown key", f"{unknown[0]!r} in a side; known: text, image, video")
    waiting: dict[str, list[Part]] = {
        "image": [Image(locate("image", cell)) for cell in _cells(side.get("image"))],
        "video": [Video(locate("video", cell)) for cell in _cells(side.get("video"))],
    }
    text = side.get("text")
    blank = text is None or (isinstance(text, str) and not text.strip() and any(waiting.values()))
    pieces = [] if blank or text == "" else _SPLIT.split(text_of(text, "text"))
    parts: list[Part] = []
    for kind, held in waiting.items():
        marks = sum(MARKS.get(piece) == kind for piece in pieces)
        if marks == 0:
            parts += held
            waiting[kind] = []
        elif marks != len(held):
            raise BadRecord("marks and media differ", f"{marks} marks for {len(held)} of kind {kind}")
    for piece in pieces:
        if piece in MARKS:
            parts.append(waiting[MARKS[piece]].pop(0))
        elif piece.strip():
            parts.append(Text(piece))
    if not parts:
        raise BadRecord("empty side", "neither text nor image nor video")
    return Item(tuple(parts))


def _cells(value: Any) -> list[Any]:
    listed = value if isinstance(value, list) else [] if value in (None, "") else [value]
    if any(cell in (None, "") for cell in listed):
        raise BadRecord("not a path", f"a medium is {value!r}"[:200])
    return listed
