"""A curation as a whole: the same bytes wherever it runs, counts that add up, a page that shows and does not obey."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image as Pillow

from reference_model.__main__ import main
from reference_model.cost import ModelShape, Reading, Setting, by_characters, device_of, estimate, measure
from reference_model.curation import steps
from reference_model.curation.composition import Group
from reference_model.curation.manifest import read_manifest
from reference_model.curation.page import write_page
from reference_model.curation.pipeline import curate
from reference_model.curation.pool import Pool
from reference_model.curation.recipe import read_recipe
from reference_model.curation.report import BY, _flow, report_of
from reference_model.curation.step import Decision, Step
from reference_model.curation.steps import validity
from reference_model.curation.training_cost import cost_of
from unite_bench import media
from unite_bench.errors import DataError, UsageError
from unite_bench.items import File, Image, Text

RECIPE = """\
name: small
seed: 5
sources:
  - {kind: folder, name: photos, path: photos, both: true}
  - {kind: unite, name: edits, path: edits.json, granularity: instruction, weight: 2}
steps:
  - {kind: validity, least_characters: 3, scripts: [Latin]}
  - {kind: duplicates}
composition:
  - {stage: adaptation, pair: text-image, share: 50}
  - {stage: instruction, pair: image+text>image, rows: 2}
  - {stage: instruction, pair: text>video, rows: 2}
