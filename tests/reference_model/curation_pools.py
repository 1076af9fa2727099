"""Small pools for the tests of curation, and pictures that are near or only like each other."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image as Pillow

from reference_model.curation import pool as pools
from reference_model.curation.pool import Pool
from reference_model.curation.rows import Row, item_to_json
from reference_model.curation.step import Context
from unite_bench.items import File, Image, Item, Text

Pixels = npt.NDArray[np.uint8]


def pool_of(rows: Sequence[Row], folder: Path, block: int = 4) -> Pool:
    """The rows as a pool in `folder`, in row groups of `block`."""
    columns = {
        "id": [row.id for row in rows],
        "source": [row.source for row in rows],
        "query": [item_to_json(row.query, folder) for row in rows],
        "target": [item_to_json(row.target, folder) for row in rows],
        "negatives": [[item_to_json(item, folder) for item in row.negatives] for row in rows],
        "query_modality": [row.query.modality for row in rows],
        "target_modality": [row.target.modality for row in rows],
        "granularity": [row.granularity for row in rows],
        "topic": [row.topic for row in rows],
        "stage": [row.stage for row in rows],
        "weight": [row.weight for row in rows],
        "unmasked": [row.unmasked for row in rows],
        "both": [row.both for row in rows],
        "file": [row.source for row in rows],
        "row": list(range(len(rows))),
    }
    work = folder / f"work-{block}"
    work.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=pools.SCHEMA), work / "pool.parquet", row_group_size=block)
    return Pool(work / "pool.parquet", folder, work)


def context_in(folder: Path, seed: int = 0) -> Context:
    return Context(seed, folder / "step", folder)


def text(words: str, instruction: str | None = None) -> Item:
    return Item((Text(words),), instruction)


def saved(pixels: Pixels, path: Path) -> Item:
    """An item of a picture, written losslessly."""
    Pillow.fromarray(pixels).save(path)
    return Item((Image(File(path)),))


def row(number: int, query: Item, target: Item, source: str = "s", topic: str = "") -> Row:
    return Row(f"{source}:{number}", source, query, target, topic=topic)


def compressed(pixels: Pixels, quality: int = 60, scale: float = 1.0) -> Pixels:
    """The picture scaled and through JPEG, as a copy on the web is."""
    height, width = pixels.shape[:2]
    small = Pillow.fromarray(pixels).resize((round(width * scale), round(height * scale)), Pillow.Resampling.BICUBIC)
    held = io.BytesIO()
    small.save(held, "JPEG", quality=quality)
    return np.asarray(Pillow.open(io.BytesIO(held.getvalue())))
