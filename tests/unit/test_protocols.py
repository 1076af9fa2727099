"""Protocol switches: each is in the record and the identity, changes what it should, and keeps tables apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unite_bench as ub
from unite_bench import media, results
from unite_bench.cli.reporting import leaderboard
from unite_bench.errors import DataError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.items import Item, Role
from unite_bench.protocol import SWITCHES, Settings, in_words, switches
from unite_bench.ranking import _by_content
from unite_bench.report.comparing import compare
from unite_bench.report.instructions import instructions_table
from unite_bench.report.leaderboard import by_group, by_task
from unite_bench.report.pairing import paired
from unite_bench.report.protocols import by_protocol
from unite_bench.report.run_table import run_table
from unite_bench.report.temporal import temporal_table
from unite_bench.results import Result
from unite_bench.running import Outcome, run
from unite_bench.sources.build import build
from unite_bench.spec.model import Column, Suite, Task
from unite_bench.spec.reader import parse_task

CHANGED: dict[str, tuple[Any, str]] = {
    "instructions": ("none", "no instruction"),
    "frames": ("native", "native frames"),
    "reader": ("decord", "clips read by decord"),
    "compat": ("mmeb", "MMEB-compatible ranks"),
    "dual_softmax": (0.01, "dual softmax at temperature 0.01 (transductive)"),
    "on_error": ("skip", "items that cannot be encoded count as missed"),
}
SUITE = Suite(name="two", tasks=["numbers", "letters"])
TASK = """
name: numbers
version: 1
granularity: coarse
source: {kind: files, path: rows.csv}
queries: {modality: text, text: asked, instruction: "Find it."}
candidates: {modality: text, text: held, id: name}
qrels: by-row
metrics: [hit@1, hit@2]
primary: hit@1
slices: [wording]
duplicates: keep
"""


class Spelled(ub.Embedder):
    """Vectors of small whole numbers, read off the text; an instruction turns them around."""

    card = ub.EmbedderCard(name="spelled", modalities={"text"}, dim=2, role_matters=False)

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        return np.array([[int(n) for n in (item.text or "").split()] for item in items], dtype=np.float32)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Candidates 1 and 2 are tied for query 1; candidates 0 and 3 have one text under two names."""
    rows = ["1 0,1 0,a,x", "0 1,0 2,b,x", "0 1,0 1,c,y", "1 0,1 0,d,y"]
    (tmp_path / "rows.csv").write_text("\n".join(["asked,held,name,wording", *rows]) + "\n")
    return parse_task(TASK).in_folder(tmp_path)


@pytest.fixture
def base(task: Task) -> Result:
    return evaluate(Spelled(), task)


def under(result: Result, task: str = "numbers", name: str = "spelled", **switched: Any) -> Result:
    """The same result as if it were of another task, embedder or protocol."""
    record = dict(result.record)
    record["task"] = record["task"] | {"name": task, "label": f"{task}@1"}
    record["embedder"] = record["embedder"] | {"name": name}
    record["protocol"] = record["protocol"] | switched
    return Result(record, result.environment, result.rows)


