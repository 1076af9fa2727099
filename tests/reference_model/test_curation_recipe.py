"""Recipes and designs: all errors at once with their place, presets as printed, coverage as found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reference_model.checkpoint import CHECKPOINTS
from reference_model.cost import NAMED, ModelShape
from reference_model.curation.composition import Cell, Group, coverage
from reference_model.curation.presets import PRESETS
from reference_model.curation.recipe import preset_files, read_recipe
from reference_model.curation.training_cost import Cost, shape_of
from unite_bench.errors import SpecError

GOOD = """\
name: mine
sources:
  - {kind: table, name: a, path: a.jsonl, query: {text: q}, target: {text: t}}
steps:
  - {kind: validity}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "a.jsonl").write_text('{"q": "x", "t": "y"}\n')
    (folder / "recipe.yaml").write_text(text)
    return folder / "recipe.yaml"


def findings(folder: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as raised:
        read_recipe(written(folder, text))
    return [finding.removeprefix(f"{folder}/") for finding in raised.value.findings]


def test_wrong_keys_are_told_all_at_once_with_their_place(tmp_path: Path) -> None:
    text = GOOD.replace("name: mine", "name: mine\nsead: 3").replace("{text: t}", "{test: t}")
    text = text.replace("{kind: validity}", "{kind: validity, least_characters: -1, script: [Latin]}")
    found = sorted(findings(tmp_path, text))
    assert [one.split(": ")[0] for one in found] == [
        "recipe.yaml:2:1",
        "recipe.yaml:4:70",
        "recipe.yaml:6:22",
        "recipe.yaml:6:44",
    ]
    assert "unknown key 'sead', did you mean 'seed'?" in found[0]
    assert "unknown key 'test', did you mean 'text'?" in found[1]
    assert "greater than or equal to 0" in found[2]
    assert "unknown key 'script', did you mean 'scripts'?" in found[3]


def test_a_step_that_is_none_names_those_there_are(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, GOOD.replace("kind: validity", "kind: validty"))
    assert found.startswith("recipe.yaml:5:5: ") and "'validity'" in found


def test_what_is_wrong_with_files_and_names_is_told_at_once_too(tmp_path: Path) -> None:
    text = """\
name: mine
root: nowhere
sources:
  - {kind: table, name: a, path: b.jsonl, media: m, query: {text: q}, target: {text: t}}
  - {kind: table, name: a, path: "*.csv", query: {text: q}, target: {text: t}}
  - {kind: folder, name: c, path: photos}
  - {kind: unite, name: d, path: d.json}
  - {kind: hub, name: e, dataset: data, query: {text: q}, target: {text: t}}
steps:
  - {kind: validity, scripts: [Latin, Roman]}
  - {kind: validity, least_characters: 5, most_characters: 4}
composition:
  - {stage: adaptation, source: aa}
"""
    found = findings(tmp_path, text)
    assert [one.split(": ", 1)[0] for one in found] == [
        "recipe.yaml:4:28",
        "recipe.yaml:4:43",
        "recipe.yaml:5:19",
        "recipe.yaml:5:28",
        "recipe.yaml:6:29",
        "recipe.yaml:7:28",
        "recipe.yaml:8:26",
        "recipe.yaml:2:1",
        "recipe.yaml:13:25",
        "recipe.yaml:10:5",
        "recipe.yaml:11:5",
    ]
    assert "no source 'aa'; did you mean 'a'?" in found[8]
    assert "'Roman' is no script of Unicode" in found[9]


def test_tasks_embedders_and_numbers_that_cannot_be_are_told_before_anything_is_read(tmp_path: Path) -> None:
    text = """\
name: mine
sources:
  - {kind: table, name: a, path: a.jsonl, query: {text: q}, target: {text: t}}
steps:
  - {kind: contamination, tasks: [scenes-t2i, embeded]}
  - {kind: alignment, embedder: pixel, floor: 0}
  - {kind: selection, embedder: "mine.py:Mine", share: 0.5}
  - {kind: duplicates, near: {embedder: pixel}}
  - {kind: selection, embedder: pixels, share: 0.5}
"""
    found = findings(tmp_path, text)
    assert [one.split(": ", 1)[0] for one in found] == [f"recipe.yaml:{line}:5" for line in (5, 6, 7, 8)]
    assert "unknown task 'embeded'" in found[0] and "did you mean 'pixels'?" in found[1] and "mine.py" in found[2]
    endless = GOOD.replace("name: a,", "name: a, weight: .inf,") + "  - {kind: balance, shares: {a: .inf}}\n"
    assert ["finite number" in one for one in findings(tmp_path, endless)] == [True, True]


def test_the_model_of_the_cost_may_be_a_committed_checkpoint_or_a_folder(tmp_path: Path) -> None:
    nano = shape_of(read_recipe(written(tmp_path, GOOD + "cost: {model: nano}\n")).recipe.cost, tmp_path)
    assert nano == ModelShape.of(CHECKPOINTS / "nano")
    (tmp_path / "nano").mkdir()
    (tmp_path / "nano" / "config.json").write_text(json.dumps(NAMED["Qwen/Qwen2-VL-2B-Instruct"]))
    assert shape_of(Cost(model="nano"), tmp_path).parameters == 2_208_985_600, (
        "the folder beside the recipe comes first"
    )
    (found,) = findings(tmp_path, GOOD + "cost: {model: nanoo}\n")
    assert "nanoo: no config.json there" in found


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    assert findings(tmp_path, "name: mine\n") == [
        "recipe.yaml:1:1: no `sources` and no `preset`: there is nothing to read"
    ]


def test_the_digest_is_of_what_decides_the_manifest(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        return read_recipe(written(tmp_path, text)).digest

    assert digest(GOOD) == digest(GOOD + "out: elsewhere\nwork: there\n")
    others = [GOOD + "seed: 1\n", GOOD.replace("kind: validity", "kind: validity, least_side: 9")]
    others.append(GOOD.replace("name: a,", "name: a, weight: 2,"))
    assert len({digest(GOOD), *map(digest, others)}) == 4


def test_stages_follow_from_granularity_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    plan = read_recipe(written(tmp_path, GOOD))
    assert plan.stages == {"coarse": "adaptation", "fine": "adaptation", "instruction": "instruction"}
    plan = read_recipe(written(tmp_path, GOOD + "stages: {fine: instruction}\n"))
    assert plan.stages == {"coarse": "adaptation", "fine": "instruction", "instruction": "instruction"}


# Composition


def test_a_pair_is_written_in_any_order_of_its_sets() -> None:
    assert Cell(stage="adaptation", pair="video-text").pair == "text-video"
    assert Cell(stage="instruction", pair="text+image>text").pair == "image+text>text"
    for wrong in ("text", "text>sound", "text-image-video", "text>"):
        with pytest.raises(ValueError, match="a pair is two of"):
            Cell(stage="adaptation", pair=wrong)


def test_coverage_counts_each_cell_and_what_no_cell_declares() -> None:
    both = [Group("coco", "adaptation", "coarse", *sides) for sides in (("text", "image"), ("image", "text"))]
    words = Group("nli", "adaptation", "coarse", "text", "text")
    edits = Group("edits", "instruction", "instruction", "image+text", "image")
    found = {both[0]: 60, both[1]: 40, words: 100, edits: 50}
    kept = {both[0]: 50, both[1]: 25, words: 75, edits: 50}
    weights = {both[0]: 100.0, both[1]: 25.0, words: 75.0, edits: 50.0}
    design = (
        Cell(stage="adaptation", pair="image-text", share=39.2),
        Cell(stage="adaptation", pair="text>image", rows=60),
        Cell(stage="adaptation", source="nli", granularity="fine"),
        Cell(stage="instruction", granularity="instruction"),
    )
    cells, undeclared = coverage(design, found, kept, weights)
    assert [(c["found"], c["kept"], round(c["share"], 2), c["empty"]) for c in cells] == [
        (100, 75, 50.0, False),
        (60, 50, 33.33, False),
        (0, 0, 0.0, True),
        (50, 50, 100.0, False),
    ]
    assert [round(c["drawn_share"], 2) for c in cells] == [62.5, 50.0, 0.0, 100.0]
    assert [(u["source"], u["found"], u["kept"]) for u in undeclared] == [("nli", 100, 75)]
    assert coverage((), found, kept, weights) == ([], [])


def test_the_presets_are_the_paper_s_tables() -> None:
    first, second = PRESETS["unite-adaptation"], PRESETS["unite-instruction"]
    assert round(sum(first.shares.values()), 1) == 96.9  # as printed
    total = [sum(thousands for *_, thousands in preset.sets) for preset in (first, second)]
    assert [round(n / 1000, 1) for n in total] == [6.4, 1.3]  # 6.4M and 1.3M pairs, as printed
    given = first.shares_of_pairs()
    assert {pair for pair, share in first.shares.items() if abs(share - given[pair]) > 0.1} == {"text-video"}
    given = second.shares_of_pairs()
    assert all(abs(share - given[pair]) < 0.1 for pair, share in second.shares.items())
    printed = """text-text NLI 275.6 MSMARCO 532.8 NQ 100.2 HotpotQA 170.0 Fever 140.1 TriviaQA 73.3 SQuAD 87.6
        image-text CapsFusion 1000 LAION-Art 1000 MSCOCO 500  text-video InternVid-FLT 2000 Tarsier2-Recap 500
        image>image NIGHTS 15.9  text>image COCO-t2i 100 VisDial 123.3 VisualNews-t2i 99.9
        image>text HatefulMemes 8.5 ImageNet-1K 100 COCO-i2t 113.3 SUN397 19.9 VisualNews-i2t 100 VOC2007 7.9
        text>image+text WebQA 17.2  image+text>text A-OKVQA 17.1 ChartQA 28.3 DocVQA 39.5 InfographicsVQA 23.5 OK-VQA 9.0
        Visual7W 69.8  image+text>image CIRR 26.1 COCO-it2i 100 N24News 49.0  text+video>video WebVid-CoVR 200"""
    table, pair, words = {}, "", iter(printed.split())
    for word in words:
        if word in first.shares or word in second.shares:
            pair, word = word, next(words)
        table[word] = (pair, float(next(words)))
    assert {name: (of, n) for preset in (first, second) for name, of, _, n in preset.sets} == table


def test_the_cells_of_a_preset_are_known_by_their_datasets_and_of_a_merged_file_by_what_rows_hold() -> None:
    """An instruction in the text of a picture's side makes it image+text, where the paper says image."""
    preset, group = (
        PRESETS["unite-instruction"],
        Group("ImageNet-1K", "instruction", "instruction", "image+text", "text"),
    )
    own = [cell for cell in preset.cells() if cell.holds(group)]
    assert [(cell.pair, cell.source) for cell in own] == [("image>text", None), ("image>text", "ImageNet-1K")]
    merged = [cell for cell in preset.cells(merged=True) if cell.holds(group)]
    assert [(cell.pair, cell.rows) for cell in merged] == [("image+text>text", None)]


def test_a_preset_and_a_place_give_the_design(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "NLI.json").write_text("[]")
    (tmp_path / "data" / "videos.jsonl").write_text("")
    text = "name: p\npreset: {name: unite-adaptation, data: data, files: {Tarsier2-Recap: videos.jsonl}}\n"
    plan = read_recipe(written(tmp_path, text))
    assert [(s.name, s.path, s.granularity, s.stage) for s in plan.sources] == [
        ("NLI", "data/NLI.json", "coarse", "adaptation"),
        ("Tarsier2-Recap", "data/videos.jsonl", "fine", "adaptation"),
    ]
    assert plan.recipe.preset is not None
    assert sum(path is None for path in preset_files(plan.recipe.preset, tmp_path).values()) == 10
    shares = {cell.pair: cell.share for cell in plan.design if cell.share is not None}
    assert shares == {"text-text": 21.6, "image-text": 39.2, "text-video": 36.1}
    assert next(cell.rows for cell in plan.design if cell.source == "NLI") == 275_600
    wrong = text.replace("unite-adaptation", "unite-adaption")
    same = text + "sources: [{kind: table, name: NLI, path: a.jsonl, query: {text: q}, target: {text: t}}]\n"
    (named,) = findings(tmp_path, same)
    assert "'NLI' is a dataset of the preset" in named
    assert "did you mean 'unite-adaptation'?" in findings(tmp_path, wrong)[0]
    wrong = text.replace("data: data", "data: elsewhere")
    assert ["no file" in one or "none of the preset's datasets" in one for one in findings(tmp_path, wrong)] == [
        True
    ] * 2
    merged = "name: p\npreset: {name: unite-instruction, data: data, merged: videos.jsonl}\n"
    plan = read_recipe(written(tmp_path, merged))
    assert [(s.name, s.path, s.granularity) for s in plan.sources] == [
        ("unite-instruction", "data/videos.jsonl", "instruction")
    ]
    assert "no file" in findings(tmp_path, merged.replace("videos", "elsewhere"))[0]
    wrong = text.replace("Tarsier2-Recap", "Tarsier")
    assert "unite-adaptation has no dataset 'Tarsier'; did you mean 'Tarsier2-Recap'?" in findings(tmp_path, wrong)[0]
