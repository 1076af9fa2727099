"""Miniature replicas of the catalogue's datasets: the very task file reads them from another data root.

Ten items stand for ten thousand. Item n is the text `item n`, a picture of grey 20 n, a clip of that grey; what is composed
of several parts has the same n in all of them. `Tens` reads n back, and answers query 7 with 8 and then 7.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image as Pillow
from replica import finish, place, write_dataset

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.items import Image, Item, Part, Role, Text
from unite_bench.sources.hub_store import datasets_of
from unite_bench.spec.model import Side, Task
from unite_bench.spec.source_kinds import HUB_SOURCES, UNPINNED, Archive, HubBeirSource, HubSource, MmebSource

COUNT = 10
REVISION = "e" * 40  # what an unpinned dataset was resolved to
FRAMES = 3


class Tens(Embedder):
    """Query n scores 1 with candidate n, a half with its neighbour n ^ 1, and 0 with the others; 7 is taken for 8."""

    card = EmbedderCard(
        name="tens",
        modalities={"text", "image", "video", "image+text", "text+video"},
        dim=COUNT,
        role_matters=True,
        instruction_matters=False,
    )

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        vectors = np.zeros((len(items), COUNT))
        for vector, item in zip(vectors, items, strict=True):
            (number,) = {number_of(part) for part in item.parts}
            vector[8 if role == "query" and number == 7 else number] = 1.0
            if role == "candidate":
                vector[number ^ 1] = 0.5
            elif number == 7:
                vector[7] = 0.6
        return vectors


def number_of(part: Part) -> int:
    if isinstance(part, Text):
        return int(part.text.split()[1])
    shown = media.pixels(part) if isinstance(part, Image) else media.frames(part).pixels
    return round(float(shown.mean()) / 20)


@lru_cache(maxsize=32)
def picture(number: int, size: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("L", (size, size), 20 * number).save(buffer, format="PNG")
    return buffer.getvalue()


@lru_cache(maxsize=32)
def clip(number: int, frames: int) -> bytes:
    """A clip as an mp4 file; the number of frames tells a query's clip from a candidate's."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as held:
        stream = held.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            pixels = np.full((32, 32, 3), 20 * number, dtype=np.uint8)
            held.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        held.mux(stream.encode())
    return buffer.getvalue()


def write_replica(root: Path, task: Task) -> None:
    """Put the datasets that the task reads under a data root, in the task's own layout."""
    (source,) = task.sources
    assert isinstance(source, HUB_SOURCES)
    folders = {dataset.name: _folder(root, dataset.name, dataset.revision) for dataset in datasets_of(source)}
    own = folders[source.dataset]
    if isinstance(source, HubBeirSource):
        _beir(own, task, source)
    elif isinstance(source, MmebSource):
        _mmeb(own, task, source, _unpacked(folders, source.dataset, source.archive))
    else:
        _rows(own, task, source, folders)
    for dataset in datasets_of(source):
        finish(folders[dataset.name], dataset.archives)


def _folder(root: Path, name: str, revision: str) -> Path:
    pinned = revision != UNPINNED
    return place(root, name, revision if pinned else REVISION, pinned=pinned)


def _unpacked(folders: Mapping[str, Path], own: str, archive: Archive) -> Path:
    return folders[archive.dataset or own] / ".unpacked" / archive.file / archive.root


def _cells(side: Side, number: int, suffix: str = "", query: bool = False) -> dict[str, Any]:
    """The cells of an item's parts, media within the table."""
    cells: dict[str, Any] = {}
    if side.text:
        cells[side.text] = f"item {number}{suffix}"
    if side.image:
        cells[side.image] = {"bytes": picture(number, 12 if query else 8), "path": None}
    if side.video:
        cells[side.video] = {"bytes": clip(number, FRAMES + query), "path": None}
    return cells


def _write(folder: Path, tables: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], sides: Sequence[Side]) -> None:
    images = {side.image for side in sides if side.image} | {"image_0", "image_1"}
    write_dataset(folder, tables, images=sorted(images), videos=sorted({s.video for s in sides if s.video}))


def _beir(folder: Path, task: Task, source: HubBeirSource) -> None:
    """Two captions a picture where the task has a rule for captions; the same clips on both sides with `exclude_self`."""
    (side,) = task.corpora
    several = ("", " again") if task.captions else ("",)
    documents = task.queries.text == "query"  # ViDoRe and VisRAG call their columns so
    names = ("query-id", "corpus-id") if documents else ("id", "id")
    blank = {side.text: ""} if side.optional == ["text"] and side.text else {}  # of item 4
    asked, held, judged = [], [], []
    for number in range(COUNT):
        for suffix in several if task.captions == "each" else ("",):
            cells = _cells(task.queries, number, suffix, query=not task.exclude_self)
            asked.append({names[0]: f"q{number}{suffix}", "modality": task.queries.modality, **cells})
        for suffix in several if task.captions == "any-of" else ("",):
            cells = _cells(side, number, suffix) | (blank if number == 4 else {})
            held.append({names[1]: f"c{number}{suffix}", "modality": side.modality, **cells})
        right = number ^ 1 if task.exclude_self else number
        grades = {f"c{right}{suffix}": 1 for suffix in (several if task.captions == "any-of" else ("",))}
        wrong = {f"c{(number + 1) % COUNT}": 0}
        for query in [row for row in asked if row[names[0]].startswith(f"q{number}")]:
            judged += [
                {"query-id": query[names[0]], "corpus-id": c, "score": g} for c, g in {**wrong, **grades}.items()
            ]
    front = f"{source.language}-" if source.language else ""
    tables = {("corpus", source.split): held, ("queries", source.split): asked, ("qrels", source.split): judged}
    _write(folder, {(front + config, split): rows for (config, split), rows in tables.items()}, [task.queries, side])


