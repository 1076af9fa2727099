"""The tables and task files: sizes, what is relevant, and that hard negatives are there and are negative."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import unite_bench
from unite_bench.errors import UsageError
from unite_bench.fresh import write_fresh_suite
from unite_bench.items import Text
from unite_bench.sources.build import TaskData, build
from unite_bench.sources.scenes import Scene, Still, entails, table
from unite_bench.sources.scenes.aspect_pools import ASPECTS, WORDINGS
from unite_bench.sources.scenes.edit_pools import _image_cases, _video_cases
from unite_bench.sources.scenes.fused_pools import _cases
from unite_bench.sources.scenes.questions import ANSWERS
from unite_bench.spec.catalogue import load_suite, load_task, tasks_of
from unite_bench.spec.model import Task, Variant
from unite_bench.spec.reader import read_task
from unite_bench.spec.source_kinds import ScenesSource

FOLDER = Path(unite_bench.__file__).parent / "tasks" / "scenes"
FIRST_FORM = {
    *("scenes-t2i", "scenes-i2t", "scenes-t2v", "scenes-v2t", "scenes-t2t"),
    *("scenes-long-t2i", "scenes-long-i2t", "scenes-long-t2v", "scenes-long-v2t"),
    *("scenes-edit-it2i", "scenes-edit-vt2v", "scenes-question-it2t", "scenes-t2it", "scenes-union"),
}
SEED = 7001


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    return {path.stem: read_task(path) for path in sorted(FOLDER.glob("*.yaml"))}


@pytest.fixture(scope="module")
def data(tasks: dict[str, Task]) -> dict[str, TaskData]:
    return {name: build(task) for name, task in tasks.items() if name in FIRST_FORM}


def _rows(name: str, count: int, part: str = "iid") -> list[Mapping[str, Any]]:
    return list(table(name, seed=SEED, part=part, count=count).rows)


def test_every_task_is_there_and_builds(tasks: dict[str, Task], data: dict[str, TaskData]) -> None:
    """`build` checks columns, ids, and that what is relevant is in the pool."""
    assert set(tasks) >= FIRST_FORM
    for name, task in tasks.items():
        assert task.name == name
        assert task.trained_on == ["scenes-generator"]
    for name, built in data.items():
        assert all(len(row) > 0 for row in (built.qrels[i] for i in range(len(built.queries)))), name
        assert not built.broken


def test_sizes_stay_within_the_budget(data: dict[str, TaskData]) -> None:
    media: dict[str, set[str]] = {"image": set(), "video": set(), "short": set(), "long": set()}
    for built in data.values():
        for item in (*built.queries, *built.candidates):
            for part in item.parts:
                if isinstance(part, Text):
                    media["long" if len(part.text.split()) >= 40 else "short"].add(f"{item.instruction}\n{part.text}")
                else:
                    media[part.kind].add(getattr(part, "source_digest", part.digest))
    counts = {kind: len(found) for kind, found in media.items()}
    assert counts["image"] <= 1600
    assert counts["video"] <= 450
    assert counts["short"] <= 4000
    assert counts["long"] <= 650


def test_tasks_share_their_corpora(data: dict[str, TaskData]) -> None:
    images = {item.digest for item in data["scenes-t2i"].candidates}
    assert images == {item.digest for item in data["scenes-i2t"].queries}
    clips = {item.content for item in data["scenes-t2v"].candidates}
    assert len(images) == 400
    assert len(clips) == 200
    sources = {query.parts[0].digest for query in data["scenes-edit-it2i"].queries}
    assert sources <= {candidate.parts[0].digest for candidate in data["scenes-t2i"].candidates}
    asked = {query.parts[0].digest for query in data["scenes-question-it2t"].queries}
    assert asked <= {candidate.parts[0].digest for candidate in data["scenes-t2i"].candidates}


@pytest.mark.parametrize(("name", "count"), [("still", 400), ("moving", 200)])
def test_relevance_is_truth_both_ways(name: str, count: int) -> None:
    rows = _rows(name, count)
    scenes = [row["image" if name == "still" else "video"].scene for row in rows]
    for column, back in (("short", "true_shorts"), ("long", "true_longs")):
        pairs = {(row["id"], other) for row in rows for other in row[f"{column}_true_of"]}
        assert pairs == {(other, row["id"]) for row in rows for other in row[back]}
        assert {(row["id"], row["id"]) for row in rows} <= pairs
        for row in rows[:40]:  # against the checker without its index
            assert row[f"{column}_true_of"] == [str(i) for i, scene in enumerate(scenes) if entails(scene, row[column])]


@pytest.mark.parametrize(("name", "count"), [("still", 400), ("moving", 200)])
def test_most_captions_are_true_of_one_scene_only(name: str, count: int) -> None:
    rows = _rows(name, count)
    assert sum(len(row["short_true_of"]) == 1 for row in rows) >= 0.9 * count
    assert sum(len(row["long_true_of"]) == 1 for row in rows) >= 0.99 * count
    assert len({row["short"] for row in rows}) >= 0.99 * count
    assert len({row["image" if name == "still" else "video"].digest for row in rows}) == count


@pytest.mark.parametrize("part", ["iid", "held-out"])
def test_edit_pools_hold_the_hard_negatives(part: str) -> None:
    for cases, names in ((_image_cases(SEED, part, 60), "image"), (_video_cases(SEED, part, 40), "video")):
        queries = _rows(f"{names}-edits", len(cases), part)
        pool: list[Scene] = [row[names].scene for row in _rows(f"edited-{names}s", len(cases), part)]
        assert len(set(pool)) == len(pool)
        for case, row in zip(cases, queries, strict=True):
            found = {pool[int(i)].meaning for i in row["positives"]}
            assert found == {case.target.meaning}
            assert row[names].scene == case.source
            negatives = (case.source, case.other_edit, case.other_source)
            assert all(scene in pool and scene.meaning not in found for scene in negatives)


def test_fused_candidates_need_both_halves() -> None:
    """Of the three candidates of a query, two share the image and two share the text; only one is right."""
    cases = _cases(SEED, "iid", 80)
    for case in cases:
        right, wrong_text, wrong_image = case.candidates
        assert right.shown == wrong_text.shown != wrong_image.shown
        assert right.text == wrong_image.text != wrong_text.text
        assert [entails(candidate.whole, case.query) for candidate in case.candidates] == [True, False, False]
        assert not entails(right.shown, case.query)  # the image alone does not do


def test_questions_are_balanced() -> None:
    rows = _rows("questions", 300)
    types = Counter(row["type"] for row in rows)
    assert set(types) == set(ANSWERS)
    assert max(types.values()) - min(types.values()) <= 5
    answers = Counter(row["answer"] for row in rows)
    for kind, words in ANSWERS.items():
        given = [answers[f"{kind}:{word}"] for word in words]
        assert max(given) - min(given) <= 5, kind
    known = {row["id"] for row in _rows("answers", 300)}
    assert all(row["answer"] in row["answers"] and known.issuperset(row["answers"]) for row in rows)


def test_the_union_pool_has_every_scene_in_every_form() -> None:
    queries = _rows("union-queries", 400)
    forms = {form: _rows(f"union-{form}", 400) for form in ("text", "image", "video", "fused")}
    assert len(queries) == 400
    assert {len(rows) for rows in forms.values()} == {100}
    assert Counter(row["target_modality"] for row in queries) == dict.fromkeys(
        ("text", "image", "video", "image+text"), 100
    )
    scenes: dict[str, Scene] = {row["id"].split(":")[1]: row["video"].scene for row in forms["video"]}
    for row in queries:
        assert all(chosen.startswith(f"{row['target_modality']}:") for chosen in row["positives"])
        assert [i for i, scene in scenes.items() if entails(scene, row["text"])] == [
            p.split(":")[1] for p in row["positives"]
        ]
    for row in forms["text"]:
        assert entails(scenes[row["id"].split(":")[1]], row["text"])
    for row in forms["image"]:
        assert isinstance(row["image"], Still)
        assert row["image"].scene == scenes[row["id"].split(":")[1]]


def test_instructions_come_in_several_wordings() -> None:
    rows = _rows("union-queries", 400)
    wordings = Counter((row["target_modality"], row["instruction"]) for row in rows)
    assert len(wordings) == 20
    assert not {row["instruction"] for row in rows} & {
        row["instruction"] for row in _rows("union-queries", 80, "held-out")
    }


def test_a_table_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="unknown table"):
        table("stills", seed=SEED, part="iid", count=4)
    with pytest.raises(UsageError, match="kept apart"):
        table("still", seed=SEED, part="train", count=4)


def test_tables_serve_every_part() -> None:
    for part, seed in (("train", 1_000_000), ("held-out", 7001)):
        for name in ("still", "moving", "questions", "image-edits", "video-edits", "fused-queries", "union-queries"):
            assert len(table(name, seed=seed, part=part, count=8).rows) >= 8


def test_one_thing_in_common_is_what_the_instruction_names() -> None:
    queries, pictures = (_rows(name, 500) for name in ("aspect-queries", "aspects"))
    shown = {row["id"]: row["image"].scene.things[0] for row in pictures}
    assert len(queries) == 500
    for row in queries:
        source = row["image"].scene.things[0]
        common = {
            name: {aspect for aspect in ASPECTS if getattr(shown[name], aspect) == getattr(source, aspect)}
            for name in row["pool"]
        }
        assert common[row["positive"]] == {row["aspect"]}
        assert [name for name, aspects in common.items() if row["aspect"] in aspects] == [row["positive"]]
        assert sorted(map(len, common.values())) == [0, 0, 1, 1, 1, 1]
        assert row["instruction"] in WORDINGS[row["aspect"]]


def test_a_wrong_instruction_names_what_the_other_one_is_about() -> None:
    right, wrong = (_rows(name, 500) for name in ("aspect-queries", "aspect-wrong-queries"))
    named = {(row["scene"], row["aspect"]): row["positive"] for row in right}
    for one, other in zip(right, wrong, strict=True):
        assert (one["id"], one["image"].digest, one["positive"]) == (
            other["id"],
            other["image"].digest,
            other["positive"],
        )
        (meant,) = [aspect for aspect, words in WORDINGS.items() if other["instruction"] in words]
        assert meant != other["aspect"] and (other["scene"], meant) in named


def test_forms_are_preferred_in_pairs_of_one_scene() -> None:
    rows = _rows("preference-queries", 600)
    assert Counter(row["pair"] for row in rows) == dict.fromkeys({row["pair"] for row in rows}, 100)
    assert len({row["pair"] for row in rows}) == 6
    for row in rows:
        forms = [one.split(":")[0] for one in row["both"]]
        assert row["pair"] == " above ".join(forms) and row["form"] == forms[0]
        assert {one.split(":")[1] for one in row["both"]} == {row["scene"]}


def test_a_variant_draws_the_same_tasks_in_another_number_and_from_another_seed() -> None:
    for task in tasks_of(load_suite("scenes")):
        assert task.name.endswith("-2k")
    for name in ("scenes-t2i", "scenes-union", "scenes-quartet-order", "scenes-instruction", "scenes-form-preference"):
        few = build(Variant(suffix="-few", queries=48).of(load_task(name)))
        whole, other = build(load_task(name)), build(Variant(suffix="-new", queries=48, seed=5).of(load_task(name)))
        assert [query.content for query in few.queries] == [
            query.content for query in whole.queries[: len(few.queries)]
        ]
        assert 40 <= len(few.queries) == len(other.queries) <= 48
        assert not {query.content for query in few.queries} & {query.content for query in other.queries}


def test_a_fresh_suite_is_one_file_and_refuses_known_seeds(tmp_path: Path) -> None:
    path = tmp_path / "fresh.yaml"
    assert write_fresh_suite(path, 4242, 100) == len(tasks_of(load_suite("scenes")))
    tasks = tasks_of(load_suite(str(path)))
    sources = [task.source_of(side) for task in tasks for side in (task.queries, *task.corpora)]
    assert {(source.seed, source.count) for source in sources if isinstance(source, ScenesSource)} == {(4242, 100)}
    for seed, reason in ((7001, "shipped tasks"), (1_000_001, "kept for training")):
        with pytest.raises(UsageError, match=reason):
            write_fresh_suite(tmp_path / "other.yaml", seed, 100)
    with pytest.raises(UsageError, match="exists"):
        write_fresh_suite(path, 4242, 100)
