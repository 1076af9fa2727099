"""Importers: a task file beside the data, valid and ready to run; nothing is written for data that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from replica import png
from typer.testing import CliRunner

from unite_bench.cli import app, data  # noqa: F401  (registers the command)
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.embedders.oracle import OracleEmbedder
from unite_bench.errors import DataError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.importing import import_beir, import_table
from unite_bench.spec.catalogue import load_task


def beir(folder: Path, *splits: str, right: str = "d1") -> Path:
    folder.mkdir()
    corpus = [{"_id": "d1", "title": "Foxes", "text": "live in dens"}, {"_id": "d2", "title": "", "text": "the sea"}]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": "foxes live"}) + "\n")
    (folder / "qrels").mkdir()
    for split in splits:
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\nq1\t{right}\t2\n")
    return folder


def test_a_beir_folder_becomes_a_task(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["data", "import-beir", str(beir(tmp_path / "My Corpus", "dev", "test"))])
    path = tmp_path / "My Corpus" / "my-corpus.yaml"
    assert done.exit_code == 0, done.output
    assert "1 queries, 2 candidates, 1 positives" in done.output
    assert f"unite-bench run --model reference --task {path}" in done.output
    result = evaluate(HashedTextEmbedder(), load_task(str(path)))
    assert result.record["task"]["name"] == "my-corpus" and result["ndcg@10"] == 1.0
    with pytest.raises(UsageError, match="exists; give another --name"):
        import_beir(path.parent, None, None)
    assert import_beir(path.parent, "on-dev", "dev")[0].name == "on-dev.yaml"


def test_what_is_no_beir_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no corpus.jsonl; a BEIR folder holds"):
        import_beir(tmp_path, None, None)
    folder = beir(tmp_path / "two", "dev", "train")
    for split in (None, "test"):
        with pytest.raises(UsageError, match="choose a --split of dev, train"):
            import_beir(folder, None, split)
    assert import_beir(beir(tmp_path / "one", "dev"), None, None)[1].summary.startswith("1 queries")
    with pytest.raises(UsageError, match="there are no judgements"):
        import_beir(beir(tmp_path / "none"), None, None)


def test_faulty_data_leave_no_task_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"candidate 'd9', which does not exist[\s\S]*no task file was written"):
        import_beir(beir(tmp_path / "wrong", "test", right="d9"), None, None)
    assert not list(tmp_path.rglob("*.yaml"))


def test_a_table_becomes_a_task(tmp_path: Path) -> None:
    for name in ("red", "blue"):
        (tmp_path / f"{name}.png").write_bytes(png(name))
    (tmp_path / "Shop.csv").write_text("key,wish,photo,goes_with\na,in red,blue.png,b\nb,in blue,red.png,a\n")
    call = ["data", "import-csv", str(tmp_path / "Shop.csv"), "--query", "image=photo", "--query", "text=wish"]
    call += ["--candidate", "image=photo", "--id", "key", "--relevant", "goes_with", "--granularity", "instruction"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    task = load_task(str(tmp_path / "shop.yaml"))
    assert (task.queries.modality, task.granularity) == ("image+text", "instruction")
    result = evaluate(OracleEmbedder(), task)
    assert result["hit@1"] == 1.0 and result.rows[0]["positives"] == ["b"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ([], r"give --query KIND=COLUMN with a kind of text, image, video and a column of q, c"),
        (["q"], r"--query 'q': give --query KIND=COLUMN"),
        (["text=wish"], r"--query 'text=wish': give"),
        (["sound=q"], r"--query 'sound=q': give"),
        (["text=q", "text=c"], r"--query 'text=c': give"),
    ],
)
def test_parts_that_make_no_sense_are_refused(tmp_path: Path, query: list[str], said: str) -> None:
    (tmp_path / "t.csv").write_text("q,c\na,b\n")
    with pytest.raises(UsageError, match=said):
        import_table(tmp_path / "t.csv", query, ["text=c"], None, None, None, "coarse")
    assert not list(tmp_path.glob("*.yaml"))