def test_every_switch_has_words_and_defaults_have_none() -> None:
    assert set(CHANGED) == set(SWITCHES)
    assert in_words({}) == "" and switches({}) == {name: getattr(Settings(), name) for name in SWITCHES}
    for name, (value, words) in CHANGED.items():
        assert in_words({name: value}) == words
    assert in_words({"compat": "trec", "frames": "native"}) == "native frames, ties in the order of trec_eval"


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_in_the_record_and_the_identity(
    name: str, task: Task, base: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = CHANGED[name][0]
    if name == "reader":
        pytest.importorskip("decord")
    monkeypatch.setattr(media, "_chosen", media._Chosen())  # the reader of this test alone
    other = evaluate(Spelled(), task, replace(Settings(), **{name: value}))
    assert switches(other.record["protocol"])[name] == value
    assert base.record["protocol"][name] == getattr(Settings(), name), "defaults are named too"
    assert other.identity != base.identity


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_keeps_results_out_of_one_table(name: str, task: Task, base: Result, tmp_path: Path) -> None:
    """In one column, and over the columns of one table; in every table that there is."""
    value, words = CHANGED[name]
    letters = task.model_copy(update={"name": "letters"})
    with pytest.raises(DataError, match="cannot stand in one column"):
        by_task(SUITE, [task], [base, under(base, name="b", **{name: value})])
    mixed = [base, under(base, "letters", **{name: value})]
    for tabled in (by_task, by_group):
        with pytest.raises(
            DataError, match=r"different protocols cannot stand in one table: default protocol \(spelled"
        ):
            tabled(SUITE, [task, letters], mixed)
    for table in (temporal_table, instructions_table):
        with pytest.raises(DataError, match="cannot stand in one table"):
            table(mixed)
    with pytest.raises(DataError, match="cannot stand in one table"):
        run_table([Outcome(t, "done", r) for t, r in zip((task, letters), mixed, strict=True)])
    for embedder in ("a", "b"):
        for result in mixed:
            results.write(under(result, result.task, embedder), tmp_path / "r")
    with pytest.raises(DataError, match="dual softmax" if name == "dual_softmax" else "cannot stand in one table"):
        paired(results.paths([tmp_path / "r"]), ["a", "b"])
    for embedder in ("a", "b"):
        results.write(under(base, "numbers", embedder, **{name: value}), tmp_path / "one")
    if name != "dual_softmax":  # which is refused altogether
        compared = compare([tmp_path / "one"], ["a", "b"], tasks=[task])
        assert all(table.caption.endswith(f" Protocol: {words}.") for table in compared.tables(moved=1))
    apart = [by_task(SUITE, [task, letters], of) for of in by_protocol(mixed).values()]
    assert [table.caption.partition(" Protocol: ")[2] for table in apart] == ["", f"{words}."]


def test_the_leaderboard_gives_each_protocol_a_table(
    tmp_path: Path, task: Task, base: Result, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "task.yaml").write_text(TASK)
    for result in (base, evaluate(Spelled(), task, Settings(compat="mmeb"))):
        results.write(result, tmp_path / "r")
    leaderboard(results=[tmp_path / "r"], task=[str(tmp_path / "task.yaml")])
    printed = capsys.readouterr().out
    assert printed.count("| spelled") == 2 and printed.count("Protocol: MMEB-compatible ranks.") == 1


def test_results_from_before_a_switch_was_there_had_its_default(base: Result) -> None:
    record = dict(base.record)
    record["protocol"] = {k: v for k, v in record["protocol"].items() if k not in ("compat", "dual_softmax", "reader")}
    assert list(by_protocol([Result(record, {}), base])) == ["default protocol"]


def test_compat_moves_ties_and_only_ties(task: Task, base: Result) -> None:
    """Queries 0 and 3 tie the copies a and d, queries 1 and 2 the parallel vectors b and c."""
    assert base["hit@1"] == pytest.approx(0.5)
    assert evaluate(Spelled(), task, Settings(compat="mmeb"))["hit@1"] == 1.0
    trec = evaluate(Spelled(), task, Settings(compat="trec"))
    assert [row["hit@1"] for row in trec.rows] == [0.0, 0.0, 1.0, 1.0]
    assert trec.record["protocol"]["ties"] == "descending id (trec_eval)"
    assert trec.identity != evaluate(Spelled(), task, Settings(compat="mmeb")).identity


def test_by_name_takes_the_first_of_a_name_and_merges_no_contents(task: Task, tmp_path: Path) -> None:
    merged = evaluate(Spelled(), task.model_copy(update={"duplicates": "merge"}).in_folder(tmp_path))
    assert merged.record["data"]["candidates"] == 3
    rows = (tmp_path / "rows.csv").read_text().replace("0 1,0 1,c,", "0 1,5 1,b,")
    (tmp_path / "rows.csv").write_text(rows)
    named = evaluate(Spelled(), task.model_copy(update={"duplicates": "by-name"}).in_folder(tmp_path))
    assert named.record["data"]["candidates"] == 3 and named.record["data"]["duplicates_merged"] == 1
    assert [row["positives"] for row in named.rows] == [["a"], ["b"], ["b"], ["d"]]
    with pytest.raises(DataError, match="'b' stands a second time"):
        evaluate(Spelled(), task)


def test_dual_softmax_is_refused_where_it_means_nothing(task: Task, tmp_path: Path) -> None:
    for wrong in ({"dual_softmax": 0.0}, {"dual_softmax": float("nan")}, {"dual_softmax": 0.1, "compat": "mmeb"}):
        with pytest.raises(UsageError, match="dual softmax"):
            Settings(**wrong)
    dot = Spelled()
    dot.card = replace(dot.card, similarity="dot")
    [outcome] = run(dot, [task], Settings(dual_softmax=0.1), results_root=tmp_path / "r")
    assert (outcome.status, outcome.reason) == ("n/a", "dual softmax is of cosine scores, and these are dot products")
    own = task.model_copy(update={"pool": parse_task(TASK.replace("metrics", "pool: {per-query: p}\nmetrics")).pool})
    [outcome] = run(Spelled(), [own], Settings(dual_softmax=0.1), results_root=tmp_path / "r")
    assert (outcome.status, outcome.reason) == ("n/a", "dual softmax needs one pool for all queries")


def test_a_query_that_failed_has_no_part_in_dual_softmax(task: Task, tmp_path: Path) -> None:
    """Query 1 gives a vector of zeros; the scores of the others are those of a task without it."""
    table = tmp_path / "rows.csv"
    lines = table.read_text().replace("0 1,0 2,b", "0 0,0 2,b").splitlines()
    table.write_text("\n".join(lines) + "\n")
    settings = Settings(dual_softmax=0.5, on_error="skip", most_failed=1.0)
    rows = evaluate(Spelled(), task, settings).rows
    assert not rows[1]["encoded"]
    # Queries 0 and 3 are one vector, so each has half of what leans to candidate a; query 2 has nearly none.
    weights = np.exp(np.array([1.0, 0.0, 1.0]) / 0.5)
    assert rows[0]["scores"][0] == pytest.approx(weights[0] / weights.sum())


def test_dual_softmax_sums_over_queries_in_the_order_of_their_contents(task: Task, tmp_path: Path) -> None:
    whole = np.ones(4, dtype=bool)
    before = build(task)
    table = tmp_path / "rows.csv"
    head, *lines = table.read_text().splitlines()
    table.write_text("\n".join([head, *lines[::-1]]) + "\n")
    after = build(task)
    contents = [[data.queries[n].text for n in _by_content(data, whole)] for data in (before, after)]
    assert contents[0] == contents[1] and [q.text for q in before.queries] != contents[0]


def test_intervals_under_dual_softmax_say_what_they_leave_out(task: Task) -> None:
    result = evaluate(Spelled(), task, Settings(dual_softmax=0.5))
    assert result.record["measures"]["hit@1"]["interval"].endswith("as if dual softmax did not couple the queries")


def test_a_model_may_come_with_wordings_of_its_own(task: Task) -> None:
    """Queries get the card's wording, that of the task before that of the pair; candidates get none."""
    heard: list[tuple[Role, str | None]] = []

    class Listening(Spelled):
        def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
            heard.extend((role, item.instruction) for item in items)
            return super().embed(items, role)

    def told(**wordings: str) -> Listening:
        model = Listening()
        model.card = replace(
            Spelled.card, role_matters=True, instructions={k.replace("_", ">"): v for k, v in wordings.items()}
        )
        return model

    own = Settings(instructions="model")
    result = evaluate(told(text_text="Seek."), task, own)
    assert set(heard) == {("query", "Seek."), ("candidate", None)}
    assert result.record["protocol"]["instruction_text"] == ["Seek."]
    assert result.record["data"]["digest"] == evaluate(Spelled(), task).record["data"]["digest"]
    assert in_words(result.record["protocol"]) == "the model's own instructions"
    evaluate(told(text_text="Seek.", numbers="Count."), task, own)
    assert ("query", "Count.") in heard
    with pytest.raises(UsageError, match="has no wording of its own for numbers or text>text"):
        evaluate(Spelled(), task, own)
    by_row = task.model_copy(
        update={"queries": task.queries.model_copy(update={"instruction": Column(column="wording")})}
    )
    with pytest.raises(UsageError, match="differ from query to query"):
        evaluate(told(text_text="Seek."), by_row.in_folder(task.folder), own)
