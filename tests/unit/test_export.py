"""Exports: other people's readers and measures get from the files what the record says."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from unite_bench import cli, results
from unite_bench.cli import checking, comparing, data, exporting, inspecting, measuring, reporting  # noqa: F401
from unite_bench.embedders.baselines import RandomEmbedder
from unite_bench.errors import DataError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.export.chosen import chosen, whole
from unite_bench.export.model_card import model_card
from unite_bench.export.mteb import mteb_name, write_mteb
from unite_bench.export.trec import qrels_lines, run_lines, write_trec
from unite_bench.protocol import Settings
from unite_bench.results import Result
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task

DOCS = Path(__file__).parents[2] / "docs" / "exports.md"
QUERIES, CANDIDATES = 12, 40


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Graded qrels over a corpus of its own; ids with spaces."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "id": f"query {n}",
            "text": f"asked {n}",
            "rel": {f"text {c}": int(rng.integers(1, 4)) for c in rng.choice(CANDIDATES, 1 + n % 5, replace=False)},
        }
        for n in range(QUERIES)
    ]
    corpus = [{"id": f"text {c}", "text": f"told {c}"} for c in range(CANDIDATES)]
    for name, table in (("queries", rows), ("corpus", corpus)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    (tmp_path / "graded.yaml").write_text(
        "name: graded\nversion: 1\ngranularity: coarse\n"
        "queries: {modality: text, text: text, id: id, source: {kind: files, path: queries.jsonl}}\n"
        "candidates: {modality: text, text: text, id: id, source: {kind: files, path: corpus.jsonl}}\n"
        "qrels: {column: rel}\nmetrics: [ndcg@10, hit@1, recall@10, mrr]\nprimary: ndcg@10\n"
    )
    return load_task(str(tmp_path / "graded.yaml"))


@pytest.fixture
def written(task: Task, tmp_path: Path) -> tuple[Path, Result]:
    result = evaluate(RandomEmbedder(), task, store=tmp_path / "store")
    return results.write(result, tmp_path / "results"), result


def columns(path: Path) -> list[list[str]]:
    return [line.split(" ") for line in path.read_text().splitlines()]


def test_pytrec_eval_measures_on_the_files_what_the_rows_say(written: tuple[Path, Result], tmp_path: Path) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    path, result = written
    assert result.record["counts"]["tied_positives"] == 0
    run_file, qrels_file = write_trec(path, result, tmp_path / "trec")
    qrels: dict[str, dict[str, int]] = {}
    for query, _, candidate, grade in columns(qrels_file):
        qrels.setdefault(query, {})[candidate] = int(grade)
    run: dict[str, dict[str, float]] = {}
    for query, _, candidate, _, score, tag in columns(run_file):
        run.setdefault(query, {})[candidate] = float(score)
        assert tag == "random"
    assert sum(map(len, qrels.values())) == sum(1 + n % 5 for n in range(QUERIES)) and len(run) == QUERIES
    names = {"ndcg_cut_10": "ndcg@10", "recall_10": "recall@10", "success_1": "hit@1"}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.10", "success.1"}).evaluate(run)
    for theirs, ours in names.items():
        for row in result.rows:
            assert found[row["query"].replace(" ", "%20")][theirs] == pytest.approx(row[ours], abs=1e-12)


def test_a_deeper_run_encodes_nothing_and_leaves_the_record_as_it_is(
    written: tuple[Path, Result], task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(RandomEmbedder, "_draw")  # nothing can be encoded any more
    deep = evaluate(RandomEmbedder(), task, Settings(first=25), store=tmp_path / "store")
    assert json.dumps(deep.record, sort_keys=True) == json.dumps(written[1].record, sort_keys=True)
    for short, row in zip(written[1].rows, deep.rows, strict=True):
        assert len(row["first"]) == 25 and row["first"][:10] == short["first"] and row["scores"][:10] == short["scores"]


def test_a_run_line_holds_the_exact_score_and_plain_names() -> None:
    row = {"query": "a\tb", "first": ["50% off", "ünï"], "scores": [0.1 + 0.2, -1.0]}
    assert list(run_lines([row], "my model")) == [
        "a%09b Q0 50%25%20off 1 0.30000000000000004 my%20model\n",
        "a%09b Q0 %C3%BCn%C3%AF 2 -1.0 my%20model\n",
    ]


def test_qrels_that_would_not_be_whole_are_refused() -> None:
    row: dict[str, Any] = {"query": "q", "lost_positives": 1, "positives": [], "grades": []}
    with pytest.raises(DataError, match="1 positives that could not be encoded"):
        list(qrels_lines([row]))
    with pytest.raises(DataError, match=r"whole grades, not 0\.5"):
        list(qrels_lines([{**row, "lost_positives": 0, "positives": ["c"], "grades": [0.5]}]))


@pytest.mark.filterwarnings("ignore")
def test_mteb_reads_its_json(written: tuple[Path, Result], tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb", reason="mteb is not installed: pip install 'unite-bench[mteb]'")
    path = write_mteb(written[1], tmp_path / "mteb")
    assert path == tmp_path / "mteb" / "random" / "1" / "graded@1.json"
    read = mteb.TaskResult.from_disk(path)
    assert (read.task_name, read.dataset_revision) == ("graded@1", written[1].record["data"]["digest"])
    assert read.get_score() == written[1]["ndcg@10"]
    (scores,) = read.scores["test"]
    assert (scores["hit_rate_at_1"], scores["recall_at_10"]) == (written[1]["hit@1"], written[1]["recall@10"])
    assert scores["protocol"] == "default protocol"
    assert read.evaluation_time == pytest.approx(sum(written[1].environment["seconds"].values()))


def test_names_of_measures_in_mteb() -> None:
    pairs = {"hit@5": "hit_rate_at_5", "map@100": "map_at_100", "mrr": "mrr", "median_rank": "median_rank"}
    pairs |= {"ndcg@10": "ndcg_at_10", "ndcg_exp@10": "ndcg_exp@10", "modality@1": "modality@1"}
    assert {name: mteb_name(name) for name in pairs} == pairs


def test_the_hub_reads_the_model_card(written: tuple[Path, Result]) -> None:
    from huggingface_hub import ModelCard

    card = ModelCard(model_card([written[1]], name="my-model"))
    assert card.data.model_name == "my-model"
    measured = {r.metric_type: r.metric_value for r in card.data.eval_results}
    assert measured == {name: round(written[1][name], 6) for name in ("ndcg@10", "hit@1", "recall@10", "mrr")}
    assert {(r.dataset_type, r.dataset_revision) for r in card.data.eval_results} == {
        ("graded@1", written[1].record["data"]["digest"])
    }
    cells = [[cell.strip() for cell in line.split("|")] for line in card.text.splitlines()]
    assert ["graded@1", "ndcg@10", f"{100 * written[1]['ndcg@10']:.1f}"] in [line[1:4] for line in cells]


def test_partial_and_doubled_results_are_refused_and_a_slip_names_the_embedders(
    written: tuple[Path, Result], task: Task, tmp_path: Path
) -> None:
    root = tmp_path / "results"
    with pytest.raises(UsageError, match=r"no such result of randon .* embedders with results: random"):
        chosen([root], "randon")
    other = evaluate(RandomEmbedder(), task, Settings(instructions="none"), store=tmp_path / "store")
    card = model_card([other])
    assert "config: no instruction\n" in card and "Protocol: no instruction." in card
    with pytest.raises(DataError, match="different protocols cannot stand in one table"):
        model_card([written[1], other])
    results.write(other, root)
    with pytest.raises(DataError, match=r"graded@1 has two results"):
        list(whole(chosen([root], "random")))
    partial = evaluate(RandomEmbedder(), task, Settings(limit=3), store=tmp_path / "store")
    results.write(partial, tmp_path / "partial")
    with pytest.raises(DataError, match="first 3 queries only"):
        list(whole(chosen([tmp_path / "partial"], "random", ["graded@1"])))


def test_the_commands_of_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = {}
    for block in DOCS.read_text().split("<!-- run -->\n```\n")[1:]:
        for line in block.split("```")[0].splitlines():
            done = CliRunner().invoke(cli.app, shlex.split(line)[1:])
            assert done.exit_code == 0, (line, done.output, done.exception)
            said[line] = done.output
    (run,) = (tmp_path / "trec").glob("*.run")
    assert len(columns(run)) == 400 * 100, "queries of scenes-t2t, each with as many candidates as were asked for"
    assert said["unite-bench export card random --name my-model"].startswith("---\nmodel-index:\n- name: my-model\n")
    assert len(list((tmp_path / "mteb").glob("random/1/*.json"))) == 1
