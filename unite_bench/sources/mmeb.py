"""Tasks of MMEB (Jiang et al., arXiv 2410.05160; MMEB-V2: Meng et al., arXiv 2507.04590) as two tables.

A row holds a query and its own list of candidates, of which the first is the positive one. The published code gives a
candidate a name (its text, its picture's path, or both) and takes equal names for one candidate, whose first mention wins;
so does this. Instructions are kept apart from texts, and the published image token is taken off them; `published` holds
both in one string, as that code gives them to a model (`unite_bench.sources.mmeb_text`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unite_bench.errors import DataError
from unite_bench.sources.hub import open_rows
from unite_bench.sources.mmeb_text import IMAGE_TOKEN, candidate_text, query_text
from unite_bench.sources.tables import Table
from unite_bench.spec.source_kinds import HubSource, MmebSource

QUOTE = '"'  # the published names leave out the quotation marks around a caption
COLUMNS = ("qry_inst", "qry_text", "qry_img_path", "tgt_text", "tgt_img_path")


def open_mmeb(source: MmebSource, side: str) -> Table:
    """`queries`: id, instruction, text, image, published, positive, pool. `candidates`: id, instruction, text, image,
    published."""
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
        rows = [_query(row, n, source, published) for n, row in enumerate(published.rows)]
        return Table(published.name, ("id", "instruction", "text", "image", "published", "positive", "pool"), rows)
    named: dict[str, Mapping[str, Any]] = {}
    for n, row in enumerate(published.rows):
        for candidate in _candidates(row, source, published.where(n)):
            named.setdefault(candidate["id"], candidate)
    return Table(published.name, ("id", "instruction", "text", "image", "published"), list(named.values()))


def _query(row: Mapping[str, Any], number: int, source: MmebSource, published: Table) -> dict[str, Any]:
    pool = [candidate["id"] for candidate in _candidates(row, source, published.where(number))]
    return {
        "id": str(number),
        "instruction": _instruction(row["qry_inst"]),
        "text": row["qry_text"] or None,
        "image": row["qry_img_path"] or None,
        "published": query_text(source.parser, source.config, row["qry_inst"] or "", row["qry_text"] or ""),
        "positive": pool[0],
        "pool": list(dict.fromkeys(pool)),
    }


def _candidates(row: Mapping[str, Any], source: MmebSource, where: str) -> list[dict[str, Any]]:
    texts, images = (_listed(row[column]) for column in ("tgt_text", "tgt_img_path"))
    length = max(len(texts), len(images))
    if length == 0:
        raise DataError(f"{where}: the row has no candidates")
    texts, images = (list(side) + [""] * (length - len(side)) for side in (texts, images))
    instruction = _instruction(row.get("tgt_inst"))
    captioned = bool(texts[0].strip())
    found = []
    for text, image in zip(texts, images, strict=True):
        found.append(
            {
                "id": {"text": text, "image": image, "image+text": f"{image}:{text.strip(QUOTE)}"}[source.named_by],
                "instruction": instruction,
                "text": text or None,
                "image": image or None,
                "published": candidate_text(source.parser, row.get("tgt_inst") or "", text, captioned),
            }
        )
    return found


def _listed(cell: Any) -> Sequence[str]:
    return [cell] if isinstance(cell, str) else [str(value) for value in cell or ()]


def _instruction(cell: Any) -> str | None:
    """The instruction without the image token; None where there is none."""
    said = str(cell or "").replace(IMAGE_TOKEN, "").strip()
    return said or None
