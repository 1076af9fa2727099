"""`reproduce`: a made-up published number is traced back to the one switch that gives it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import unite_bench as ub
from unite_bench import media
from unite_bench.cli.reproducing import reproduce
from unite_bench.embedders.baselines import RandomEmbedder
from unite_bench.encode.run import Encoder
from unite_bench.errors import UsageError
from unite_bench.evaluation import evaluate
from unite_bench.items import Item, Role
from unite_bench.protocol import Settings
from unite_bench.published import read_published
from unite_bench.report.reproduction_table import reproduction_table
from unite_bench.reproduction import Attempt, Printed, attempts, printed_scores
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task
from unite_bench.spec.reader import parse_task

TASK = """
name: toy
version: 1
granularity: instruction
queries: {source: {kind: files, path: asked.jsonl}, modality: text, text: text, instruction: "Turn it around."}
candidates: {source: {kind: files, path: held.jsonl}, modality: text, text: text, id: id}
qrels: {column: positives}
metrics: [hit@1]
primary: hit@1
"""
CANDIDATES = {"a": "1 0", "z": "2 0", "b": "0 1", "y": "0 1", "c": "1 1", "d": "1 -1"}
ASKED = [
    ("0 1", ["a"]),  # turned around: (1, 0), on which a and z tie
    ("1 0", ["b"]),  # (0, 1), on which b and its copy y tie
    ("1 1", ["b", "c", "d"]),
    *((f"{n} -{n}", ["d"]) for n in (1, 2, 3)),  # right only if it is not turned around
]
QUERIES = len(ASKED)


class Turned(ub.Embedder):
    """Vectors of two numbers, read off the text; an instruction turns them around."""

    card = ub.EmbedderCard(name="turned", modalities={"text"}, dim=2, role_matters=False)

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        read = [[int(n) for n in (item.text or "").split()] for item in items]
        return np.array([v[::-1] if i.instruction else v for v, i in zip(read, items, strict=True)], dtype=np.float32)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = tmp_path_factory.mktemp("toy")
    held = [f'{{"id": "{name}", "text": "{text}"}}' for name, text in CANDIDATES.items()]
    asked = [f'{{"text": "{text}", "positives": {positives!r}}}'.replace("'", '"') for text, positives in ASKED]
    (folder / "held.jsonl").write_text("\n".join(held))
    (folder / "asked.jsonl").write_text("\n".join(asked))
    return parse_task(TASK).in_folder(folder)


@pytest.fixture(scope="module")
def tried(task: Task, tmp_path_factory: pytest.TempPathFactory) -> list[Attempt]:
    return list(attempts(Encoder(Turned(), tmp_path_factory.mktemp("store")), [task], "hit@1", Settings()))


def by_dual_softmax(temperature: float) -> float:
    """hit@1 from the definition, y left out since it equals b."""
    queries = np.array([[int(n) for n in text.split()][::-1] for text, _ in ASKED], dtype=float)
    names = [name for name in CANDIDATES if name != "y"]
    candidates = np.array([[int(n) for n in CANDIDATES[name].split()] for name in names], dtype=float)
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, candidates)]
    cosines = (units[0] @ units[1].T).round(12)
    powers = np.exp(cosines / temperature)
    scores = (cosines * powers / powers.sum(axis=0)).round(12)
    best = scores == scores.max(axis=1, keepdims=True)
    right = np.array([[name in positives for name in names] for _, positives in ASKED])
    return 100 * float(((best & right).sum(axis=1) / best.sum(axis=1)).mean())


HONEST = 100 * 2.5 / QUERIES  # a half, one, one, and none of three
KNOWN = [
    ("as the task says", "hit@1", HONEST),
    ("as the task says", "recall@1", 100 * (0.5 + 1 + 1 / 3) / QUERIES),
    ("MMEB-compatible ranks", "hit@1", 100 * 3 / QUERIES),
    ("ties in the order of trec_eval", "hit@1", 100 * 1 / QUERIES),
    ("duplicates: keep", "hit@1", 100 * 2 / QUERIES),
    ("duplicates: by-name", "hit@1", 100 * 2 / QUERIES),
    ("no instruction", "hit@1", 100 * 4 / QUERIES),
    (
        "dual softmax at temperature 0.1 (transductive)",
        "hit@1",
        by_dual_softmax(0.1),
    ),
]


@pytest.mark.parametrize(("words", "measure", "score"), KNOWN)
def test_a_published_number_is_traced_to_its_switch(
    words: str, measure: str, score: float, tried: list[Attempt]
) -> None:
    printed = Printed("turned", "paper", "hit@1", round(score, 1), 0.05)
    right = {(attempt.words, attempt.measure) for attempt in tried if attempt.matches(printed)}
    assert (words, measure) in right
    assert (("as the task says", "hit@1") in right) == (abs(score - HONEST) <= 0.05)
    caption = reproduction_table(printed, tried).caption
    assert f"{len(right)} of {len(tried)} readings match within 0.05" in caption and f"{words}, {measure}" in caption


def test_numbers_that_nothing_gives_name_the_nearest_reading(tried: list[Attempt]) -> None:
    table = reproduction_table(Printed("turned", "paper", "hit@1", 90.0, 0.05), tried)
    assert "0 of" in table.caption and "the nearest is 23.33 off: no instruction" in table.caption
    assert table.rows[0].cells[3].text == "-23.33"
    offs = [abs(float(row.cells[3].text)) for row in table.rows]
    assert offs == sorted(offs)
    alike = next(row for row in table.rows if row.name.startswith("duplicates: keep"))
    assert alike.name == "duplicates: keep; duplicates: by-name"


def test_the_wording_of_the_card_is_a_reading(task: Task, tried: list[Attempt], tmp_path: Path) -> None:
    class Worded(Turned):
        card = replace(Turned.card, instructions={"text>text": "As the model puts it."})

    found = list(attempts(Encoder(Worded(), tmp_path), [task], "hit@1", Settings()))
    own = {a.words: a.score for a in found if a.measure == "hit@1" and a.words.startswith("the model's own")}
    assert own["the model's own instructions"] == pytest.approx(HONEST) and len(own) == len(found) / 2 / 3
    assert not any("own instructions" in attempt.words for attempt in tried), "this card has none"


def test_data_that_are_not_here_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path))
    with pytest.raises(UsageError, match="data of mmeb-cirr are not here; `unite-bench data get mmeb-cirr` fetches"):
        reproduce("random", "mmeb-cirr", score="44.2", store=tmp_path)


def test_what_the_store_lacks_is_named_and_the_model_not_loaded(task: Task, tmp_path: Path) -> None:
    class Unloadable(Turned):
        def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
            raise AssertionError("the model was loaded")

    encoder = Encoder(Unloadable(), tmp_path, may_encode=False)
    found = list(attempts(encoder, [task], "hit@1", Settings()))
    assert {attempt.missing for attempt in found} == {"5 vectors are not in the store"}
    table = reproduction_table(Printed("turned", "paper", "hit@1", 50.0, 0.05), found)
    assert table.rows == () and "Not scored, 5 vectors are not in the store: as the task says;" in table.caption


def test_other_readings_of_the_task_are_tasks_beside_it(task: Task, tmp_path: Path) -> None:
    first = task.model_copy(update={"name": "toy-first", "qrels": task.qrels}).in_folder(task.folder)
    found = list(attempts(Encoder(Turned(), tmp_path), [task, first], "mrr", Settings()))
    assert {attempt.task for attempt in found} == {"toy", "toy-first"}
    assert {attempt.measure for attempt in found} == {"mrr"}


CAPTIONED = """
name: captioned
version: 1
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {modality: image, image: image}
candidates: {modality: text, text: captions}
qrels: by-row
captions: any-of
metrics: [hit@1]
primary: hit@1
"""


class Colours(ub.Embedder):
    """Red is (1, 0), blue is (0, 1), a text is the sum of its pairs of numbers."""

    card = ub.EmbedderCard(
        name="colours", modalities={"text", "image"}, dim=2, role_matters=False, instruction_matters=False
    )

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        return np.stack([self.one(item) for item in items])

    def one(self, item: Item) -> np.ndarray:
        if item.text is None:
            return media.pixels(item.parts[0]).reshape(-1, 3).mean(axis=0)[[0, 2]] / 255
        return np.array([int(n) for n in item.text.split()], dtype=float).reshape(-1, 2).sum(axis=0)


def test_a_rule_for_captions_is_found(tmp_path: Path) -> None:
    """By hand: red is nearest to its own first caption; blue ties its own first with the second of red."""
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        Pillow.new("RGB", (8, 8), colour).save(tmp_path / f"{name}.png")
    rows = [{"image": "red.png", "captions": ["1 0", "0 2"]}, {"image": "blue.png", "captions": ["0 1", "3 1"]}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = parse_task(CAPTIONED).in_folder(tmp_path)
    found = list(attempts(Encoder(Colours(), tmp_path / "store"), [task], "hit@1", Settings()))
    scores = {attempt.words: attempt.score for attempt in found if attempt.measure == "hit@1"}
    assert scores["as the task says"] == 75.0
    assert scores["captions: first"] == 100.0
    assert scores["captions: each"] == 37.5
    assert scores["captions: concatenated"] == 0.0
    assert scores["MMEB-compatible ranks, captions: each"] == 50.0


PUBLISHED = """\
name: paper
title: A paper
source: Table 1
kind: printed-table
conditions:
  {benchmark: B, frames: unknown, prompt: unknown, rerank: unknown, captions: unknown, ties: unknown,
   run_by: unknown, reported: unknown}
