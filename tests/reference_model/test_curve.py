"""The picture of a training run: stages follow each other, and the committed log is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reference_model.nano.curve import draw_curves, read_curves
from unite_bench.errors import DataError

NANO = Path(__file__).parents[2] / "reference_model" / "checkpoints" / "nano"


def test_a_stage_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    rows = [
        {"parameters": 3},
        {"stage": "one", "seconds": 60, "loss": 4.0},
        {"stage": "one", "seconds": 120, "loss": 2.0, "validation": {"t2i": 0.5}},
        {"stage": "two", "seconds": 60, "loss": 1.0},
        {"stage": "two", "seconds": 90, "validation": {"scenes-t2i-100": 0.75, "mean": 0.25}},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    curves = read_curves(tmp_path / "log.jsonl")
    assert curves.losses == {"one": [(1, 4.0), (2, 2.0)], "two": [(3, 1.0)]}
    assert curves.tests == {"t2i": [(2, 0.5)], "suite, above chance": [(3.5, 0.25)]} and curves.starts == {
        "one": 0,
        "two": 2,
    }
    (tmp_path / "log.jsonl").write_text(json.dumps(rows[0]))
    with pytest.raises(DataError, match="no stage in this log"):
        read_curves(tmp_path / "log.jsonl")


def test_the_committed_picture_is_that_of_the_committed_log(tmp_path: Path) -> None:
    draw_curves(NANO / "training.jsonl", tmp_path / "curve.png")
    drawn, committed = (np.asarray(Image.open(folder / "curve.png")) for folder in (tmp_path, NANO))
    np.testing.assert_array_equal(drawn, committed)
