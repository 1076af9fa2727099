"""Tables to items: the layouts that are read, and a clear finding for whatever is wrong in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.errors import DataError, SpecError
from unite_bench.evaluation import evaluate
from unite_bench.sources.build import TaskData, build
from unite_bench.sources.files import open_table
from unite_bench.spec.reader import parse_task
from unite_bench.validation import validate

TEXT_TASK = """\
name: mine
version: 1
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {id: id, modality: text, text: q}
candidates: {id: id, modality: text, text: c}
qrels: by-row
metrics: [hit@1]
primary: hit@1
"""


def rows(folder: Path, *entries: dict[str, object], name: str = "rows.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def built(folder: Path, text: str = TEXT_TASK, skip_broken: bool = False) -> TaskData:
    return build(parse_task(text, "mine.yaml", folder), skip_broken)


def fault(folder: Path, text: str = TEXT_TASK) -> str:
    with pytest.raises(DataError) as caught:
        built(folder, text)
    return str(caught.value)


def test_jsonl_csv_and_parquet_give_the_same_data(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    entries = [{"id": "a", "q": "one", "c": "eins"}, {"id": "b", "q": "two, or so", "c": "zwei"}]
    rows(tmp_path, *entries)
    (tmp_path / "rows.csv").write_text('id,q,c\na,one,eins\nb,"two, or so",zwei\n')
    pq.write_table(pa.Table.from_pylist(entries), tmp_path / "rows.parquet")
    digests = {built(tmp_path, TEXT_TASK.replace("jsonl", kind)).digest for kind in ("jsonl", "csv", "parquet")}
    assert len(digests) == 1


def test_the_data_digest_ignores_order_and_ids_but_not_content(tmp_path: Path) -> None:
    first, second = {"id": "a", "q": "one", "c": "eins"}, {"id": "b", "q": "two", "c": "zwei"}
    rows(tmp_path, first, second)
    digest = built(tmp_path).digest
    rows(tmp_path, {**second, "id": "x"}, {**first, "id": "y"})
    assert built(tmp_path).digest == digest
    rows(tmp_path, first, {**second, "c": "drei"})
    assert built(tmp_path).digest != digest


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows(tmp_path, {"id": "a", "q": "one", "c": "eins"})
    stamp, digest = path.stat().st_mtime_ns, built(tmp_path).digest
    rows(tmp_path, {"id": "a", "q": "one", "c": "zwei"})
    os.utime(path, ns=(stamp, stamp))
    assert built(tmp_path).digest != digest
    os.utime(path, ns=(0, 0))
    assert open_table(path) is open_table(path), "a file that has settled is read once"


def test_a_folder_with_captions_is_a_table(pictures: Path) -> None:
    task = TEXT_TASK.replace("path: rows.jsonl", "path: pictures").replace("text: q", "text: caption")
    task = task.replace("{id: id, modality: text, text: c}", "{id: id, modality: image, image: image}")
    data = built(pictures.parent, task)
    assert (len(data.queries), data.candidates[0].modality) == (20, "image")
    (pictures / "captions.txt").write_text("00.png\ta red circle\n99.png\tnothing\n")
    assert "captions.txt:2: no medium '99.png'" in fault(pictures.parent, task)
    (pictures / "captions.txt").write_text("00.png\ta red circle\n")
    assert "no caption for 01.png" in fault(pictures.parent, task)


def test_beir_layout_with_grades(tmp_path: Path) -> None:
    rows(
        tmp_path, {"_id": "d1", "title": "T", "text": "x"}, {"_id": "d2", "title": "", "text": "y"}, name="corpus.jsonl"
    )
    rows(tmp_path, {"_id": "q1", "text": "ask"}, {"_id": "q2", "text": "of another split"}, name="queries.jsonl")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    text = """\