columns:
  A: {measure: hit@1, printed: "A, R@1", task: mmeb-cirr}
  B: {measure: hit@1, printed: "B, R@1", unmapped: "not said"}
rows:
  - {checkpoint: Paper-2B, backbone: unknown, size: unknown, trained_on: unknown, scores: {A: SCORE, B: 60.1}}
"""


def test_the_command_reads_published_rows_and_the_store(
    task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task file of one's own under the name of a task of the catalogue."""
    own, paper = task.folder / "own.yaml", tmp_path / "paper.yaml"
    own.write_text(TASK.replace("name: toy", "name: mmeb-cirr"))
    score = evaluate(RandomEmbedder(), load_task(str(own)), Settings(compat="mmeb"))["hit@1"]
    paper.write_text(PUBLISHED.replace("SCORE", f"{100 * score:.1f}"))
    known = {"published": [str(paper)], "store": tmp_path / "store"}
    reproduce("random", str(own), checkpoint="paper-2b", **known)
    assert "vectors are not in the store: as the task says" in capsys.readouterr().out
    reproduce("random", str(own), checkpoint="paper-2b", encode=True, **known)
    printed = capsys.readouterr().out
    assert (
        f"Paper-2B, hit@1 {100 * score:.1f} (paper: Table 1)" in printed and "MMEB-compatible ranks, hit@1" in printed
    )
    with pytest.raises(UsageError, match=r"no published score of 'random' on mmeb-cirr; there are scores of Paper-2B"):
        reproduce("random", str(own), **known)
    with pytest.raises(UsageError, match="no published scores 'papers'; there are"):
        reproduce("random", str(own), published=["papers"])


def test_a_rounding_is_that_of_its_row(tmp_path: Path) -> None:
    path = tmp_path / "paper.yaml"
    path.write_text(PUBLISHED.replace("SCORE", "57"))
    [printed] = printed_scores([read_published(path)], "mmeb-cirr", "paper-2b")
    assert (printed.score, printed.rounding) == (57.0, 0.05)
    assert Attempt("x", "t", "hit@1", 57.05).matches(printed) and not Attempt("x", "t", "hit@1", 57.06).matches(printed)
