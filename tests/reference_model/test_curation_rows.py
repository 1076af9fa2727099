"""The contract between curation and training: rows, their canonical JSON, the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow

from reference_model.curation import manifest
from reference_model.curation.cells import ParquetCell
from reference_model.curation.manifest import GROUP, read_manifest, write_manifest
from reference_model.curation.rows import item_from_json, item_to_json
from reference_model.curation.step import Decision
from reference_model.train.bank import Banked
from unite_bench import media
from unite_bench.errors import DataError, MediaError
from unite_bench.items import Blob, File, Image, Item, Text, Video
from unite_bench.sources.frame_folder import FrameFolder


@dataclass(frozen=True)
class FakeBank:
    """A bank by name; its pixels are never asked for here."""

    folder: Path

    def image(self, number: int) -> Image:
        return Image(Banked(self, number))


def test_an_item_comes_back_from_its_json(tmp_path: Path) -> None:
    item = Item(
        (
            Text("two “words”"),
            Image(File(tmp_path / "photos" / "1.jpg")),
            Video(File(tmp_path / "a.mp4"), 0.0, 2.5),
            Video(FrameFolder(tmp_path / "clip")),
            Image(ParquetCell(tmp_path / "x.parquet", 3, "image")),
            Image(Banked(FakeBank(tmp_path / "real"), 4)),
        ),
        "Find it.",
    )
    text = item_to_json(item, tmp_path)
    assert item_from_json(text, tmp_path, lambda name: FakeBank(tmp_path / name)) == item
    assert json.loads(text) == {
        "instruction": "Find it.",
        "parts": [
            {"text": "two “words”"},
            {"image": {"file": "photos/1.jpg"}},
            {"video": {"file": "a.mp4", "start": 0.0, "end": 2.5}},
            {"video": {"frames": "clip"}},
            {"image": {"parquet": "x.parquet", "row": 3, "column": "image"}},
            {"image": {"bank": "real", "number": 4}},
        ],
    }
    assert text.startswith('{"instruction":"Find it.","parts":[{"text":"two “words”"}')


def test_media_without_an_address_and_banks_that_nobody_opens_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without an address"):
        item_to_json(Item((Image(Blob(b"x", "upload")),)), tmp_path)
    with pytest.raises(DataError, match="no banks were given"):
        item_from_json('{"parts":[{"image":{"bank":"real","number":4}}]}', tmp_path)
    for broken in ("[]", "{", '{"parts":[{"sound":{}}]}', '{"parts":[{"image":{"path":"x"}}]}', '{"parts":["x"]}'):
        with pytest.raises(DataError, match="not the JSON of an item"):
            item_from_json(broken, tmp_path)


def test_a_cell_of_a_parquet_file_is_read_when_asked_for(tmp_path: Path) -> None:
    encoded = []
    for shade in (10, 200):
        Pillow.new("RGB", (4, 4), (shade, 0, 0)).save(tmp_path / "x.png")
        encoded.append((tmp_path / "x.png").read_bytes())
    table = pa.table({"plain": encoded, "hub": [{"bytes": data, "path": None} for data in encoded], "text": ["a", "b"]})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=1)
    for column in ("plain", "hub"):
        cell = ParquetCell(tmp_path / "x.parquet", 1, column)
        assert media.pixels(Image(cell))[0, 0].tolist() == [200, 0, 0]
        assert cell.digest == Blob(encoded[1]).digest
    with pytest.raises(MediaError, match="holds no bytes"):
        _ = ParquetCell(tmp_path / "x.parquet", 1, "text").data
    with pytest.raises(MediaError, match="no row 2"):
        _ = ParquetCell(tmp_path / "x.parquet", 2, "plain").data
    with pytest.raises(DataError, match="no column 'picture'; it has plain, hub, text"):
        _ = ParquetCell(tmp_path / "x.parquet", 0, "picture").data


def table(rows: range) -> pa.Table:
    """Rows of a manifest: texts to texts, odd ones of stage instruction."""
    columns = {
        "id": [f"s:{n}" for n in rows],
        "source": ["s" for _ in rows],
        "query": [f'{{"parts":[{{"text":"question {n}"}}]}}' for n in rows],
        "target": [f'{{"parts":[{{"image":{{"file":"{n}.png"}}}}]}}' for n in rows],
        "negatives": [[f'{{"parts":[{{"text":"not {n}"}}]}}'] * (n % 3) for n in rows],
        "query_modality": ["text" for _ in rows],
        "target_modality": ["image" for _ in rows],
        "granularity": ["coarse" for _ in rows],
        "topic": ["" for _ in rows],
        "stage": ["instruction" if n % 2 else "adaptation" for n in rows],
        "weight": [1.0 for _ in rows],
        "unmasked": [False for _ in rows],
        "both": [n % 2 == 0 for n in rows],
        "file": ["rows.jsonl" for _ in rows],
        "row": list(rows),
        "query_digest": ["00" * 32 for _ in rows],
        "target_digest": ["11" * 32 for _ in rows],
    }
    return pa.table(columns, schema=manifest.SCHEMA)


def tables(count: int, size: int) -> Iterator[pa.Table]:
    for start in range(0, count, size):
        yield table(range(start, min(start + size, count)))


def test_a_manifest_reads_back_in_order_and_by_number(tmp_path: Path) -> None:
    count = GROUP + 10
    write_manifest(tmp_path / "out" / "m.parquet", tables(count, 1000), tmp_path / "data", {"name": "n", "seed": 3})
    held = read_manifest(tmp_path / "out" / "m.parquet")
    assert len(held) == count
    assert (held.facts["name"], held.facts["root"], held.root) == ("n", "../data", tmp_path / "data")
    row = held.row(GROUP + 1)
    assert (row.id, row.stage, row.both, len(row.negatives)) == (f"s:{GROUP + 1}", "instruction", False, 2)
    assert row.query == Item((Text(f"question {GROUP + 1}"),), id=f"s:{GROUP + 1} query")
    assert row.target.parts == (Image(File(tmp_path / "data" / f"{GROUP + 1}.png")),)
    instruction = [row.id for row in held.rows("instruction")]
    assert instruction == [f"s:{n}" for n in range(1, count, 2)]
    assert held.numbers("instruction").tolist() == list(range(1, count, 2))
    with pytest.raises(IndexError):
        held.row(count)


def test_equal_rows_give_equal_bytes_however_they_arrive(tmp_path: Path) -> None:
    for name, size in (("a", 700), ("b", 5000)):
        write_manifest(tmp_path / name / "m.parquet", tables(6000, size), tmp_path / name, {"seed": 1})
    assert (tmp_path / "a" / "m.parquet").read_bytes() == (tmp_path / "b" / "m.parquet").read_bytes()
    write_manifest(tmp_path / "c.parquet", tables(6000, 700), tmp_path, {"seed": 2})
    digests = {read_manifest(tmp_path / name).digest for name in ("a/m.parquet", "b/m.parquet", "c.parquet")}
    assert len(digests) == 2


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="but no manifest"):
        read_manifest(tmp_path / "x.parquet")
    with pytest.raises(DataError, match="cannot be read as a manifest"):
        read_manifest(tmp_path / "missing.parquet")
    write_manifest(tmp_path / "m.parquet", tables(1, 1), tmp_path, {})
    schema = pq.read_schema(tmp_path / "m.parquet")
    older = schema.metadata[manifest.KEY].replace(b'"schema": 1', b'"schema": 0')
    pq.write_table(table(range(1)).replace_schema_metadata({manifest.KEY: older}), tmp_path / "old.parquet")
    with pytest.raises(DataError, match="schema 0, this code reads 1"):
        read_manifest(tmp_path / "old.parquet")


def test_a_decision_that_contradicts_itself_is_refused() -> None:
    kept, reasons = np.array([True, False]), np.array([0, 1], dtype=np.uint8)
    assert Decision(kept, reasons, ("kept", "blurred")).keep.sum() == 1
    wrong = {
        "exactly the kept rows": (~kept, reasons, ("kept", "blurred"), None),
        "without a name": (kept, reasons, ("kept",), None),
        "begin with 'kept'": (kept, reasons, ("blurred", "kept"), None),
        "of one shape": (kept, reasons[:1], ("kept", "blurred"), None),
        "finite": (kept, reasons, ("kept", "blurred"), np.array([1, np.nan], np.float32)),
    }
    for message, arguments in wrong.items():
        with pytest.raises(ValueError, match=message):
            Decision(*arguments)