def _mmeb(folder: Path, task: Task, source: MmebSource, archive: Path) -> None:
    """Pools of three: the positive first, then the next two."""
    (side,) = task.corpora
    archive.mkdir(parents=True)
    for number in range(COUNT):
        (archive / f"q{number}.png").write_bytes(picture(number, 12))
        (archive / f"c{number}.png").write_bytes(picture(number, 8))
    rows = []
    for number in range(COUNT):
        pool = [(number + step) % COUNT for step in range(3)]
        rows.append(
            {
                "qry_inst": "<|image_1|>\nFind it.\n",
                "qry_text": f"item {number}" if task.queries.text else "",
                "qry_img_path": f"q{number}.png" if task.queries.image else "",
                "tgt_inst": "<|image_1|>\nRepresent it.\n",
                "tgt_text": [f"item {n}" if side.text else "" for n in pool],
                "tgt_img_path": [f"c{n}.png" if side.image else "" for n in pool],
            }
        )
    _write(folder, {(source.config, source.split): rows}, [])


def _rows(folder: Path, task: Task, source: HubSource, folders: Mapping[str, Path]) -> None:
    rows = [_row(task, source, number) for number in range(COUNT)]
    if source.rows is not None and source.rows.quartets is not None:
        named = source.rows.quartets
        pairs = [((2 * n + 1) % COUNT, (2 * n + 2) % COUNT) for n in range(COUNT // 2)]  # 7 and 8 are rivals
        texts = [dict(zip(named.texts, (f"item {a}", f"item {b}"), strict=True)) for a, b in pairs]
        media = [
            dict(zip(named.media, ({"bytes": picture(n, 8), "path": None} for n in pair), strict=True))
            for pair in pairs
        ]
        rows = [{**text, **medium} for text, medium in zip(texts, media, strict=True)]
    if source.archive is not None:
        _frames(task, source.archive, _unpacked(folders, source.dataset, source.archive), rows)
    _write(folder, {(source.config or "default", source.split): rows}, [task.queries, *task.corpora])


def _row(task: Task, source: HubSource, number: int) -> dict[str, Any]:
    if source.rows is not None and source.rows.choices is not None:
        columns = source.rows.choices.columns
        answer = source.rows.choices.answer
        choices: dict[str, Any] = {name: f"item {(number + step) % COUNT}" for step, name in enumerate(columns)}
        if answer is not None:  # the choices lie in a list, the right one in the middle
            choices = {columns[0]: [f"item {(number + step) % COUNT}" for step in (1, 0, 2)], answer: f"item {number}"}
        return {**_cells(task.queries, number), **choices}
    cells = {**_cells(task.queries, number), **_cells(task.corpora[0], number)}
    texts = [side.text for side in (task.queries, *task.corpora) if side.text]
    if task.captions:
        cells |= {text: [f"item {number}", f"item {number} again"] for text in texts}
    return cells


def _frames(task: Task, archive: Archive, folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Clips as folders of frames, and their names in place of the clips."""
    (column,) = {side.video for side in (task.queries, *task.corpora) if side.video}
    for number, row in enumerate(rows):
        name = str(number) if archive.root == "SSv2" else f"clip{number}"
        row[column] = {"SSv2": number, "DiDeMo": f"clips/{name}.mp4"}.get(archive.root, name)
        (folder / name).mkdir(parents=True)
        for frame in range(FRAMES):
            (folder / name / f"frame_{frame:04}.png").write_bytes(picture(number, 8))


def layout(task: Task) -> str:
    """What tasks of one layout have in common: the kind and shape of the source, columns, relevance, pool, rules."""
    (source,) = task.sources
    shape = source.model_dump(exclude={"dataset", "revision", "split"}, exclude_none=True)
    shape = {key: value if key in {"kind", "named_by", "rows"} else bool(value) for key, value in shape.items()}
    names = getattr(getattr(source, "archive", None), "names", None)
    parts = {"id", "modality", "text", "image", "video", "optional"}
    sides = [side.model_dump(include=parts, exclude_none=True) for side in (task.queries, *task.corpora)]
    rules = (task.qrels, task.pool, task.captions, task.exclude_self)
    return re.sub(r"\s+", " ", repr((shape, names, sides, rules)))
