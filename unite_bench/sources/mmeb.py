"""Tasks of MMEB (Jiang et al., arXiv 2410.05160; MMEB-V2: Meng et al., arXiv 2507.04590) as two tables.

A row holds a query and its own list of candidates, of which the first is the positive one. The published code gives a
candidate a name (its text, its picture's path, or both) and takes equal names for one candidate, whose first mention wins;
so does this. Instructions are kept apart from texts, and the published image token is taken off them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unite_bench.errors import DataError
from unite_bench.sources.hub import open_rows
from unite_bench.sources.tables import Table
from unite_bench.spec.source_kinds import HubSource, MmebSource

IMAGE_TOKEN = "<|image_1|>"
COLUMNS = ("qry_inst", "qry_text", "qry_img_path", "tgt_text", "tgt_img_path")


def open_mmeb(source: MmebSource, side: str) -> Table:
    """`queries`: id, instruction, text, image, positive, pool. `candidates`: id, instruction, text, image."""
    published = open_rows(
        HubSource(
            kind="hub",
            dataset=source.dataset,
            config=source.config,
            split=source.split,
            revision=source.revision,
        )
    )
    missing = [column for column in COLUMNS if column not in published.columns]
    if missing:
        raise DataError(f"{published.name}: no column {missing[0]!r}; it has {', '.join(published.columns)}")
    if side == "queries":
        rows = [_query(row, n, source.named_by, published) for n, row in enumerate(published.rows)]
        return Table(published.name, ("id", "instruction", "text", "image", "positive", "pool"), rows)
    named: dict[str, Mapping[str, Any]] = {}
    for n, row in enumerate(published.rows):
        for candidate in _candidates(row, source.named_by, published.where(n)):
            named.setdefault(candidate["id"], candidate)
    return Table(published.name, ("id", "instruction", "text", "image"), list(named.values()))


def _query(row: Mapping[str, Any], number: int, named_by: str, published: Table) -> dict[str, Any]:
    pool = [candidate["id"] for candidate in _candidates(row, named_by, published.where(number))]
    return {
        "id": str(number),
        "instruction": _instruction(row["qry_inst"]),
        "text": row["qry_text"] or None,
        "image": row["qry_img_path"] or None,
        "positive": pool[0],
        "pool": list(dict.fromkeys(pool)),
    }


def _candidates(row: Mapping[str, Any], named_by: str, where: str) -> list[dict[str, Any]]:
    texts, images = (_listed(row[column]) for column in ("tgt_text", "tgt_img_path"))
    length = max(len(texts), len(images))
    if length == 0:
        raise DataError(f"{where}: the row has no candidates")
    texts, images = (list(side) + [""] * (length - len(side)) for side in (texts, images))
    instruction = _instruction(row.get("tgt_inst"))
    found = []
    for text, image in zip(texts, images, strict=True):
        name = {"text": text, "image": image, "image+text": f"{image}:{text}"}[named_by]
        found.append({"id": name, "instruction": instruction, "text": text or None, "image": image or None})
    return found


def _listed(cell: Any) -> Sequence[str]:
    return [cell] if isinstance(cell, str) else [str(value) for value in cell or ()]


def _instruction(cell: Any) -> str | None:
    """The instruction without the image token; None where there is none."""
    said = str(cell or "").replace(IMAGE_TOKEN, "").strip()
    return said or None
