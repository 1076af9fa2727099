"""Training records of UNITE: {"query": SIDE, "candidate": SIDE, "negative"?: SIDE or a list, "target_modal"?: "text,image"}.

SIDE is {"text"?, "image"?, "video"?}, media being a path or a list of paths. `<|IMAGE|>` and `<|VIDEO|>` in a text mark
where the media stand. Two things that the published code leaves to chance are fixed: an image without a mark comes first
instead of being dropped (its ret_dataset.py:131), and no order of keys decides the order of parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reference_model.curation.readers.found import BadRecord, Found, Items, Labels, path_of
from reference_model.curation.readers.json_stream import values
from reference_model.curation.readers.sides import text_of
from reference_model.curation.readers.tables import jsonl
from reference_model.curation.rows import relative
from reference_model.curation.sources import UniteSource
from unite_bench.items import File, Image, Item, Part, Text, Video, modality

MARKS = {"<|IMAGE|>": "image", "<|VIDEO|>": "video"}
_SPLIT = re.compile("(" + "|".join(re.escape(mark) for mark in MARKS) + ")")
_SIDES = {"query", "candidate", "negative", "target_modal"}


def read(source: UniteSource, labels: Labels, folder: Path, root: Path) -> Iterator[Found]:
    """Rows and bad records of the file."""
    path = folder / source.path
    media = path.parent if source.media is None else folder / source.media
    name, records = relative(path, root), jsonl(path) if path.suffix == ".jsonl" else values(path)
    return labels.found(
        ((name, at, value) for at, value in enumerate(records)), lambda _file, _at, value: items_of(value, media)
    )


def items_of(record: Mapping[str, Any], media: Path) -> Items:
    """Query, target, negatives. Raises BadRecord, also where `target_modal` is not what the candidate holds."""
    missing = [name for name in ("query", "candidate") if not isinstance(record.get(name), Mapping)]
    if missing:
        raise BadRecord("no query or candidate", f"{missing[0]!r} is not an object in the record")
    negative = record.get("negative") or []
    negatives = negative if isinstance(negative, list) else [negative]
    query, target = side_item(record["query"], media), side_item(record["candidate"], media)
    said = record.get("target_modal")
    if said is not None and modality(re.split(r"[,+\s]+", str(said).strip())) != target.modality:
        raise BadRecord("target_modal contradicts", f"it says {said!r}, the candidate is {target.modality}")
    return query, target, tuple(side_item(one, media) for one in negatives)


def side_item(side: Any, media: Path) -> Item:
    """Parts in the order of the marks; media without any mark come first, images before videos."""
    if not isinstance(side, Mapping):
        raise BadRecord("not an object", f"a side is {type(side).__name__}")
    unknown = sorted(set(side) - {"text", "image", "video"})
    if unknown:
        raise BadRecord("unknown key", f"{unknown[0]!r} in a side; known: text, image, video")
    waiting: dict[str, list[Part]] = {
        "image": [Image(File(media / path)) for path in _paths(side.get("image"))],
        "video": [Video(File(media / path)) for path in _paths(side.get("video"))],
    }
    text = side.get("text")
    pieces = _SPLIT.split(text_of(text, "text")) if text not in (None, "") else []
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


def _paths(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [] if value in (None, "") else [value]
    if not all(isinstance(path, str) and path for path in listed):
        raise BadRecord("not a path", f"a medium is {value!r}"[:200])
    return [path_of(path, "the path of a medium") for path in listed]
