"""Quartets: known scores under known vectors, and chance as stated by the literature."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from unite_bench.embedders.baselines import ConstantEmbedder, RandomEmbedder
from unite_bench.embedders.oracle import OracleEmbedder
from unite_bench.errors import DataError, SpecError
from unite_bench.evaluation import evaluate
from unite_bench.metrics.quartets import QUARTET_CHANCE, quartet_values
from unite_bench.ragged import Ragged
from unite_bench.sources.build import build
from unite_bench.spec.measures import parse_measure
from unite_bench.spec.reader import parse_task

TASK = """\
name: quartets
version: 1
granularity: fine
queries: {source: {kind: files, path: captions.jsonl}, id: id, modality: text, text: caption}
candidates: {source: {kind: files, path: things.jsonl}, id: id, modality: text, text: thing}
qrels: {column: right}
pool: {per-query: both}
quartets: {column: quartet}
clusters: quartet
metrics: [group_score, text_score, image_score, pairwise]
primary: group_score
"""


def values(queries: list[list[float]], candidates: list[list[float]]) -> dict[str, float]:
    """All four measures of one quartet whose scores are the dot products of unit vectors."""
    arrays = [np.array(v, dtype=np.float32) for v in (queries, candidates)]
    qrels = Ragged.of([[0], [1]])
    return {name: float(quartet_values(parse_measure(name), *arrays, ("q", "q"), qrels)[0]) for name in QUARTET_CHANCE}


def test_one_quartet_by_hand() -> None:
    x, y = [1.0, 0.0], [0.0, 1.0]
    assert values([x, y], [x, y]) == {"text_score": 1, "image_score": 1, "group_score": 1, "pairwise": 1}
    assert values([x, y], [y, x]) == {"text_score": 0, "image_score": 0, "group_score": 0, "pairwise": 0}
    tied = values([x, x], [x, x])
    assert tied == pytest.approx(QUARTET_CHANCE)


def test_a_score_that_ignores_the_query_gets_half_pairwise_and_no_group() -> None:
    found = values([[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.6, 0.8]])
    assert found == {"text_score": 0.25, "image_score": 0.0, "group_score": 0.0, "pairwise": 0.5}


def test_a_quartet_cut_in_half_is_left_out_and_moves_no_other() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    names, right = ("b", "b", "z", "z", "k"), Ragged.of([[0], [1], [2], [3], [0]])
    found = quartet_values(parse_measure("group_score"), vectors, vectors, names, right)
    assert found.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def folder(tmp_path: Path, count: int = 300) -> Path:
    captions, things = [], []
    for q in range(count):
        for n in (0, 1):
            captions.append(
                {
                    "id": f"{q}-{n}",
                    "quartet": str(q),
                    "caption": f"caption {q} {n}",
                    "right": f"{q}-{n}",
                    "both": [f"{q}-0", f"{q}-1"],
                }
            )
            things.append({"id": f"{q}-{n}", "thing": f"thing {q} {n}"})
    for name, rows in (("captions", captions), ("things", things)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_constant_random_and_oracle_score_what_they_must(tmp_path: Path) -> None:
    task = parse_task(TASK, "t.yaml", folder(tmp_path))
    constant = evaluate(ConstantEmbedder(), task).record["measures"]
    oracle = evaluate(OracleEmbedder(), task).record["measures"]
    drawn = evaluate(RandomEmbedder(), task).record["measures"]
    for name, chance in QUARTET_CHANCE.items():
        assert constant[name]["value"] == pytest.approx(chance, abs=1e-12)
        assert constant[name]["chance"] == pytest.approx(chance, abs=1e-12)
        assert oracle[name]["value"] == 1.0
        error = (chance * (1 - chance) / 300) ** 0.5
        assert abs(drawn[name]["value"] - chance) < 4 * error


def test_broken_quartets_are_named(tmp_path: Path) -> None:
    folder(tmp_path, 2)
    rows = [json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()]
    rows[1]["right"] = rows[0]["right"]
    rows.pop()
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError) as caught:
        build(parse_task(TASK, "t.yaml", tmp_path))
    assert "quartet '0' have the same positive" in str(caught.value)
    assert "quartet '1' is not two queries" in str(caught.value)
    with pytest.raises(SpecError, match="goes with text_score"):
        parse_task(TASK.replace("quartets: {column: quartet}\n", ""))
