"""Which rows have nearly the same query or target: by their texts and pictures, or by vectors of an embedder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from pydantic import Field

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.step import Context
from reference_model.curation.steps import pictures, texts
from reference_model.curation.steps.bands import near_leaders
from reference_model.curation.steps.keys import Ints, Keys
from reference_model.curation.steps.parts import Occurrences, Texts, distinct_media, labels, occurrences
from unite_bench.items import Kind
from unite_bench.spec.source_kinds import Strict

TEXTS_AT_ONCE = 8192


class Near(Strict):
    """What counts as nearly equal. `texts`: Jaccard similarity of runs of five characters; `pictures`: the largest
    difference of a block of a 16 x 16 thumbnail, in levels of 255. None: equal texts (once normalised) or equal files only.
    With `embedder`, items of one modality are near when the cosine of their vectors is at least `cosine`, whatever
    their texts and pictures."""

    texts: float | None = Field(default=0.9, ge=0.3, le=1)
    pictures: int | None = Field(default=24, ge=0, le=255)
    embedder: str | None = None
    cosine: float = Field(default=0.98, gt=0, le=1)


def near_keys(pool: Pool, rows: Numbers, side: Side, near: Near, context: Context) -> tuple[Keys, dict[str, Any]]:
    """A key for each of `rows`, (n, 2), equal where the sides are near the same leader; and figures for the report.

    Sides are near if they have the same kinds of parts in the same order and each is near the other's (the instruction
    is a part too). Raises MediaError for a medium that cannot be read.
    """
    context.work.mkdir(parents=True, exist_ok=True)
    if near.embedder is not None:
        from reference_model.curation.steps.near_vectors import near_vector_keys

        return near_vector_keys(pool, rows, side, near.embedder, near.cosine, context)
    found, words = occurrences(pool, rows, side, context.work / f"{side}.texts")
    facts: dict[str, Any] = {}
    numbers: dict[Kind, Ints] = {}
    for kind, of in found.items():
        numbers[kind], cut = np.arange(of.first.size), 0
        path = context.work / f"{side}-{kind}.npy"
        if kind == "text" and near.texts is not None:
            numbers[kind], cut = _near_texts(of, words, near.texts, path)
        elif kind != "text" and near.pictures is not None:
            numbers[kind], cut = _near_media(pool, rows, side, kind, of, near.pictures, path)
        if of.first.size:
            groups = int((numbers[kind] == np.arange(of.first.size)).sum())
            facts[kind] = {"different": int(of.first.size), "apart": groups, "not compared": cut}
    return labels(rows.size, found, numbers), facts


def _near_texts(of: Occurrences, words: Texts, threshold: float, path: Path) -> tuple[Ints, int]:
    count = of.first.size
    if count == 0:
        return np.zeros(0, np.int64), 0
    height, _ = texts.rows_at(threshold)
    bands = open_memmap(path, "w+", np.uint64, (count, texts.VALUES // height), fortran_order=True)
    for start in range(0, count, TEXTS_AT_ONCE):
        own = [words[number] for number in of.first[start : start + TEXTS_AT_ONCE].tolist()]
        bands[start : start + len(own)] = texts.bands_of(own, height)

    def verify(first: Ints, second: Ints) -> Any:
        held = {n: texts.shingles(words[of.first[n]]) for n in np.union1d(first, second).tolist()}
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        return np.array([texts.jaccard(held[i], held[j]) >= threshold for i, j in pairs], dtype=bool)

    return near_leaders(bands, verify)


def _near_media(
    pool: Pool, rows: Numbers, side: Side, kind: Kind, of: Occurrences, most: int, path: Path
) -> tuple[Ints, int]:
    count = of.first.size
    if count == 0:
        return np.zeros(0, np.int64), 0
    thumbnails = open_memmap(path, "w+", np.uint8, (count, pictures.size(kind)))
    for number, (part, row) in enumerate(distinct_media(pool, rows, side, of)):
        thumbnails[number] = pictures.thumbnail_of(part, row)
    bands = pictures.bands_of(thumbnails)

    def verify(first: Ints, second: Ints) -> Any:
        return pictures.difference(thumbnails[first], thumbnails[second]) <= most

    return near_leaders(bands, verify)
