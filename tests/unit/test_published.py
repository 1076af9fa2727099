"""The published scores: none lost, none twice, each at home in the catalogue or with the reason why not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from unite_bench.errors import SpecError
from unite_bench.published import all_published, published_files, read_published
from unite_bench.spec.catalogue import load_entry

GOOD = """\
name: paper
title: A paper
source: Table 1
kind: printed-table
conditions:
  {benchmark: B, frames: unknown, prompt: unknown, rerank: unknown, captions: unknown, ties: unknown,
   run_by: unknown, reported: unknown}
columns:
  A: {measure: hit@1, printed: "A, R@1", task: mmeb-cirr}
rows:
"""
ROW = "  - {checkpoint: m, backbone: unknown, size: unknown, trained_on: unknown, scores: {A: 50}}\n"


def test_no_score_was_lost_and_none_stands_twice() -> None:
    held = [
        (file.name, file.source_of(row), row.checkpoint, file.conditions_of(row).run_by, column)
        for file in all_published()
        for row in file.rows
        for column in row.scores
    ]
    assert len(held) == 2647
    assert max(Counter(held).values()) == 1
    assert [file.name for file in all_published()] == list(published_files())


def test_every_mapped_score_is_a_measure_of_its_task() -> None:
    mapped = {(c.task, c.measure) for file in all_published() for c in file.columns.values() if c.task is not None}
    assert len({task for task, _ in mapped}) == 36 + 18 + 24 + 16 + 1  # MMEB, MMEB-V2 video and documents, UVRB, CoVR
    for task, measure in mapped:
        assert measure in load_entry(task).metrics, task


def test_counts_of_queries_agree_with_the_catalogue() -> None:
    for file in all_published():
        for column in file.columns.values():
            expected = load_entry(column.task).expected if column.task else None
            if expected is not None and column.queries is not None:
                assert column.queries == expected.queries, (file.name, column.task)


def test_known_inconsistencies_are_flagged() -> None:
    flagged = {
        (file.name, row.checkpoint, column) for file in all_published() for row in file.rows for column in row.flags
    }
    assert {
        ("freeret", "UniME Phi-3.5-V", "Overall"),
        ("freeret", "UniME LLaVA-1.6-7B", "Overall"),
        ("freeret", "mmE5-11B", "VQA"),
        ("unite", "mmE5-11B", "GD"),
        ("gve", "VLM2Vec-V2", "AVG"),
        ("mmeb-leaderboard", "VLM2Vec Qwen2-VL-2B-LoRA-HighRes", "Overall"),
        ("qwen3-vl-embedding", "GME-7B", "VisDoc Overall"),
        ("qwen3-vl-embedding", "IFM-TTE-8B", "VisDoc OOD"),
        ("vlm2vec-issue-207", "Omni-Embed-Nemotron-3B", "ViDoSeek-page"),
    } <= flagged
    mended = {"ViDoSeek-page", "MMLongBench-page"}
    for file in all_published():
        if file.name in ("vlm2vec-v2.0.0", "vlm2vec-v2.0.1"):
            assert all(file.columns[name].task is None for name in mended), "measured on pages that were wrong"


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("A: 50}", "A: 150}", "paper.yaml:11:85: rows.0.scores.A: Input should be less than or equal to 100"),
        ("mmeb-cirr", "mmeb-cir", "paper.yaml:9:42: columns.A.task: 'mmeb-cir' is no task of the catalogue"),
        ("hit@1", "R@1", "paper.yaml:9:7: columns.A.measure: unknown measure 'R@1'"),
        (", task: mmeb-cirr", "", "paper.yaml:9:3: columns.A: give one of task, mean and unmapped"),
        ("{A: 50}", "{B: 50}", "m: no column 'B'; there are A"),
        (" run_by: unknown,", "", "key 'run_by' is missing"),
        ("scores: {A", "score: {A", "unknown key 'score', did you mean 'scores'?"),
        ("scores: {A", "conditions: {frame: 8}, scores: {A", "Input should be 'benchmark', 'frames'"),
        ("{A: 50}}", "{A: 50}, flags: {B: odd}}", "m: a flag on 'B', which has no score"),
        (ROW, ROW + ROW, "m stands here twice"),
    ],
)  # fmt: skip
def test_a_wrong_file_says_where_and_what(tmp_path: Path, old: str, new: str, finding: str) -> None:
    path = tmp_path / "paper.yaml"
    path.write_text(GOOD + ROW)
    assert read_published(path).rows[0].scores == {"A": 50}
    path.write_text((GOOD + ROW).replace(old, new))
    with pytest.raises(SpecError) as caught:
        read_published(path)
    assert finding in "\n".join(caught.value.findings)
