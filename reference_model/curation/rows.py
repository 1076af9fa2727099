"""A row of curation: one training pair, and the canonical JSON of its items.

The JSON is the same wherever the files lie: keys sorted, no spaces, paths relative to a `root` with forward slashes.

    {"instruction": "...", "parts": [PART, ...]}
    PART = {"text": "..."}
         | {"image": MEDIUM} | {"video": MEDIUM, with "start" and "end" in seconds where the clip is a span}
    MEDIUM = {"file": "photos/1.jpg"}                                   a file
           | {"frames": "clips/1"}                                      a folder of frames (video only)
           | {"parquet": "x.parquet", "row": 3, "column": "image"}      a cell that holds encoded bytes
           | {"bank": "NAME", "number": 4}                              decoded pixels (reference_model/train/bank.py)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reference_model.curation.cells import ParquetCell
from unite_bench.errors import DataError
from unite_bench.items import File, Image, Item, Part, Text, Video
from unite_bench.sources.frame_folder import FrameFolder

if TYPE_CHECKING:
    from reference_model.train.bank import Bank

Granularity = Literal["coarse", "fine", "instruction"]
Stage = Literal["adaptation", "instruction"]
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
Banks = Callable[[str], "Bank"]  # from the name of a bank to the bank


@dataclass(frozen=True)
class Row:
    """A query, its target and explicit negatives of that query. `id` is "SOURCE:NUMBER", counted from 0 in its source.

    `weight` is how often the row is drawn, 1 being once. `unmasked` rows compete with candidates of every modality;
    `both` rows are trained from target to query as well. `stage` is where training uses the row.
    """

    id: str
    source: str
    query: Item
    target: Item
    negatives: tuple[Item, ...] = ()
    granularity: Granularity = "coarse"
    topic: str = ""
    weight: float = 1.0
    unmasked: bool = False
    both: bool = False
    stage: Stage = "adaptation"


def item_to_json(item: Item, root: Path) -> str:
    """Canonical JSON of an item; `Item.id` and `Item.published` are not in it.

    Raises DataError for a medium that has no address: bytes held in memory, a scene program.
    """
    written: dict[str, Any] = {"parts": [_part_to_json(part, root) for part in item.parts]}
    if item.instruction is not None:
        written["instruction"] = item.instruction
    return _ENCODER.encode(written)


def item_from_json(text: str, root: Path, banks: Banks | None = None, identity: str = "") -> Item:
    """The item again; `root` is where its paths start, `banks` opens the banks that it names.

    Nothing is read from disk: a missing file is found when it is decoded. Raises DataError for text that is not such JSON
    and for a bank where no `banks` were given.
    """
    try:
        written = json.loads(text)
        parts = tuple(_part_from_json(part, root, banks) for part in written["parts"])
        return Item(parts, written.get("instruction"), identity)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not the JSON of an item ({type(error).__name__}: {error}): {text[:200]}") from error


def relative(path: Path, root: Path) -> str:
    """`path` as written in manifests: from `root`, with forward slashes."""
    return Path(os.path.relpath(path, root)).as_posix()


def _part_to_json(part: Part, root: Path) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"text": part.text}
    medium = _medium_to_json(part.medium, root)
    if isinstance(part, Video):
        medium |= {key: value for key, value in (("start", part.start), ("end", part.end)) if value is not None}
    return {part.kind: medium}


def _medium_to_json(medium: Any, root: Path) -> dict[str, Any]:
    if isinstance(medium, File):
        return {"file": relative(medium.path, root)}
    if isinstance(medium, FrameFolder):
        return {"frames": relative(medium.path, root)}
    if isinstance(medium, ParquetCell):
        return {"parquet": relative(medium.path, root), "row": medium.row, "column": medium.column}
    from reference_model.train.bank import Banked, BankedClip

    if isinstance(medium, Banked | BankedClip):
        return {"bank": medium.bank.folder.name, "number": medium.number}
    raise DataError(f"{medium.name}: a medium without an address cannot stand in a manifest; write it to a file first")


def _part_from_json(part: Mapping[str, Any], root: Path, banks: Banks | None) -> Part:
    ((kind, value),) = part.items()
    if kind == "text":
        return Text(str(value))
    if kind not in ("image", "video"):
        raise ValueError(f"unknown kind of part {kind!r}")
    if "bank" in value:
        if banks is None:
            raise DataError(f"the item stands in bank {value['bank']!r}, but no banks were given to read it from")
        bank, number = banks(value["bank"]), int(value["number"])
        return bank.image(number) if kind == "image" else bank.video(number)
    if kind == "video" and "frames" in value:
        return Video(FrameFolder(root / value["frames"]))
    if "parquet" in value:
        medium: File | ParquetCell = ParquetCell(root / value["parquet"], int(value["row"]), str(value["column"]))
    else:
        medium = File(root / value["file"])
    return Image(medium) if kind == "image" else Video(medium, value.get("start"), value.get("end"))