name: beir
version: 1
granularity: coarse
source: {kind: beir, path: .}
queries: {id: _id, modality: text, text: text}
candidates: {id: _id, modality: text, text: full_text}
qrels: source
metrics: [ndcg@10]
primary: ndcg@10
"""
    data = built(tmp_path, text)
    assert [q.id for q in data.queries] == ["q1"]
    assert data.candidates[0].text == "T x"
    assert (data.qrels[0].tolist(), data.qrels.values_of(0).tolist()) == ([0], [2.0])


def test_equal_candidates_are_merged_and_stay_relevant(tmp_path: Path) -> None:
    rows(tmp_path, *({"id": str(n), "q": f"q{n}", "c": "same" if n < 2 else f"c{n}"} for n in range(4)))
    merged, kept = built(tmp_path), built(tmp_path, TEXT_TASK + "duplicates: keep\n")
    assert (len(merged.candidates), merged.duplicates) == (3, 1)
    assert merged.qrels[0].tolist() == merged.qrels[1].tolist()
    assert (len(kept.candidates), kept.duplicates) == (4, 0)


def test_exclude_self_drops_the_query_from_its_pool(tmp_path: Path) -> None:
    rows(tmp_path, {"id": "a", "q": "x", "c": "y", "p": ["a"]}, {"id": "b", "q": "z", "c": "x", "p": ["a"]})
    task = TEXT_TASK.replace("qrels: by-row", "qrels: {column: p}\nexclude_self: true")
    data = built(tmp_path, task)
    assert [data.candidates[i].text for i in data.excluded[0]] == ["x"]
    assert data.excluded[1].size == 0


def test_exclude_self_within_a_pool_takes_out_only_its_members(tmp_path: Path) -> None:
    """The query's twin lies outside its pool: the pool keeps its size, and chance is that of two candidates."""
    from unite_bench.embedders.baselines import ConstantEmbedder
    from unite_bench.evaluation import evaluate

    rows(
        tmp_path,
        {"id": "a", "q": "x", "c": "y", "p": "a", "pool": ["a", "c"]},
        {"id": "b", "q": "z", "c": "x", "p": "a", "pool": ["a", "b"]},
        {"id": "c", "q": "w", "c": "v", "p": "c", "pool": ["a", "c"]},
    )
    task = TEXT_TASK.replace("qrels: by-row", "qrels: {column: p}\nexclude_self: true\npool: {per-query: pool}")
    result = evaluate(ConstantEmbedder(), parse_task(task, "mine.yaml", tmp_path))
    assert [row["pool"] for row in result.rows] == [2, 2, 2]
    assert result["hit@1"] == result.record["measures"]["hit@1"]["chance"] == 0.5


def test_the_first_candidates_leave_out_what_is_excluded(tmp_path: Path) -> None:
    from unite_bench.embedders.hashed_text import HashedTextEmbedder
    from unite_bench.evaluation import evaluate

    rows(tmp_path, {"id": "a", "q": "red fox", "c": "fox"}, {"id": "b", "q": "sea", "c": "red fox"})
    task = parse_task(TEXT_TASK + "exclude_self: true\n", "mine.yaml", tmp_path)
    assert evaluate(HashedTextEmbedder(), task).rows[0]["first"] == ["a"]


def test_the_digest_covers_clusters_slices_and_target_forms(tmp_path: Path) -> None:
    task = TEXT_TASK + "clusters: k\nslices: [s]\n"
    digests = set()
    for k, s in (("1", "1"), ("2", "1"), ("1", "2")):
        rows(
            tmp_path,
            {"id": "a", "q": "q", "c": "c", "k": k, "s": s},
            {"id": "b", "q": "r", "c": "d", "k": "1", "s": "1"},
        )
        digests.add(built(tmp_path, task).digest)
    assert len(digests) == 3


def test_a_limit_forgets_broken_queries_beyond_it(tmp_path: Path) -> None:
    rows(tmp_path, *({"id": str(n), "q": "" if n > 3 else f"q{n}", "c": f"c{n}"} for n in range(6)))
    assert built(tmp_path, skip_broken=True).head(3).broken == {}


