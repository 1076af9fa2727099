"""The card of a trained stage says what made it, and nothing of the machine that it was made on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from training_folder import TASK, Ground, make_data

from reference_model.__main__ import main
from reference_model.checkpoint import Checkpoint
from reference_model.curation.manifest import read_manifest
from reference_model.settings import SETTINGS_FILE
from reference_model.train.model_card import POINTS, trained_before, write_card
from reference_model.train.recipe import Recipe
from reference_model.train.run import train_stage
from unite_bench.errors import DataError, ModelError
from unite_bench.registry import load_embedder
from unite_bench.results import committed_root
from unite_bench.running import run
from unite_bench.spec.catalogue import load_task


@pytest.fixture(scope="module")
def merged(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The merged model of two steps, of a base that says what it was trained on."""
    folder = tmp_path_factory.mktemp("carded")
    base = Path(shutil.copytree(tiny, folder / tiny.name))
    own = json.loads((base / SETTINGS_FILE).read_text(encoding="utf-8"))
    (base / SETTINGS_FILE).write_text(json.dumps({**own, "training_sets": ["old", "a"]}), encoding="utf-8")
    ground = Ground(make_data(folder / "data"), base, folder)
    return train_stage(ground.plan(stage={"steps": 2}), "adaptation")


@pytest.fixture()
def trained(merged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(merged, tmp_path / "merged"))


def header_of(card: str) -> dict[str, Any]:
    header: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return header


def test_a_stage_writes_its_card(merged: Path, tiny: Path) -> None:
    card = (merged / "README.md").read_text(encoding="utf-8")
    made = json.loads((merged / "made.json").read_text(encoding="utf-8"))
    run = merged.parents[2]
    manifest = read_manifest(run / "data" / "pairs.parquet")
    assert header_of(card)["base_model"] == tiny.name
    sets = ("a", "b", "c", "d", "e", "old")
    assert header_of(card)["datasets"] == [*sets] and "is not known" not in card
    assert Checkpoint.find(str(merged)).settings.training_sets == sets
    log = [json.loads(line) for line in (merged.parent / "training.jsonl").read_text().splitlines()]
    base = json.loads((merged.parent / "adapter" / "base.json").read_text())["digest"]
    for part in (
        "# small, stage adaptation",
        manifest.digest,
        f"{len(manifest):,} rows",
        made["recipe"],
        base,
        "| positions | mrope",
        f"| 1 | {log[0]['loss']:.4g} |",
        f"| 2 | {log[1]['loss']:.4g} |",
        "peft",
    ):
        assert part in card, part
    recipe = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    assert Recipe.model_validate({**recipe, "out": "run"}).stages.adaptation is not None
    assert "Not measured yet" in card


def test_neither_card_nor_record_names_a_folder_of_the_machine(merged: Path) -> None:
    for name in ("README.md", "made.json"):
        text = (merged / name).read_text(encoding="utf-8")
        assert str(merged.parents[2]) not in text and "/tmp" not in text and str(Path.home()) not in text
    (manifest,) = json.loads((merged / "made.json").read_text(encoding="utf-8"))["manifests"]
    assert manifest["facts"] == {"schema": 1, "seed": 0}  # and not `root`, where its media lie


def test_scores_of_one_step_stand_in_one_column(merged: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(merged, tmp_path / "copy")
    made = json.loads((copy / "made.json").read_text(encoding="utf-8"))
    made["scores"] = [[5, {"t": 0.5, "mean": 0.25}], [5, {"drawn": 0.125}], [9, {"t": 0.75}]]
    (copy / "made.json").write_text(json.dumps(made), encoding="utf-8")
    card = write_card(copy).read_text(encoding="utf-8")
    rows = ["| score | 5 | 9 |", "|---|---|---|", "| drawn | 0.125 |  |", "| mean | 0.25 |  |", "| t | 0.5 | 0.75 |"]
    assert "\n".join(rows) in card


def test_a_merged_model_is_called_after_its_recipe_and_stage(merged: Path, tmp_path: Path) -> None:
    assert Checkpoint.find(str(merged)).name == f"small-{merged.parent.name}"
    assert Checkpoint.find(str(shutil.copytree(merged, tmp_path / "shop"))).name == "shop"


def test_an_adapter_leaves_open_what_the_base_was_trained_on(merged: Path) -> None:
    start = Checkpoint.find(str(merged))
    plan = Ground(merged.parents[2] / "data", merged, merged.parents[2]).plan()
    for adapter, known in ((None, True), (merged.parent / "adapter", False)):
        found = trained_before(replace(plan, adapter=adapter), "adaptation", start)
        assert found == (("a", "b", "c", "d", "e", "old"), known)


def test_results_become_the_evaluation(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of this model alone: neither those of another, nor of other weights under its name."""
    lines = "".join(json.dumps({"asked": f"words {n}", "said": f"picture {n}"}) + "\n" for n in range(4))
    (tmp_path / "rows.jsonl").write_text(lines)
    (tmp_path / "own.yaml").write_text(TASK)
    results = tmp_path / "results"
    embedder = load_embedder(f"reference:{trained}", ["max_frames=4"])
    tasks = [load_task(str(tmp_path / "own.yaml"))]
    (outcome,) = run(embedder, tasks, results_root=results, store=tmp_path / "store")
    assert outcome.result is not None, outcome.reason
    asked = ["card", str(trained), "--results", str(results)]
    assert main(asked) == 0
    card = (trained / "README.md").read_text(encoding="utf-8")
    (index,) = header_of(card)["model-index"]
    assert index["name"] == "small" and [entry["dataset"]["type"] for entry in index["results"]] == ["own@1"]
    assert card.count("## Evaluation") == 1 and "Not measured yet" not in card
    assert "## Recipe" in card
    (results / "constant").mkdir()
    shutil.copy(next((committed_root() / "constant").glob("*.json")), results / "constant")
    assert main(asked) == 0, "results of others may lie beside those of the model in the folder"
    assert (trained / "README.md").read_text(encoding="utf-8") == card
    capsys.readouterr()
    assert main([*asked, "--embedder", "constant"]) == 1
    assert "a result of constant, and " in capsys.readouterr().err
    other = Path(shutil.copytree(trained, tmp_path / "other" / "merged"))
    weights = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(DataError, match=r"own@1: a result of reference:small-adaptation with other weights"):
        write_card(other, [outcome.result])


def test_a_long_log_is_thinned_to_its_ends() -> None:
    from reference_model.train.model_card import _thinned

    points = [[step, 1.0, 0.1] for step in range(1, 1001)]
    found = _thinned(points)
    assert len(found) == POINTS and (found[0], found[-1]) == (points[0], points[-1])
    assert _thinned(points[:POINTS]) == points[:POINTS]


def test_a_folder_that_no_stage_wrote_has_no_card(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give the `merged` folder"):
        write_card(tmp_path)
