"""Readers: every record becomes a row or stands in the list of bad ones, and nothing is held whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reference_model.curation import cells
from reference_model.curation.cells import ParquetCell
from reference_model.curation.pool import Placed
from reference_model.curation.readers import read, tables
from reference_model.curation.readers.found import Bad, BadRecord, Found, path_of
from reference_model.curation.readers.hub import pinned
from reference_model.curation.readers.unite import items_of
from reference_model.curation.recipe import STAGES
from reference_model.curation.sources import FolderSource, HubSource, Side, TableSource, UniteSource
from unite_bench import media
from unite_bench.errors import DataError, MediaError
from unite_bench.items import File, Image, Item, Text, Video
from unite_bench.spec.model import Column

TEXTS = {"query": Side(text="q"), "target": Side(text="t")}


def everything(source: Any, folder: Path) -> list[Found]:
    return list(read(source, STAGES, folder, folder, folder / "kept"))


def rows(found: list[Found]) -> list[tuple[str, Item, Item]]:
    return [(one.row.id, one.row.query, one.row.target) for one in found if isinstance(one, Placed)]


def bad(found: list[Found]) -> list[tuple[int, str]]:
    return [(one.at, one.reason) for one in found if isinstance(one, Bad)]


# UNITE's training records


def located(folder: Path) -> Any:
    """Where `items_of` finds the media of a record that lie in a folder."""

    def locate(kind: str, cell: Any) -> File:
        if not isinstance(cell, str):
            raise BadRecord("not a path", f"a medium is {cell!r}")
        return File(folder / path_of(cell, f"the path of {kind}"))

    return locate


def test_marks_say_where_media_stand_and_no_order_of_keys_does(tmp_path: Path) -> None:
    first, second = Image(File(tmp_path / "1.jpg")), Image(File(tmp_path / "2.jpg"))
    records = {
        "marked": ({"text": "before <|IMAGE|> after", "image": "1.jpg"}, (Text("before "), first, Text(" after"))),
        "keys turned": ({"image": "1.jpg", "text": "before <|IMAGE|>"}, (Text("before "), first)),
        "unmarked comes first": ({"text": "what is it?", "image": "1.jpg"}, (first, Text("what is it?"))),
        "unmarked, keys turned": ({"image": "1.jpg", "text": "what is it?"}, (first, Text("what is it?"))),
        "several": (
            {"text": "<|IMAGE|> or <|IMAGE|>?", "image": ["1.jpg", "2.jpg"]},
            (first, Text(" or "), second, Text("?")),
        ),
        "only the medium": ({"text": "<|IMAGE|>\n", "image": "1.jpg"}, (first,)),
        "image unmarked, video marked": (
            {"text": "then <|VIDEO|>", "video": "1.mp4", "image": "1.jpg"},
            (first, Text("then "), Video(File(tmp_path / "1.mp4"))),
        ),
        "empty means absent": ({"text": "words", "image": "", "video": None}, (Text("words"),)),
    }
    for name, (side, parts) in records.items():
        query, target, negatives = items_of({"query": side, "candidate": {"text": "x"}}, located(tmp_path))
        assert (query.parts, target.parts, negatives) == (parts, (Text("x"),), ()), name


def test_a_record_that_cannot_be_a_row_says_why(tmp_path: Path) -> None:
    good = {"text": "x"}
    wrong: dict[str, dict[str, Any]] = {
        "1 marks for 2 of kind image": {"query": {"text": "<|IMAGE|>", "image": ["1", "2"]}, "candidate": good},
        "1 marks for 0 of kind video": {"query": {"text": "a <|VIDEO|>"}, "candidate": good},
        "'candidate' is not an object": {"query": good},
        "'audio' in a side": {"query": {"audio": "x.wav"}, "candidate": good},
        "neither text nor image": {"query": {"text": ""}, "candidate": good},
        "it says 'text,image', the candidate is text": {"query": good, "candidate": good, "target_modal": "text,image"},
        "a medium is 3": {"query": {"image": 3}, "candidate": good},
        "surrogates not allowed": {"query": {"text": "\ud800"}, "candidate": good},
        "the path of image: surrogates": {"query": {"image": "\ud800"}, "candidate": good},
        "the path of image holds a null character": {"query": {"image": "1\0.png"}, "candidate": good},
        "a side is str": {"query": good, "candidate": good, "negative": ["x"]},
    }
    for message, record in wrong.items():
        with pytest.raises(BadRecord, match=message):
            items_of(record, located(tmp_path))


def test_target_modal_is_what_the_candidate_counts_as(tmp_path: Path) -> None:
    """The public records hold instructions in their texts; the published mask goes by target_modal."""
    shown, side = Image(File(tmp_path / "1.jpg")), {"text": "<|IMAGE|>\nRepresent the given image.", "image": "1.jpg"}
    for said in ("image", ["image"], " image "):
        record = {"query": {"text": "a cat"}, "candidate": side, "negative": side, "target_modal": said}
        _, target, (negative,) = items_of(record, located(tmp_path))
        assert target == negative == Item((shown,), "Represent the given image.") and target.modality == "image"
    for said in (None, "", "text,image", ["image", "text"]):
        _, target, _ = items_of({"query": {"text": "a"}, "candidate": side, "target_modal": said}, located(tmp_path))
        assert target.modality == "image+text" and target.instruction is None
    with pytest.raises(BadRecord, match="it says 'video', the candidate is image"):
        items_of({"query": {"text": "a"}, "candidate": side, "target_modal": "video"}, located(tmp_path))


def test_empty_negatives_and_blank_texts_beside_media_are_none(tmp_path: Path) -> None:
    shown = Image(File(tmp_path / "1.jpg"))
    empty: list[Any] = [{"text": None, "image": None}, [{"text": ""}], [], None, [{"type": "text", "text": ""}]]
    for negative in empty:
        record = {"query": {"type": "image", "text": " ", "image": "1.jpg"}, "candidate": {"text": "x"}}
        query, _, negatives = items_of({**record, "negative": negative}, located(tmp_path))
        assert query.parts == (shown,) and negatives == ()
    with pytest.raises(BadRecord, match="empty text"):
        items_of({"query": {"text": " "}, "candidate": {"text": "x"}}, located(tmp_path))


def test_a_unite_file_is_read_with_its_negatives_and_its_bad_records(tmp_path: Path) -> None:
    records: list[Any] = [
        {"query": {"text": "a cat"}, "candidate": {"image": "1.jpg"}, "target_modal": "image"},
        {"query": {"text": "no candidate"}},
        "nonsense",
        {"query": {"text": "q"}, "candidate": {"text": "t"}, "negative": {"text": "n"}},
        {"query": {"text": "q"}, "candidate": {"text": "t"}, "negative": [{"text": "n"}, {"image": "2.jpg"}]},
    ]
    (tmp_path / "media").mkdir()
    for form, text in (
        ("array", json.dumps(records, indent=2)),
        ("lines", "\n".join(map(json.dumps, records))),
    ):
        (tmp_path / "x.json").write_text(text)
        source = UniteSource(kind="unite", name="u", path="x.json", media="media", granularity="fine", both=True)
        found = everything(source, tmp_path)
        assert [one[0] for one in rows(found)] == ["u:0", "u:3", "u:4"], form
        assert bad(found) == [(1, "no query or candidate"), (2, "not an object")]
        first, *_, last = (one for one in found if isinstance(one, Placed))
        assert first.row.target.parts == (Image(File(tmp_path / "media" / "1.jpg")),)
        assert (first.file, first.at, first.row.granularity, first.row.stage) == ("x.json", 0, "fine", "adaptation")
        assert [item.modality for item in last.row.negatives] == ["text", "image"] and last.row.both
    source = UniteSource(kind="unite", name="u", path="x.json", first=2)
    assert len(everything(source, tmp_path)) == 2
    (tmp_path / "x.jsonl").write_text("{\n" + json.dumps(records[0]))  # a broken line costs itself alone
    found = everything(UniteSource(kind="unite", name="u", path="x.jsonl"), tmp_path)
    assert bad(found) == [(0, "not JSON")] and [one[0] for one in rows(found)] == ["u:1"]


# Tables


def test_jsonl_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    table = [{"q": f"q{n}", "t": f"t{n}", "kind": "fine", "of": f"topic {n % 2}"} for n in range(4)]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, table)) + "\n\n")
    (tmp_path / "x.csv").write_text("\n".join(["q,t,kind,of", *(",".join(row.values()) for row in table)]))
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "x.parquet")
    read_of = {}
    for suffix in ("jsonl", "csv", "parquet"):
        source = TableSource(
            kind="table",
            name="s",
            path=f"x.{suffix}",
            granularity=Column(column="kind"),
            topic=Column(column="of"),
            **TEXTS,
        )
        found = everything(source, tmp_path)
        read_of[suffix] = [(one.row, one.at) for one in found if isinstance(one, Placed)]
    assert read_of["jsonl"] == read_of["csv"] == read_of["parquet"]
    assert [row.topic for row, _ in read_of["csv"]] == ["topic 0", "topic 1"] * 2
    assert read_of["csv"][3][0].query == Item((Text("q3"),))


def test_bad_rows_of_a_table_are_listed_and_the_others_read(tmp_path: Path) -> None:
    lines = ['{"q": "a", "t": "b"}', "{", "[1]", '{"q": "", "t": "b"}', '{"q": 3, "t": "b"}', '{"q": "c", "t": "d"}']
    lines += ['{"q": "a\\ud800", "t": "b"}', '{"Q": "a", "t": "b"}']
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    found = everything(TableSource(kind="table", name="s", path="x.jsonl", **TEXTS), tmp_path)
    assert [one[0] for one in rows(found)] == ["s:0", "s:5"]
    assert bad(found) == [
        (1, "not JSON"),
        (2, "not an object"),
        (3, "empty text"),
        (4, "not a text"),
        (6, "not Unicode"),
        (7, "no such column"),
    ]
    (tmp_path / "x.csv").write_text("q,t\na,b\nc\nd,e,f\ng,h\n")
    found = everything(TableSource(kind="table", name="s", path="x.csv", **TEXTS), tmp_path)
    assert [one[0] for one in rows(found)] == ["s:0", "s:3"]
    assert bad(found) == [(1, "not a row of the table"), (2, "not a row of the table")]
    (tmp_path / "x.csv").write_text(f'q,t\na,b\n"c"d,e\nf,{"long " * 40_000}\n')
    found = everything(TableSource(kind="table", name="s", path="x.csv", **TEXTS), tmp_path)
    assert [one[0] for one in rows(found)] == ["s:0", "s:2"] and bad(found) == [(1, "not CSV")]
    assert "line 3: " in next(one.detail for one in found if isinstance(one, Bad))


def test_empty_cells_of_encoded_media_are_no_media(tmp_path: Path) -> None:
    """A negative that only some rows have; a query that has none is a bad record, not a broken picture."""
    filled = {"bytes": b"picture", "path": None}
    table = pa.table(
        {
            "q": pa.array([filled, filled, None, filled], pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            "t": ["a", "b", "c", "d"],
            "n": pa.array([b"picture", None, None, b"picture"], pa.binary()),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=2)
    sides = {"query": Side(image="q"), "target": Side(text="t"), "negatives": (Side(image="n"),)}
    found = everything(TableSource(kind="table", name="s", path="x.parquet", **sides), tmp_path)
    assert [len(one.row.negatives) for one in found if isinstance(one, Placed)] == [1, 0, 1]
    assert bad(found) == [(2, "no medium")]
    only = TableSource(kind="table", name="s", path="x.parquet", query=Side(image="q"), target=Side(image="n"))
    assert [one[0] for one in rows(everything(only, tmp_path))] == ["s:0", "s:3"]


def test_columns_become_parts_instructions_and_negatives(tmp_path: Path) -> None:
    row = {"q": "like it", "photo": "a.png", "clip": "c.mp4", "from": 1, "to": "2.5", "ask": "Find.", "no": ["x", "y"]}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    source = TableSource(
        kind="table",
        name="s",
        path="*.jsonl",
        media="media",
        query=Side(text="q", image="photo", instruction=Column(column="ask")),
        target=Side(video="clip", start="from", end="to", instruction="Watch."),
        negatives=(Side(text="no"), Side(image="absent")),
    )
    (one,) = everything(source, tmp_path)
    assert isinstance(one, Placed)
    assert one.row.query == Item((Image(File(tmp_path / "media" / "a.png")), Text("like it")), "Find.")
    assert one.row.target == Item((Video(File(tmp_path / "media" / "c.mp4"), 1.0, 2.5),), "Watch.")
    assert one.row.negatives == (Item((Text("x"),)), Item((Text("y"),)))


def test_encoded_media_of_parquet_are_not_read_but_addressed(tmp_path: Path) -> None:
    table = pa.table(
        {"q": ["a", "b"], "image": [{"bytes": b"first", "path": None}, {"bytes": b"second", "path": None}]}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    source = TableSource(kind="table", name="s", path="x.parquet", query=Side(text="q"), target=Side(image="image"))
    found = rows(everything(source, tmp_path))
    medium = found[1][2].parts[0].medium
    assert isinstance(medium, ParquetCell) and medium.data == b"second"
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[:4] + bytes(200) + whole[204:])
    with pytest.raises(DataError, match=r"x\.parquet: cannot be read"):
        everything(source, tmp_path)
    (tmp_path / "x.parquet").write_bytes(whole)
    wrong = TableSource(kind="table", name="s", path="x.parquet", query=Side(text="qq"), target=Side(image="image"))
    with pytest.raises(DataError, match=r"no column 'qq'; did you mean 'q'\?"):
        everything(wrong, tmp_path)


def test_a_broken_page_of_parquet_is_a_medium_that_cannot_be_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [bytes(range(256)) * 40]}), tmp_path / "x.parquet", compression="none")
    whole = (tmp_path / "x.parquet").read_bytes()
    (tmp_path / "x.parquet").write_bytes(whole[:4] + b"\xff" * 200 + whole[204:])
    with pytest.raises(MediaError, match=r"column 'image' cannot be read"):
        _ = ParquetCell(tmp_path / "x.parquet", 0, "image").data


def test_a_row_group_as_large_as_the_file_is_read_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    words = [random.bytes(5000).hex() for _ in range(1000)]  # no two alike, and hardly to be compressed
    pq.write_table(pa.table({"q": words, "t": ["x"] * 1000}), tmp_path / "x.parquet", write_batch_size=32)
    assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups == 1
    before = pa.total_allocated_bytes()
    monkeypatch.setattr(tables, "BATCH", 50)
    found = read(TableSource(kind="table", name="s", path="x.parquet", **TEXTS), STAGES, tmp_path, tmp_path, tmp_path)
    held = [pa.total_allocated_bytes() - before for one in found if isinstance(one, Placed)]
    assert len(held) == 1000
    assert max(held) < 6_000_000, "the texts are 10 MB"


def test_media_of_a_large_row_group_are_walked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "WHOLE", 1 << 20)
    monkeypatch.setattr(cells, "PIECE", 1 << 18)
    random = np.random.default_rng(0)
    media = [random.bytes(20_000) for _ in range(1000)]
    table = pa.table({"image": [{"bytes": data, "path": None} for data in media]})
    pq.write_table(table, tmp_path / "x.parquet", write_batch_size=8, data_page_size=1 << 17, use_dictionary=False)
    held = [ParquetCell(tmp_path / "x.parquet", row, "image") for row in range(1000)]
    order = [*range(0, 1000, 7), 990, 3, 999, 0, cells.LEAST_ROWS - 1, cells.LEAST_ROWS, cells.LEAST_ROWS - 1]
    begun: list[int] = []
    restart = cells._Column._restart
    monkeypatch.setattr(cells._Column, "_restart", lambda column: (begun.append(1), restart(column)))
    del table
    before = pa.total_allocated_bytes()
    assert all(ParquetCell(tmp_path / "x.parquet", row, "image").data == media[row] for row in order)
    assert pa.total_allocated_bytes() - before < 5_000_000, "the column is 20 MB"
    assert len(begun) == 2, "for 3 and 0; the piece before is held too"
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda cell: cell.data, held)) == media


def test_cells_that_nobody_expects_make_bad_records(tmp_path: Path) -> None:
    good = '{"q": "a", "image": "1.png", "how": "fine"}\n'
    lines = (
        '{"q": ' + "1" * 5000 + "}",
        "[" * 200_000,
        '{"q": "a", "image": "1.png", "how": ["fine"]}',
        '{"q": "a", "image": "1\\u0000.png", "how": "fine"}',
    )
    (tmp_path / "x.jsonl").write_text(good + "\n".join(lines))
    source = TableSource(
        kind="table",
        name="s",
        path="x.jsonl",
        query=Side(text="q"),
        target=Side(image="image"),
        granularity=Column(column="how"),
    )
    found = everything(source, tmp_path)
    assert len(rows(found)) == 1
    assert bad(found) == [(1, "not JSON"), (2, "not JSON"), (3, "unknown granularity"), (4, "not a path")]


def test_names_and_captions_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    source = FolderSource(kind="folder", name="p", path="photos")
    for name in (b"a", b"\xff"):
        for suffix in (b".png", b".txt"):
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name + suffix)).write_bytes(b"x")
    found = everything(source, tmp_path)
    assert len(rows(found)) == 1 and bad(found) == [(0, "not Unicode")]
    (folder / "captions.txt").write_bytes("a.png\tcaf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"captions\.txt: not UTF-8"):
        everything(source, tmp_path)


def test_a_table_is_read_no_further_than_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_model.curation.readers.json_stream.CHUNK", 64)
    records = '{"query": {"text": "q"}, "candidate": {"text": "t"}}'
    (tmp_path / "x.json").write_text("[" + ",".join([records] * 5) + ", broken")
    source = UniteSource(kind="unite", name="s", path="x.json")
    stream: Iterator[Found] = read(source, STAGES, tmp_path, tmp_path, tmp_path)
    assert [next(stream).at for _ in range(4)] == [0, 1, 2, 3]  # the end of the file was not looked at
    with pytest.raises(DataError, match="not JSON"):
        list(stream)


# A folder, and datasets of the hub


def test_a_folder_is_read_in_each_of_its_forms(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.jpg", "c.mp4"):
        (folder / name).write_bytes(b"x")
    source = FolderSource(kind="folder", name="p", path="photos", direction="media>text")
    with pytest.raises(DataError, match="no captions; write"):
        everything(source, tmp_path)
    (folder / "a.txt").write_text(" a cat \n")
    (folder / "c.txt").write_text("a film\n")
    found = everything(source, tmp_path)
    assert [(query.parts[0].medium.path.name, target.text) for _, query, target in rows(found)] == [
        ("a.jpg", "a cat"),
        ("c.mp4", "a film"),
    ]
    assert [reason for _, reason in bad(found)] == ["medium without a caption"]
    forms = {
        "captions.txt": "b.png\ta dog\nz.png\tnothing\nc.mp4 a film\n",
        "captions.csv": "file,caption\nb.png,a dog\nz.png,nothing\nc.mp4,\n",
        "captions.jsonl": '{"file": "b.png", "caption": "a dog"}\n{"file": "z.png", "caption": "nothing"}\n{"file": 1\n',
    }
    for name, text in forms.items():  # of several, the last one written is looked for first
        (folder / name).write_text(text)
        found = everything(FolderSource(kind="folder", name="p", path="photos"), tmp_path)
        assert [(query.text, target.parts) for _, query, target in rows(found)] == [
            ("a dog", (Image(File(folder / "b.png")),))
        ]
        last = {"captions.txt": "no tab", "captions.csv": "empty text", "captions.jsonl": "not JSON"}[name]
        silent = ["medium without a caption"] * (1 if name == "captions.csv" else 2)  # a.jpg, and c.mp4 if not named
        assert [reason for _, reason in bad(found)] == ["caption without a medium", last, *silent]
        (folder / name).unlink()


def test_what_a_curation_wrote_is_no_material_of_a_folder_around_it(tmp_path: Path) -> None:
    for place in ("photos/a.png", "curated/media/ab/ab12.png", "curated/media2/b.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"x")
        (tmp_path / place).with_suffix(".txt").write_text("a picture")
    source = FolderSource(kind="folder", name="p", path=".")
    found = read(source, STAGES, tmp_path, tmp_path, tmp_path / "curated" / "media")
    assert [one.file for one in found] == ["curated/media2/b.txt", "photos/a.txt"]
    found = read(source, STAGES, tmp_path / "photos", tmp_path, tmp_path / "curated" / "media")
    assert [one.file for one in found] == ["photos/a.txt"]


def test_a_dataset_is_streamed_and_its_media_become_files(tmp_path: Path) -> None:
    import datasets
    from PIL import Image as Pillow

    (tmp_path / "data").mkdir()
    Pillow.new("RGB", (4, 4), (9, 8, 7)).save(tmp_path / "x.png")
    picture = {"bytes": (tmp_path / "x.png").read_bytes(), "path": "x.png"}
    table = pa.table({"q": ["a", "b", ""], "image": [picture, picture, picture], "unused": [1, 2, 3]})
    features = {"q": datasets.Value("string"), "image": datasets.Image(), "unused": datasets.Value("int64")}
    declared = {"info": {"features": datasets.Features(features).to_dict()}}
    table = table.replace_schema_metadata({"huggingface": json.dumps(declared)})
    pq.write_table(table, tmp_path / "data" / "train.parquet")
    source = HubSource(kind="hub", name="h", dataset="data", query=Side(text="q"), target=Side(image="image"))
    found = everything(source, tmp_path)
    parts = [target.parts[0] for _, _, target in rows(found)]
    assert parts[0] == parts[1] and media.pixels(parts[0])[0, 0].tolist() == [9, 8, 7]
    assert parts[0].medium.path.is_relative_to(tmp_path / "kept") and len(list((tmp_path / "kept").rglob("*.png"))) == 1
    assert bad(found) == [(2, "empty text")]
    wrong = source.model_copy(update={"query": Side(text="Q")})
    with pytest.raises(DataError, match="no column 'Q'"):
        everything(wrong, tmp_path)


def test_training_records_of_unite_are_streamed_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "1.png").write_bytes(b"picture")
    shown = {"text": "<|IMAGE|>\nRepresent the image.", "image": "1.png"}
    records = [{"query": {"text": "a cat", "image": None}, "candidate": shown, "target_modal": "image"}] * 2
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "data" / "train.parquet")
    found = everything(HubSource(kind="hub", name="h", dataset="data", granularity="instruction"), tmp_path)
    assert [(one[0], one[1].modality, one[2].modality) for one in rows(found)] == [
        ("h:0", "text", "image"),
        ("h:1", "text", "image"),
    ]
    with pytest.raises(ValueError, match="give both query and target, or neither"):
        HubSource(kind="hub", name="h", dataset="data", query=Side(text="q"))


def test_names_in_captions_are_files_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "p" / "sub").mkdir(parents=True)
    for name in ("cafe\u0301.png", "sub/b.png", "c.png"):
        (tmp_path / "p" / name).write_bytes(b"x")
    (tmp_path / "p" / "captions.txt").write_text("caf\u00e9.png\tone\nsub\\b.png\ttwo\n./c.png\tthree\n", "utf-8")
    found = everything(FolderSource(kind="folder", name="p", path="p"), tmp_path)
    assert [query.text for _, query, _ in rows(found)] == ["one", "two", "three"] and bad(found) == []


def test_a_dataset_that_breaks_off_in_the_middle_says_where(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows_of = [[{"q": f"q{n}", "t": f"t{n}"} for n in range(start, start + 3)] for start in (0, 3)]
    for number, own in enumerate(rows_of):
        pq.write_table(pa.Table.from_pylist(own), tmp_path / "data" / f"train-{number}.parquet")
    broken = tmp_path / "data" / "train-1.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:4] + b"\xff" * 60 + whole[64:])
    source = HubSource(kind="hub", name="h", dataset="data", **TEXTS)
    with pytest.raises(DataError, match=r"data: cannot be read beyond row 3 of split train \((?s:.*)try again"):
        everything(source, tmp_path)


def test_an_unpinned_dataset_is_read_at_the_newest_revision_and_a_pinned_one_at_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[str] = []

    def info(_api: Any, name: str) -> SimpleNamespace:
        asked.append(name)
        if name == "no/body":
            raise OSError("no route")
        return SimpleNamespace(sha="a" * 40)

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    source = HubSource(kind="hub", name="h", dataset="some/body", **TEXTS)
    assert pinned(source, tmp_path).revision == "a" * 40
    fixed = source.model_copy(update={"revision": "b" * 40})
    assert pinned(fixed, tmp_path) == fixed
    (tmp_path / "data").mkdir()
    local = source.model_copy(update={"dataset": "data"})
    assert pinned(local, tmp_path) == local and asked == ["some/body"]
    with pytest.raises(DataError, match=r"no/body: the hub cannot be asked .*no route"):
        pinned(source.model_copy(update={"dataset": "no/body"}), tmp_path)