def test_a_union_of_corpora_and_rows_of_mixed_modality(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    rows(tmp_path, {"id": "q", "q": "red", "p": ["i", "m"], "want": "image"})
    rows(tmp_path, {"id": "t", "c": "a text", "kind": "text"}, name="texts.jsonl")
    rows(
        tmp_path,
        {"id": "i", "image": "red.png", "kind": "image"},
        {"id": "m", "image": "red.png", "c": "red", "kind": "text+image"},
        name="mixed.jsonl",
    )
    task = """\
name: union
version: 1
granularity: coarse
queries: {source: {kind: files, path: rows.jsonl}, id: id, modality: text, text: q}
candidates:
  - {source: {kind: files, path: texts.jsonl}, id: id, modality: text, text: c}
  - {source: {kind: files, path: mixed.jsonl}, id: id, modality: {column: kind}, image: image, text: c}
qrels: {column: p}
pool: union
target_modality: {column: want}
metrics: [hit@1, modality@1]
primary: hit@1
"""
    data = built(tmp_path, task)
    assert [c.modality for c in data.candidates] == ["text", "image", "image+text"]
    assert data.target_modality == ("image",)


def test_a_row_may_lack_a_part_only_where_the_task_says_so(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    rows(
        tmp_path, *({"id": str(n), "q": "red", "c": text, "i": "red.png"} for n, text in enumerate(["red", " ", None]))
    )
    task = TEXT_TASK.replace("{id: id, modality: text, text: c}", "{id: id, modality: image+text, text: c, image: i}")
    assert "rows.jsonl:2: column 'c': expected a text" in fault(tmp_path, task)
    data = built(tmp_path, task.replace("text: c,", "text: c, optional: [text],"))
    assert [candidate.modality for candidate in data.candidates] == ["image+text", "image"] and data.duplicates == 1
    with pytest.raises(SpecError, match="optional takes some of the parts, but not all"):
        built(tmp_path, TEXT_TASK.replace("text: c}", "text: c, optional: [text]}"))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"id": "a", "q": "", "c": "x"}, "rows.jsonl:2: column 'q': expected a text that is not empty, found ''"),
        ({"id": "0", "q": "q", "c": "x"}, "rows.jsonl:2: id '0' stands a second time"),
        ({"id": "a", "q": "q", "c": None}, "rows.jsonl:2: column 'c': expected a text"),
        ({"q": "q", "c": "x"}, "rows.jsonl:2: column 'id' is empty in this row"),
        ({"id": None, "q": "q", "c": "x"}, "rows.jsonl:2: column 'id' is empty in this row"),
        ({"id": "a", "q": "\ud83d", "c": "x"}, "rows.jsonl:2: column 'q': the text is not valid Unicode"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, entry: dict[str, object], expected: str) -> None:
    rows(tmp_path, {"id": "0", "q": "q", "c": "c"}, entry)
    assert expected in fault(tmp_path)


def test_faults_of_several_rows_are_reported_together(tmp_path: Path) -> None:
    rows(tmp_path, *({"id": str(n), "q": "" if n % 2 else "q", "c": f"c{n}"} for n in range(6)))
    assert fault(tmp_path).count("\n") == 2


def test_missing_column_qrels_to_nowhere_and_no_positive(tmp_path: Path) -> None:
    rows(tmp_path, {"id": "a", "q": "q", "c": "c", "p": ["zz"], "none": []})
    assert "no column 'qq'; did you mean 'q'?" in fault(tmp_path, TEXT_TASK.replace("text: q", "text: qq"))
    nowhere = fault(tmp_path, TEXT_TASK.replace("by-row", "{column: p}"))
    assert "rows.jsonl:1: qrels point at candidate 'zz', which does not exist" in nowhere
    rows(tmp_path, {"id": "a", "q": "q", "c": "c", "p": {"a": float("inf")}, "none": []})
    assert "rows.jsonl:1: grade inf is not a finite number" in fault(
        tmp_path, TEXT_TASK.replace("by-row", "{column: p}")
    )
    assert "has no positive" in fault(tmp_path, TEXT_TASK.replace("by-row", "{column: none}"))


