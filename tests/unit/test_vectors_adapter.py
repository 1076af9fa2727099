"""`vectors:FOLDER`: every format gives the same numbers as the model itself, and a wrong folder is named, not guessed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from safetensors.numpy import save_file

from unite_bench.embedders.baselines import RandomEmbedder
from unite_bench.encode.run import Encoder
from unite_bench.errors import DataError, ModelError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.items import Item, Text
from unite_bench.registry import load_embedder
from unite_bench.running import run
from unite_bench.sources.build import build
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task
from unite_bench.testing import run_checks

ABOUT = {"name": "theirs", "dim": 64, "modalities": ["text", "image"], "tasks": ["my-pictures"]}


@pytest.fixture
def task(pictures: Path) -> Task:
    file = pictures.parent / "my_task.yaml"
    file.write_text(
        "name: my-pictures\nversion: 1\ngranularity: coarse\nsource: {kind: files, path: pictures}\n"
        "queries: {modality: text, text: caption}\ncandidates: {modality: image, image: image}\n"
        "qrels: by-row\nmetrics: [hit@1, mrr]\nprimary: mrr\n"
    )
    return load_task(str(file))


def write(folder: Path, form: str, role: str, ids: list[str], rows: np.ndarray) -> None:
    if form == "npy":
        np.save(folder / f"{role}.npy", rows)
        (folder / f"{role}.ids.txt").write_text("\n".join(ids) + "\n")
    elif form == "safetensors":
        save_file(dict(zip(ids, rows, strict=True)), folder / f"{role}.safetensors")
    else:
        parquet.write_table(pa.table({"id": ids, "vector": list(rows)}), folder / f"{role}.parquet")


def folder_of(task: Task, folder: Path, form: str = "npy") -> Path:
    """The vectors of the random embedder for every item of a task, in another order."""
    folder.mkdir()
    (folder / "vectors.json").write_text(json.dumps(ABOUT))
    data = build(task)
    for role, items in (("query", data.queries), ("candidate", data.candidates)):
        turned = list(items)[::-1]
        rows = RandomEmbedder().embed([item.bare(True) for item in turned], role)
        write(folder, form, role, [item.id for item in turned], rows)
    return folder


@pytest.mark.parametrize("form", ["npy", "safetensors", "parquet"])
def test_stored_vectors_score_what_the_model_scores(task: Task, tmp_path: Path, form: str) -> None:
    folder = folder_of(task, tmp_path / "vectors", form)
    found = evaluate(load_embedder(f"vectors:{folder}"), task)
    assert found.record["measures"] == evaluate(RandomEmbedder(), task).record["measures"]


def test_a_missing_id_is_named(task: Task, tmp_path: Path) -> None:
    folder = folder_of(task, tmp_path / "vectors")
    ids = (folder / "query.ids.txt").read_text().replace("3\n", "lost\n", 1)
    (folder / "query.ids.txt").write_text(ids)
    with pytest.raises((ModelError, DataError), match=r"no query vector has the id"):
        evaluate(load_embedder(f"vectors:{folder}"), task)


def test_vectors_of_one_task_are_not_used_for_another(task: Task, tmp_path: Path) -> None:
    folder = folder_of(task, tmp_path / "vectors")
    model = load_embedder(f"vectors:{folder}")
    other = task.model_copy(update={"name": "other"})
    with pytest.raises(UsageError, match="has vectors for my-pictures only"):
        evaluate(model, other)
    (outcome,) = run(model, [other], results_root=tmp_path / "results")
    assert (outcome.status, outcome.reason) == ("n/a", "theirs has vectors for my-pictures only")


def test_an_edited_file_is_another_embedder(task: Task, tmp_path: Path) -> None:
    folder = folder_of(task, tmp_path / "vectors")
    before = Encoder(load_embedder(f"vectors:{folder}")).fingerprint
    np.save(folder / "query.npy", np.load(folder / "query.npy") * 2)
    os.utime(folder / "query.npy", (0, 0))  # of the same size, and maybe within one tick of the file system's clock
    assert Encoder(load_embedder(f"vectors:{folder}")).fingerprint != before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "vectors.json").unlink(), "vectors.json: cannot be read"),
        (lambda f: (f / "vectors.json").write_text("{"), "vectors.json:1: not JSON"),
        (lambda f: (f / "vectors.json").write_text('{"name": "a", "dims": 2}'), "missing dim.*unknown dims"),
        (lambda f: (f / "vectors.json").write_text(json.dumps({**ABOUT, "modalities": "text"})), "set of names"),
        (lambda f: (f / "query.npy").unlink(), "one file query.*there is none"),
        (lambda f: write(f, "parquet", "query", ["a"], np.ones((1, 64))), "there is query.npy and query.parquet"),
        (lambda f: np.save(f / "query.npy", np.ones((20, 3))), r"shape \(20, 3\), vectors.json says dim=64"),
        (lambda f: np.save(f / "query.npy", np.ones((3, 64))), "20 ids for 3 vectors"),
        (lambda f: np.save(f / "query.npy", np.array([{}] * 20), allow_pickle=True), "cannot be read"),
        (lambda f: (f / "query.npy").write_bytes(b"no array"), "cannot be read"),
        (lambda f: (f / "query.ids.txt").write_text("same\n" * 20), "'same' stands there twice"),
    ],
)
def test_a_wrong_folder_is_named(task: Task, tmp_path: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    folder = folder_of(task, tmp_path / "vectors")
    spoil(folder)
    with pytest.raises(ModelError, match=message):
        load_embedder(f"vectors:{folder}").embed([Item((Text("x"),), id="a")], "query")


def test_there_is_nothing_to_check_about_stored_vectors(task: Task, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="precomputed vectors"):
        list(run_checks(load_embedder(f"vectors:{folder_of(task, tmp_path / 'vectors')}")))
