"""A recipe says everything that decides a run; whatever is wrong with it is said at once, with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reference_model.train.recipe_reader import CHECKPOINTS, read_recipe
from unite_bench.errors import SpecError, UsageError

GOOD = """
name: demo
base: nano-backbone
out: run
stages:
  adaptation:
    data: {draws: {sets: {scenes-adaptation: 1.0}}}
    steps: 10
    rate: 1.0e-3
  instruction:
    data: {manifests: [pairs.parquet]}
    epochs: 1
    rate: 2e-5
"""


def write(folder: Path, text: str) -> Path:
    (folder / "pairs.parquet").touch()
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return folder / "recipe.yaml"


def findings(folder: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read_recipe(write(folder, text))
    return [finding.removeprefix(f"{folder / 'recipe.yaml'}:") for finding in caught.value.findings]


def test_a_recipe_is_read_without_torch(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    script = (
        "import sys; from pathlib import Path; from reference_model.train.recipe_reader import read_recipe;"
        f"read_recipe(Path({str(path)!r})); print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_second_stage_starts_from_the_first_ones_merged_model(tmp_path: Path) -> None:
    plan = read_recipe(write(tmp_path, GOOD))
    assert plan.start("adaptation") == str(CHECKPOINTS / "nano-backbone")
    assert plan.start("instruction") == str(tmp_path / "run" / "adaptation" / "merged")
    alone = read_recipe(write(tmp_path, GOOD.replace("epochs: 1", "epochs: 1\n    start: base")))
    assert alone.start("instruction") == alone.base


def test_all_errors_are_reported_together_with_their_places(tmp_path: Path) -> None:
    wrong = GOOD.replace("nano-backbone", "nowhere").replace("pairs.parquet", "lost.parquet")
    wrong = wrong.replace("rate: 1.0e-3", "rte: 1.0e-3\n    evaluation: {suite: chekpoint, steps: 5}")
    wrong = wrong.replace("out: run", "out: run\nadapter: none\nmax_length: 0")
    assert [finding.split(": ")[0] for finding in findings(tmp_path, wrong)] == [
        "6:1",
        "8:3",
        "11:5",
        "3:1",
        "5:1",
        "12:18",
        "14:24",
    ]
    text = "\n".join(findings(tmp_path, wrong))
    for part in ("unknown key 'rte', did you mean 'rate'?", "'rate' is missing", "no such manifest", "no adapter here"):
        assert part in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps: 10", "steps: 10\n    epochs: 2", "either `epochs` or `steps`"),
        ("steps: 10", "epochs: 2", "drawn pairs have no epochs"),
        ("steps: 10", "steps: 10\n    batches: {mode: homogeneous}", "kinds_per_batch"),
        ("epochs: 1", "epochs: 1\n    lora: {effective_weights: true}", "set dropout: 0"),
        ("epochs: 1", "epochs: 1\n    loss: {form: blocks, hardness: 1.0}", "take form: dense"),
        ("epochs: 1", "epochs: 1\n    loss: {mask: false, other_weight: 0.5}", "leave other_weight out"),
        ("epochs: 1", "epochs: 1\n    loss: {other_temperature: 0.1}", "needs an other_weight"),
        ("epochs: 1", "epochs: 1\n    schedule: {kind: linear, floor: 0.1}", "has no floor"),
        ("epochs: 1", "epochs: 1\n    start: instruction", "cannot start from itself"),
        ("steps: 10", "steps: 10\n    start: instruction", "each stage starts from the other"),
        ("scenes-adaptation: 1.0", "real-adaptation: 1.0", "need `real`"),
        ("manifests: [pairs.parquet]", "rows: all", "either `manifests` or `draws`"),
        ("epochs: 1", "epochs: 1\n    lora: {effective_weights: true, dropout: 0}", "set dtype: float32"),
        ("out: run", "out: run\nframes: {least: 9, most: 3}", "above most"),
        ("out: run", "out: run\nvisual: {image: [9, 3]}", "above the most"),
    ],
)
def test_what_does_not_fit_together_is_an_error(tmp_path: Path, old: str, new: str, said: str) -> None:
    found = findings(tmp_path, GOOD.replace(old, new))
    assert len(found) == 1 and said in found[0]


def test_the_data_of_a_stage_that_is_not_asked_for_need_not_be_there(tmp_path: Path) -> None:
    own = GOOD.replace("pairs.parquet", "later.parquet")
    with pytest.raises(SpecError, match=r"later\.parquet: no such manifest"):
        read_recipe(write(tmp_path, own))
    read_recipe(write(tmp_path, own), stages=["adaptation"])


def test_a_stage_that_is_not_there_is_named(tmp_path: Path) -> None:
    only = GOOD[: GOOD.index("  instruction:")]
    with pytest.raises(UsageError, match="no stage 'instruction'"):
        read_recipe(write(tmp_path, only)).stage("instruction")
