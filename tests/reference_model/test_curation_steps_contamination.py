"""Contamination: rows that hold evaluation items are found, others stay, and what could not be checked is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curation_pools import compressed, context_in, pool_of, row, saved, text

from reference_model.curation.pool import Pool
from reference_model.curation.steps.contamination import Settings, run
from unite_bench.errors import MediaError, UsageError
from unite_bench.items import Item, Text
from unite_bench.sources.scenes.bases import still_base
from unite_bench.sources.scenes.edits import sample_edit
from unite_bench.sources.scenes.render import render_image

SCENES = still_base(1_400_005, "train", 12)
ABSENT = "unite-msr-vtt-879-v2t"
TASK = """
name: {name}
version: 1
granularity: coarse
source: {{kind: files, path: rows.jsonl}}
queries: {{modality: text, text: caption}}
candidates: {{modality: image, image: picture}}
qrels: by-row
metrics: [hit@1]
primary: hit@1
"""


@pytest.fixture
def evaluated(tmp_path: Path) -> str:
    """A task over four scenes, one of whose captions is too short to look for."""
    folder = tmp_path / "evaluation"
    folder.mkdir()
    captions = [f"evaluation caption number {n} of a scene with shapes" for n in range(3)] + ["a circle"]
    rows = []
    for n, caption in enumerate(captions):
        saved(render_image(SCENES[n], 168), folder / f"{n}.png")
        rows.append({"caption": caption, "picture": f"{n}.png"})
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (folder / "task.yaml").write_text(TASK.format(name="my-eval"), encoding="utf-8")
    return "evaluation/task.yaml"


@pytest.fixture
def pool(tmp_path: Path, evaluated: str) -> Pool:
    """Clean rows 0, 1 and 6 (of similarity 0.8 to the task's words); the picture of the task in 2, compressed in 3; its
    words in 4, nearly in 5 and 9; an edit of a picture of the task in 7; its short text in 8."""
    shown = [render_image(scene, 168) for scene in SCENES]
    fresh = [saved(shown[n], tmp_path / f"fresh{n}.png") for n in range(6, 12)]
    leak = saved(shown[1], tmp_path / "leak.png")
    copy = saved(compressed(shown[2], 50, 0.5), tmp_path / "copy.png")
    edit = saved(render_image(sample_edit(SCENES[2], 2, "train")[1], 168), tmp_path / "edit.png")
    told = "evaluation caption number 1 of a scene with shapes"
    rows = [
        row(0, text("a scene that nobody evaluates on, number zero"), fresh[0]),
        row(1, text("a scene that nobody evaluates on, number one"), fresh[1]),
        row(2, text("new words for an old picture, and many of them"), leak),
        row(3, Item((Text("what has changed in this picture?"), *copy.parts)), fresh[2]),
        row(4, fresh[3], text(told.upper())),
        row(5, text(told + "."), fresh[4]),
        row(6, text("evaluation caption number 5 of a scene with shapes"), fresh[5]),
        row(7, text("an edited scene is another scene than before"), edit),
        row(8, text("a circle"), fresh[0]),
        row(9, text(told.replace("shapes", "shape")), fresh[1]),
    ]
    return pool_of(rows, tmp_path)


def everything(pool: Pool) -> np.ndarray:
    return np.arange(len(pool))


def test_planted_leaks_go_and_clean_rows_stay(pool: Pool, evaluated: str, tmp_path: Path) -> None:
    decision = run(pool, everything(pool), Settings(tasks=[evaluated]), context_in(tmp_path))
    assert decision.reasons.tolist() == [0, 0, 1, 2, 1, 1, 0, 0, 0, 2]
    assert decision.facts["tasks"]["my-eval"] == {
        "texts": 3,
        "media": 4,
        "texts too short": 1,
        "unreadable": 0,
        "rows equal": 3,
        "rows near": 2,
    }
    assert decision.facts["not checked"] == {}
    assert decision.examples["nearly equals an evaluation item"] == (3, 9)


def test_near_ones_are_a_setting(pool: Pool, evaluated: str, tmp_path: Path) -> None:
    settings = Settings(tasks=[evaluated], texts=None, pictures=None)
    assert run(pool, everything(pool), settings, context_in(tmp_path)).reasons.tolist() == [
        0,
        0,
        1,
        0,
        1,
        1,
        0,
        0,
        0,
        0,
    ]
    settings = Settings(tasks=[evaluated], shortest_text=3)
    assert run(pool, everything(pool), settings, context_in(tmp_path)).reasons[8] == 1


def test_flagged_rows_stay_and_are_named(pool: Pool, evaluated: str, tmp_path: Path, monkeypatch) -> None:
    decision = run(pool, everything(pool), Settings(tasks=[evaluated], action="flag"), context_in(tmp_path))
    assert decision.keep.all()
    assert decision.facts["flagged"] == {f"s:{n}": ["my-eval"] for n in (2, 3, 4, 5, 9)}
    assert decision.facts["flagged, not named"] == 0
    monkeypatch.setattr("reference_model.curation.steps.contamination.FLAGGED", 2)
    decision = run(pool, everything(pool), Settings(tasks=[evaluated], action="flag"), context_in(tmp_path))
    assert list(decision.facts["flagged"]) == ["s:2", "s:3"] and decision.facts["flagged, not named"] == 3


def test_tasks_whose_data_is_not_here_are_named(pool: Pool, evaluated: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path / "nothing"))
    said: list[str] = []
    context = replace(context_in(tmp_path), note=said.append)
    decision = run(pool, everything(pool), Settings(tasks=[evaluated, ABSENT]), context)
    assert any(line.startswith(f"contamination: {ABSENT} is not checked") for line in said)
    assert "not on this machine" in decision.facts["not checked"][ABSENT]
    with pytest.raises(UsageError, match=f"none of the evaluation sets.*{ABSENT}"):
        run(pool, everything(pool), Settings(tasks=[ABSENT]), context_in(tmp_path))
    with pytest.raises(UsageError, match="unknown task 'embeded'"):
        run(pool, everything(pool), Settings(tasks=["embeded"]), context_in(tmp_path))


def test_a_task_whose_rows_are_broken_is_not_checked(pool: Pool, evaluated: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(TASK.format(name="broken"), encoding="utf-8")
    decision = run(pool, everything(pool), Settings(tasks=[evaluated, "other.yaml"]), context_in(tmp_path))
    assert list(decision.facts["tasks"]) == ["my-eval"]
    assert "cannot be read" in decision.facts["not checked"]["broken"]


def test_a_picture_of_the_task_that_cannot_be_read_is_counted(pool: Pool, evaluated: str, tmp_path: Path) -> None:
    (tmp_path / "evaluation" / "2.png").write_bytes(b"no picture")
    decision = run(pool, everything(pool), Settings(tasks=[evaluated]), context_in(tmp_path))
    assert decision.facts["tasks"]["my-eval"]["unreadable"] == 1
    assert decision.reasons[3] == 0 and decision.reasons[2] == 1


def test_a_missing_medium_of_the_pool_is_an_error(pool: Pool, evaluated: str, tmp_path: Path) -> None:
    (tmp_path / "leak.png").unlink()
    with pytest.raises(MediaError, match=r"row s:2.*validity"):
        run(pool, everything(pool), Settings(tasks=[evaluated]), context_in(tmp_path))


def test_decisions_do_not_depend_on_how_rows_are_grouped(
    pool: Pool, evaluated: str, tmp_path: Path, monkeypatch
) -> None:
    settings = Settings(tasks=[evaluated])
    whole = run(pool, everything(pool), settings, context_in(tmp_path))
    monkeypatch.setattr("reference_model.curation.steps.leaks.Leaks.rows_at_once", 3)
    again = run(pool, everything(pool), settings, context_in(tmp_path))
    assert (whole.reasons == again.reasons).all() and whole.facts == again.facts
    alive = np.array([1, 3, 5])
    assert run(pool, alive, settings, context_in(tmp_path)).reasons.tolist() == [0, 2, 1]