"""
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)> \"quoted\" & more"


def material(folder: Path) -> Path:
    """A folder of nine pictures with captions, some of them faulty, and a file of three edits; the recipe's path."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for n in range(9):
        Pillow.new("RGB", (16, 12), (20 * n, 0, 90)).save(photos / f"{n}.png")
        (photos / f"{n}.txt").write_text(f"a picture of shade {n}")
    (photos / "1.png").write_bytes((photos / "0.png").read_bytes())
    (photos / "1.txt").write_text("a picture of shade 0")
    (photos / "2.png").write_bytes((photos / "2.png").read_bytes()[:50])
    (photos / "3.txt").write_text("красный круг")
    (photos / "4.txt").write_text("ab")
    (photos / "5.txt").write_text(HOSTILE)
    (photos / "6.txt").unlink()
    edit = {"query": {"text": "brighter", "image": "photos/7.png"}, "candidate": {"image": "photos/8.png"}}
    (folder / "edits.json").write_text(json.dumps([edit, {**edit, "negative": {"image": "photos/0.png"}}, {}]))
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the command has run."""
    recipe = material(tmp_path_factory.mktemp("small"))
    assert main(["curate", str(recipe)]) == 0
    return recipe.parent


def test_what_is_kept_and_what_is_not(curated: Path) -> None:
    report = json.loads((curated / "curated" / "report.json").read_text())
    assert [(s["name"], s["rows"], s["bad"]) for s in report["sources"]] == [
        ("photos", 8, {"medium without a caption": 1}),
        ("edits", 2, {"no query or candidate": 1}),
    ]
    first, second = report["steps"]
    assert first["dropped"] == {"medium cannot be read": 1, "text too short": 1, "script": 1}
    assert (first["in"], first["out"], second["in"], second["out"]) == (10, 7, 7, 5)
    assert first["beyond_the_paper"] and "photos/2.png" in first["facts"]["messages"][0]
    assert report["by"]["modality pair"] == {"text>image": [8, 5, 4], "image+text>image": [2, 2, 1]}
    assert [(cell["kept"], cell["empty"]) for cell in report["composition"]["cells"]] == [
        (4, False),
        (1, False),
        (0, True),
    ]
    assert {stage: cost["items"] for stage, cost in report["cost"].items()} == {"adaptation": 8, "instruction": 4}
    rejected = [json.loads(line) for line in (curated / "curated" / "rejected.jsonl").read_text().splitlines()]
    assert [(bad["file"], bad["reason"]) for bad in rejected] == [
        ("photos/6.png", "medium without a caption"),
        ("edits.json", "no query or candidate"),
    ]


def test_the_manifest_holds_rows_digests_and_where_they_come_from(curated: Path) -> None:
    manifest = read_manifest(curated / "curated" / "manifest.parquet")
    held = list(manifest.rows())
    assert [row.id for row in held] == ["photos:0", "photos:5", "photos:7", "photos:8", "edits:0"]
    assert manifest.facts["counts"] == {"read": 10, "kept": 5, "stages": {"adaptation": 4, "instruction": 1}}
    assert (held[1].query.text, held[1].both, held[4].weight, held[4].stage) == (HOSTILE, True, 2.0, "instruction")
    assert held[4].query.parts == (Image(File(curated / "photos" / "7.png")), Text("brighter"))
    assert media.pixels(held[0].target.parts[0]).shape == (12, 16, 3)
    table = manifest.columns(["query_digest", "target_digest", "file", "row"]).to_pylist()
    assert [(cells["query_digest"], cells["target_digest"]) for cells in table] == [
        (row.query.content, row.target.content) for row in held
    ]
    assert [(cells["file"], cells["row"]) for cells in table][3:] == [("photos/8.txt", 0), ("edits.json", 0)]


def test_two_runs_in_different_places_give_the_same_bytes(
    curated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = material(tmp_path / "moved" / "there")
    work = tmp_path / "elsewhere"
    assert main(["curate", str(recipe), "--work", str(work), "--threads", "3"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "photos: 8 rows; bad records, in rejected.jsonl: medium without a caption: 1"
    assert said[-1] == "declared, but without a row: instruction, text>video"
    first, second = curated / "curated", recipe.parent / "curated"
    assert (first / "manifest.parquet").read_bytes() == (second / "manifest.parquet").read_bytes()
    reports = [json.loads((folder / "report.json").read_text()) for folder in (first, second)]
    for report in reports:
        del report["environment"]
    assert reports[0] == reports[1]
    recipe.write_text(RECIPE.replace("seed: 5", "seed: 6"))
    assert main(["curate", str(recipe), "--work", str(work)]) == 0  # over what the first run left in the work folder
    assert (first / "manifest.parquet").read_bytes() != (second / "manifest.parquet").read_bytes()


def test_changed_data_are_read_anew(curated: Path, tmp_path: Path) -> None:
    recipe = Path(shutil.copytree(curated, tmp_path / "again")) / "recipe.yaml"
    Pillow.new("RGB", (16, 12), (1, 2, 3)).save(recipe.parent / "photos" / "8.png")
    assert main(["curate", str(recipe)]) == 0
    digests = [
        read_manifest(folder / "curated" / "manifest.parquet").columns(["target_digest"])["target_digest"].to_pylist()
        for folder in (curated, recipe.parent)
    ]
    assert [a == b for a, b in zip(*digests, strict=True)] == [True, True, True, False, False]


def test_what_is_not_of_a_curation_stays_in_the_work_folder(curated: Path, tmp_path: Path) -> None:
    recipe = Path(shutil.copytree(curated, tmp_path / "again")) / "recipe.yaml"
    own, old = tmp_path / "work" / "step-100", tmp_path / "work" / "step-9-validity"
    for folder in (own, old):
        folder.mkdir(parents=True)
    assert main(["curate", str(recipe), "--work", str(tmp_path / "work")]) == 0
    assert own.is_dir() and not old.exists()


def test_the_page_stands_alone_and_hostile_text_stays_text(curated: Path) -> None:
    page = (curated / "curated" / "report.html").read_text()
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page  # the caption is shown
    assert "<script" not in page and "onerror=alert(1)>" not in page
    assert page.count('src="data:image/webp;base64,') >= 4
    assert "http" not in page.replace("https://ui.", "")
    assert str(curated) not in page
    assert "beyond the paper" in page and "dropped: medium cannot be read" in page
    assert page.count('aria-label="1 rows dropped"') == 3 and page.count('aria-label="2 rows dropped"') == 1
    assert 'aria-label="0 of' not in page


def test_tables_hold_what_was_lost_too_and_begin_with_the_most() -> None:
    few, many = (Group(name, "adaptation", "coarse", "text", "image") for name in ("few", "many"))
    flow = _flow(SimpleNamespace(found={few: 1, many: 5}, taken=[SimpleNamespace(after={many: 4})]), BY["source"])
    assert list(flow.items()) == [("many", [5, 4]), ("few", [1, 0])]


def test_what_a_step_decides_reaches_rows_and_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    class Settings(validity.StepSettings):
        kind: str = "validity"

    def run(pool: Pool, alive: Any, settings: Any, context: Any) -> Decision:
        seen.append((alive.tolist(), context.seed, context.work.name))
        reasons = np.zeros(alive.size, np.uint8)
        reasons[len(seen)] = 1
        weights = np.where(alive == 9, 2.0, 0.5).astype(np.float32)
        told = {"not checked": {"a-task": "<no data>"}}
        return Decision(reasons == 0, reasons, ("kept", "odd"), weights, told, {"flagged": (4, 5, 6, 7, 8)})

    plan = read_recipe(material(tmp_path))
    monkeypatch.setattr("reference_model.curation.pool.BLOCK", 4)
    monkeypatch.setattr(
        steps, "known", lambda: {"validity": Step(Settings, run, ""), "duplicates": Step(Settings, run, "")}
    )
    done = curate(plan, tmp_path / "out", tmp_path / "work")
    assert [alive for alive, *_ in seen] == [list(range(10)), [0, *range(2, 10)]]
    assert len({seed for _, seed, _ in seen}) == 2
    assert [name for *_, name in seen] == ["step-1-validity", "step-2-duplicates"]
    manifest = read_manifest(done.manifest)
    assert manifest.columns(["weight"])["weight"].to_pylist() == [0.25] * 6 + [0.5, 8.0]
    assert done.taken[0].weights == (0.5, pytest.approx((8 * 0.5 + 2) / 9), 2.0)
    assert done.alive.tolist() == [0, 2, *range(4, 10)] and done.taken[1].examples == {
        "odd": (3,),
        "flagged": (4, 5, 6, 7),
    }
    write_page(tmp_path / "page.html", done, report_of(done))
    page = (tmp_path / "page.html").read_text()
    assert page.count("Not checked: a-task: &lt;no data&gt;") == 2 and page.count("examples: flagged") == 2


def test_nothing_left_and_nothing_usable_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = material(tmp_path)
    recipe.write_text(RECIPE.replace("least_characters: 3", "least_characters: 3000"))
    assert main(["curate", str(recipe)]) == 1
    said = capsys.readouterr().err
    assert "no row is left after step 1, validity (medium cannot be read: 1, text too short: 9)" in said
    assert "look at what could not be read: photos:2: photos/2.png" in said
    assert not (tmp_path / "curated" / "manifest.parquet").exists()
    (tmp_path / "edits.json").write_text("[{}]")
    with pytest.raises(DataError, match=r"source 'edits' has no usable row; edits\.json, record 0: no query"):
        curate(read_recipe(recipe), tmp_path / "out", tmp_path / "work")


def test_two_curations_do_not_share_a_work_folder(tmp_path: Path) -> None:
    plan = read_recipe(material(tmp_path))
    (tmp_path / "work").mkdir()
    with FileLock(tmp_path / "work" / "curation.lock"):
        with pytest.raises(UsageError, match=r"another curation works in this folder.*--work"):
            curate(plan, tmp_path / "out", tmp_path / "work")
        curate(plan, tmp_path / "out", tmp_path / "elsewhere")
    curate(plan, tmp_path / "out", tmp_path / "work")


def test_steps_know_the_weights_that_rows_have_so_far(tmp_path: Path) -> None:
    """A source of weight 2 fills a half of what is drawn with half as many rows."""
    plan = read_recipe(material(tmp_path))
    weights = {"photos": 1.0, "edits": 2.0}
    shares = "{kind: balance, by: source, shares: {photos: 1, edits: 1}}"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("{kind: duplicates}", shares))
    curated = curate(read_recipe(recipe), tmp_path / "out", tmp_path / "work")
    drawn: dict[str, float] = {}
    for group, weight in curated.weights.items():
        drawn[group.source] = drawn.get(group.source, 0.0) + weight
    assert drawn["photos"] == drawn["edits"] > 0 and plan.sources[1].weight == weights["edits"]


def test_the_cost_is_the_estimate_for_the_recipe_s_machines(tmp_path: Path) -> None:
    recipe = material(tmp_path)
    recipe.write_text(RECIPE + "cost: {devices: 2, per_device: 4}\n")
    plan = read_recipe(recipe)
    manifest = read_manifest(curate(plan, tmp_path / "out", tmp_path / "work").manifest)
    own = cost_of(manifest, plan.recipe.cost, tmp_path)["instruction"]
    assert own["pairs"] == 2 and own["items"] == 4  # a row of weight 2; the other one was its duplicate
    assert own["visual_tokens"] == 2 * 2 * 6  # two pictures of 16 x 12, fitted into 2 x 3 tokens, twice
    statistics = measure(manifest.rows("instruction"), Reading(by_characters))
    setting = Setting(devices=2, per_device=4)
    expected = estimate(statistics, ModelShape.of(plan.recipe.cost.model), setting, device_of("a100-80gb"))
    assert own["gpu_hours"] == expected.gpu_hours and own["text_tokens"] == round(expected.text_tokens)
    assert "of 8 pairs on 2 devices" in own["in words"][0] and own["device"] == "2 x a100-80gb"
    assert "a token for 4 characters" in own["in words"][-1] and "4 to 12 frames a clip" in own["in words"][-1]


def test_the_benchmark_curates_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmarks = Path(__file__).parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(str(benchmarks))
    bench = importlib.import_module("curation")
    bench.generate(tmp_path, 2000)
    small = bench.one(tmp_path)
    dropped = {"equal to an earlier row": 200, "more of its group than wanted": 800}
    assert (small["read"], small["kept"], small["dropped"]) == (2000, 1000, dropped)
    committed = json.loads((benchmarks / "figures" / "curation.json").read_text())
    assert committed["read"] == 10_000_000 and committed["kept"] == 5_000_000
    assert committed["peak_mb"] < 2048 and committed["extra_bytes_a_row"] < 200  # the bound of docs/curation.md