def test_a_positive_outside_its_pool_is_an_error(tmp_path: Path) -> None:
    rows(tmp_path, {"id": "a", "q": "q", "c": "c", "pool": ["b"]}, {"id": "b", "q": "r", "c": "d", "pool": ["a", "b"]})
    assert "1 of its positives are not in its pool" in fault(tmp_path, TEXT_TASK + "pool: {per-query: pool}\n")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rows.jsonl", "{not json}\n", "rows.jsonl:1: not JSON"),
        ("rows.jsonl", "[1]\n", "rows.jsonl:1: expected an object"),
        ("rows.csv", "id,q,c\na,b\n", "rows.csv:2: the row has more or fewer cells"),
        ("rows.csv", "id,q,c\na,b,c,d\n", "rows.csv:2: the row has more or fewer cells"),
        ("rows.csv", ",id,q,c\n0,a,b,c\n", "rows.csv:1: every column needs a name of its own"),
        ("rows.csv", "id,q,q,c\na,b,b,c\n", "rows.csv:1: every column needs a name of its own"),
        ("rows.csv", "id,q,c\n", "rows.csv: has no rows"),
        ("rows.parquet", "no parquet", "cannot be read as Parquet"),
    ],
)
def test_an_unreadable_table_says_where(tmp_path: Path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content)
    assert expected in fault(tmp_path, TEXT_TASK.replace("rows.jsonl", name))


def test_broken_rows_can_be_kept_for_counting(tmp_path: Path) -> None:
    rows(tmp_path, {"id": "a", "q": "q", "c": "c"}, {"id": "b", "q": "", "c": "d"})
    data = built(tmp_path, skip_broken=True)
    assert list(data.broken) == [("query", "b")]
    assert data.queries[1].parts == ()


def test_validate_places_a_missing_column_in_the_task_file(tmp_path: Path) -> None:
    rows(tmp_path, {"id": "a", "q": "q", "c": "c"})
    (tmp_path / "mine.yaml").write_text(TEXT_TASK.replace("text: q", "text: qq"))
    (finding,) = validate(str(tmp_path / "mine.yaml")).findings
    assert "mine.yaml:5:" in finding
    assert "did you mean 'q'?" in finding


def test_validate_with_media_opens_every_picture(tmp_path: Path, pictures: Path) -> None:
    (pictures / "03.png").write_bytes((pictures / "03.png").read_bytes()[:60])
    task = TEXT_TASK.replace("path: rows.jsonl", "path: pictures").replace("text: q", "text: caption")
    (tmp_path / "p.yaml").write_text(task.replace("modality: text, text: c}", "modality: image, image: image}"))
    assert validate(str(tmp_path / "p.yaml")).findings == ()
    (finding,) = validate(str(tmp_path / "p.yaml"), with_media=True).findings
    assert "03.png" in finding


def test_expected_counts_are_held_if_verified_and_warned_of_if_not(tmp_path: Path) -> None:
    rows(tmp_path, {"id": "a", "q": "one", "c": "x"}, {"id": "b", "q": "two", "c": "x"})
    told = TEXT_TASK + "expected: {queries: 3, candidates: 2, status: STATUS}\n"
    assert "2 queries, but the task file expects 3" in fault(tmp_path, told.replace("STATUS", "verified"))
    task = parse_task(told.replace("STATUS", "unverified"), "mine.yaml", tmp_path)
    (warning,) = [w for w in evaluate(HashedTextEmbedder(), task).record["warnings"] if "expects" in w]
    assert "2 queries" in warning, "candidates are counted before equal ones are merged"
    assert built(tmp_path, told.replace("STATUS", "verified").replace("3", "2")).rows == 2
