"""Results and tables: a record is byte-equal on rerun, says what shaped it, and is tabled honestly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import unite_bench as ub
from unite_bench import results
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.errors import DataError, StoreError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.protocol import Settings
from unite_bench.report.formats import FORMATS
from unite_bench.report.leaderboard import by_group, by_task
from unite_bench.report.table import Cell, Row, Table
from unite_bench.results import Result
from unite_bench.running import run
from unite_bench.spec.model import Suite, Task
from unite_bench.spec.reader import parse_task

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def task(tmp_path: Path) -> Task:
    words = ["red fox", "blue whale", "green frog", "grey wolf"]
    lines = [
        json.dumps({"id": f"r{n}", "q": w, "c": f"the {w}", "kind": "land" if n % 2 else "sea"})
        for n, w in enumerate(words)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    text = """\
name: animals
version: 1
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {id: id, modality: text, text: q}
candidates: {id: id, modality: text, text: c}
qrels: by-row
metrics: [hit@1, mrr]
primary: hit@1
slices: [kind]
trained_on: [animals-train]
"""
    return parse_task(text, "animals.yaml", tmp_path)


def test_a_record_is_byte_equal_on_rerun_and_says_everything(task: Task, tmp_path: Path) -> None:
    first = evaluate(HashedTextEmbedder(), task, store=tmp_path / "a")
    again = evaluate(HashedTextEmbedder(), task, store=tmp_path / "b")
    assert json.dumps(first.record, sort_keys=True) == json.dumps(again.record, sort_keys=True)
    record = first.record
    assert record["measures"]["hit@1"]["value"] == 1.0
    assert record["measures"]["hit@1"]["chance"] == 0.25
    assert record["measures"]["hit@1"]["low"] < 1.0
    sea = record["slices"]["kind"]["sea"]
    assert (sea["queries"], sea["value"], sea["high"]) == (2, 1.0, 1.0) and 0.3 < sea["low"] < 0.4  # Wilson, 2 of 2
    assert {"instructions", "pool", "ties", "frames", "digest"} <= set(record["protocol"])
    assert {"seconds", "packages", "hardware", "peak_memory_mb"} <= set(first.environment)


def test_results_are_written_and_read_back_with_their_rows(task: Task, tmp_path: Path) -> None:
    result = evaluate(HashedTextEmbedder(), task)
    path = results.write(result, tmp_path / "out")
    assert results.read(path).record == json.loads(json.dumps(result.record))
    row = results.read_rows(path)[0]
    assert (row["query"], row["above"], row["tied"], row["hit@1"], row["first"][0]) == ("r0", [0], [1], 1.0, "r0")
    path.write_text("{")
    with pytest.raises(StoreError, match="not a readable result"):
        results.read(path)
    path.with_suffix(".parquet").write_text("PAR1")
    with pytest.raises(StoreError, match="not readable rows"):
        results.read_rows(path)
    with pytest.raises(StoreError, match="not readable rows"):
        results.read_rows(path.with_name("gone.json"))


def test_protocol_and_data_belong_to_a_results_identity(task: Task) -> None:
    plain = evaluate(HashedTextEmbedder(), task)
    bare = evaluate(HashedTextEmbedder(), task, Settings(instructions="none"))
    assert plain.identity != bare.identity
    assert plain.identity == evaluate(HashedTextEmbedder(), task).identity


class Sick(HashedTextEmbedder):
    card = replace(HashedTextEmbedder.card, name="sick")

    def embed(self, items: Sequence[ub.Item], role: ub.Role) -> np.ndarray:
        if any("whale" in (item.text or "") for item in items):
            raise ValueError("no whales")
        return super().embed(items, role)


def test_a_skipped_query_is_a_miss_and_a_lost_candidate_is_counted(task: Task) -> None:
    result = evaluate(Sick(), task, Settings(on_error="skip", most_failed=0.5))
    assert result["hit@1"] == 0.75
    assert result.record["counts"]["failed_queries"] == result.record["counts"]["failed_candidates"] == 1
    assert "no whales" in result.record["failed"]["query"]["r1"]
    assert result.rows[1]["encoded"] is False and result.rows[1]["first"] == []
    with pytest.raises(DataError, match="1 of 4 items failed"):
        evaluate(Sick(), task, Settings(on_error="skip"))


def test_one_failed_task_stops_no_other(task: Task, tmp_path: Path) -> None:
    broken = parse_task((task.model_dump_json(by_alias=True)), "x").in_folder(tmp_path / "nowhere")
    pictures = parse_task(task.model_dump_json(by_alias=True), "x").in_folder(task.folder)
    pictures = pictures.model_copy(update={"candidates": pictures.corpora[0].model_copy(update={"modality": "image"})})
    outcomes = list(run(HashedTextEmbedder(), [broken, pictures, task], results_root=tmp_path / "out"))
    assert [o.status for o in outcomes] == ["failed", "n/a", "done"]
    assert "no such file" in outcomes[0].reason
    assert len(list(results.read_all([tmp_path / "out"]))) == 1


def test_contamination_is_in_domain_clean_or_unknown(task: Task) -> None:
    for sets, expected in ((frozenset({"animals-train"}), "in-domain"), (frozenset(), "clean"), (None, "unknown")):
        model = HashedTextEmbedder()
        model.card = replace(model.card, training_sets=sets)
        assert evaluate(model, task).record["contamination"] == expected


def named(result: Result, name: str, value: float, contamination: str = "clean") -> Result:
    record = json.loads(json.dumps(result.record))
    record["embedder"]["name"] = name
    record["contamination"] = contamination
    record["measures"]["hit@1"] |= {"value": value, "low": value - 0.1}
    return Result(record, result.environment)


def test_tables_mark_place_and_omit_honestly(task: Task) -> None:
    base = evaluate(HashedTextEmbedder(), task)
    other = task.model_copy(update={"name": "others"})
    held = [named(base, "a", 0.5), named(base, "b", 0.75), named(base, "trained", 1.0, "in-domain")]
    suite = Suite(name="zoo", title="Zoo", tasks=["animals"])
    table = by_group(suite, [task], held)
    assert [(row.name, row.cells[0].text, row.below_rule) for row in table.rows] == [
        ("a", "33.3", False),
        ("b", "66.7", False),
        ("trained", "100.0", True),
    ]
    column = {row: place for (row, at), place in table.places().items() if at == 0}
    assert column == {1: 1, 0: 2}, "an in-domain row is never best"
    turned = table.transposed()
    assert turned.columns == ("a", "b", "trained") and turned.rows[0].cells[2].text == "100.0"
    assert {at: place for (row, at), place in turned.places().items() if row == 0} == column
    wide = named(base, "wide", 0.6)
    wide.record["measures"]["hit@1"]["low"] = 0.1
    assert by_group(suite, [task], [*held[:2], wide]).places()[0, 0] == 2, "what may be chance is never second"
    partial = by_group(suite, [task, other], held)
    assert {row.cells[-1].text for row in partial.rows} == {"-"}, "a partial row gets no average"
    raw = by_task(suite, [task], held, interval=True)
    assert raw.rows[0].cells[0].text.startswith("50.0 [")
    assert raw.rows[-1].name == "chance"


def test_results_under_other_instructions_or_data_never_share_a_column(task: Task) -> None:
    suite = Suite(name="zoo", tasks=["animals"])
    base = evaluate(HashedTextEmbedder(), task)
    bare = named(evaluate(HashedTextEmbedder(), task, Settings(instructions="none")), "other", 0.5)
    with pytest.raises(DataError, match="cannot stand in one column"):
        by_group(suite, [task], [base, bare])


def test_conflicting_and_partial_results_are_not_tabled(task: Task) -> None:
    base = evaluate(HashedTextEmbedder(), task)
    suite = Suite(name="zoo", tasks=["animals"])
    with pytest.raises(DataError, match="two different results"):
        by_group(suite, [task], [base, evaluate(HashedTextEmbedder(), task, Settings(instructions="none"))])
    with pytest.raises(UsageError, match="no results"):
        by_group(suite, [task], [evaluate(HashedTextEmbedder(), task, Settings(limit=2))])


TABLE = Table(
    caption="A table: 100 % of it.",
    name_column="embedder",
    columns=("coarse T→I", "R@1_x"),
    rows=(
        Row("one & two", (Cell("50.0", 0.5), Cell("n/a"))),
        Row("b_c", (Cell("75.0", 0.75), Cell("10.0", 0.1))),
        Row("d|e", (Cell("75.0", 0.7500001), Cell("9.9", 0.099, marks=("?",)))),
        Row("seen", (Cell("99.0", 0.99, marks=("†",)), Cell("-")), below_rule=True),
    ),
    notes={"†": "trained on it.", "?": "unknown."},
)
GROUPED = Table(
    caption="Heads over columns, rows under sections.",
    name_column="embedder",
    columns=("R@1", "R@5", "R@1", "mean"),
    heads=("T→I", "T→I", "I→T", ""),
    rows=(
        Row("small", (Cell("1.0", 0.01), Cell("2.0", 0.02), Cell("3.0", 0.03), Cell("2.0", 0.02)), section="2B"),
        Row("other", (Cell("1.5", 0.015), Cell("1.0", 0.01), Cell("-"), Cell("-")), section="2B"),
        Row("printed", (*[Cell("4.0", 0.04, reason='a "table"')] * 3, Cell("-")), section="7B", marks=("¶",)),
        Row("seen", (*[Cell("9.0", 0.09, marks=("†",))] * 4,), below_rule=True, section="7B"),
    ),
    notes={"¶": "published.", "†": "trained on it."},
    highlights=1,
)


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize(("table", "file"), [(TABLE, "table"), (GROUPED, "grouped")])
def test_formats_match_their_golden_files(table: Table, file: str, name: str) -> None:
    """The files under tests/golden were read by eye; equal printed values share a place."""
    assert FORMATS[name](table) + "\n" == (GOLDEN / f"{file}.{name}").read_text()
