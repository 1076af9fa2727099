"""Task files: what is wrong is said with its place, all at once; what is right is read without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from unite_bench.errors import SpecError, UsageError
from unite_bench.spec.catalogue import entries_of, load_entry, load_suite, load_task, suite_files, task_files, tasks_of
from unite_bench.spec.measures import parse_measure
from unite_bench.spec.model import Task, task_schema
from unite_bench.spec.reader import parse_task

GOOD = """\
name: mine
version: 1
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {modality: text, text: caption}
candidates: {modality: image, image: photo}
qrels: by-row
metrics: [hit@1, mrr]
primary: hit@1
"""


def findings(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_task(text, "tasks/mine.yaml")
    return list(caught.value.findings)


def test_a_good_task_is_read() -> None:
    task = parse_task(GOOD)
    assert (task.label, task.primary, task.pool) == ("mine@1", "hit@1", "corpus")
    assert [str(m) for m in task.measures] == ["hit@1", "mrr"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("candidates:", "candidate:", ":6:1: unknown key 'candidate', did you mean 'candidates'?"),
        ("text: caption", "texts: caption", ":5:27: unknown key 'texts', did you mean 'text'?"),
        ("path: rows", "pat: rows", ":4:23: unknown key 'pat', did you mean 'path'?"),
        ("kind: files", "kind: file", ":4:1: source: Input tag 'file' found"),
        ("hit@1, mrr", "hit@1, mmr", ":8:18: metrics.1: unknown measure 'mmr', did you mean 'mrr'?"),
        ("primary: hit@1", "primary: hit@5", "primary 'hit@5' is not among the metrics"),
        ("modality: image", "modality: picture", ":6:14: candidates.modality: modality 'picture'"),
        ("modality: image", "modality: image+text", "the columns named here give 'image'"),
        ("qrels: by-row", "qrels: row", ":7:1: qrels: Input should be 'by-row'"),
        ("version: 1", "version: one", ":2:1: version: Input should be a valid integer"),
        ("granularity: coarse\n", "", "key 'granularity' is missing"),
        ("version: 1", "version: 1\nversion: 2", ":3:1: key 'version' stands here a second time"),
        ("version: 1", "version: [", "not YAML"),
        ("version: 1", "version: !foo 1", "not YAML"),
        ("version: 1", "version: 1\nnotes: 2020-02-31", "a value cannot be read"),
        ("version: 1", "version: 1\nnotes: {[a]: 1}", "a key must be a plain word"),
        ("version: 1", "version: 1\nslices: &a [*a]", "an alias that contains itself"),
        ("hit@1, mrr]\nprimary: hit@1", "median_rank]\nprimary: median_rank", "is better when lower"),
        ("image: photo}", "image: photo, frames: 8}", "frames given, but this side has no video"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = findings(GOOD.replace(old, new))
    assert any(expected in line and line.startswith("tasks/mine.yaml:") for line in found), found


def test_all_faults_are_reported_at_once() -> None:
    found = findings(GOOD.replace("hit@1, mrr", "hits@1, mrr").replace("text: caption", "txt: caption"))
    assert len([line for line in found if "hits@1" in line or "txt" in line]) == 2


def test_hit_and_recall_are_never_aliases() -> None:
    assert parse_measure("hit@5") != parse_measure("recall@5")
    for wrong in ("r@5", "recall_at_5", "hit", "mrr@10", "hit@0"):
        with pytest.raises(ValueError, match="unknown measure"):
            parse_measure(wrong)


def test_the_protocol_digest_follows_meaning_and_not_words() -> None:
    base = parse_task(GOOD).protocol_digest
    assert parse_task(GOOD + "title: Another title\nnotes: none\n").protocol_digest == base
    assert parse_task(GOOD + "duplicates: keep\n").protocol_digest != base
    assert parse_task(GOOD.replace("hit@1, mrr", "hit@1")).protocol_digest != base


def test_names_of_shipped_files_are_the_names_inside() -> None:
    assert {name: load_entry(name).name for name in task_files()} == {name: name for name in task_files()}
    assert {name: load_suite(name).name for name in suite_files()} == {name: name for name in suite_files()}


def test_every_task_of_every_suite_is_found_by_its_name() -> None:
    for name in suite_files():
        for entry in entries_of(load_suite(name)):
            assert load_entry(entry.name) == entry, f"suite {name} names {entry.name}"


def test_a_control_scores_the_queries_of_its_task() -> None:
    for task in (load_entry(name) for name in task_files()):
        if isinstance(task, Task) and task.control is not None:
            whole = load_task(task.control.of)
            assert (whole.pool, whole.primary, whole.control) == (task.pool, task.primary, None)


def test_unknown_names_come_with_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'embedded'"):
        load_suite("embeded")


def test_a_suite_file_may_name_task_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    (tmp_path / "suite.yaml").write_text("name: own\ntasks: [mine.yaml]\n")
    (task,) = tasks_of(load_suite(str(tmp_path / "suite.yaml")))
    assert task.name == "mine"


def test_the_schema_for_editors_knows_every_key() -> None:
    known = task_schema()["properties"]
    assert {"name", "queries", "candidates", "qrels", "pool", "metrics"} <= set(known)


def test_reading_and_validating_import_no_torch() -> None:
    code = (
        "import sys, unite_bench.validation as v; v.validate('scenes-t2t'); "
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_catalogue_pages_are_those_of_the_task_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    import catalogue

    for path in catalogue.PAGES:
        assert path.read_text(encoding="utf-8") == catalogue.page(), f"run tools/catalogue.py: {path.name} is behind"
    shown = {entry.name for suite in catalogue.SUITES for entry in entries_of(load_suite(suite))}
    assert shown == set(task_files()), "every task that ships stands in the catalogue"
