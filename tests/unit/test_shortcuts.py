"""The shortcuts: each is at chance where a task keeps its promise, and does find what it looks for where it may be found.

The full check, over freshly generated items and with a trained probe, is `benchmarks/scenes_shortcuts.py`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from unite_bench import registry
from unite_bench.embedders.base import Embedder
from unite_bench.embedders.shortcuts.reading import AXES, told
from unite_bench.embedders.shortcuts.shown import patches
from unite_bench.embedders.shortcuts.words import attributes
from unite_bench.evaluation import evaluate
from unite_bench.items import Image, Item, Text
from unite_bench.sources.scenes import Still, render_image, sample_still
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Side
from unite_bench.testing.ordered_frames import OrderedFramesEmbedder

SHORTCUTS = [name for name, place in registry.BASELINES.items() if ".shortcuts." in place]
TEMPORAL = ("single-frame", "mean-frames", "shuffled-frames")
IMAGES = ("colour-binding", "size-binding", "relation")
CLIPS = ("who-moves", "order", "direction")
QUARTETS = 24
MOTION_SHOWS = {("shuffled-frames", "who-moves")}  # a bag of frames does tell what moves, if not which way


def _score(embedder: Embedder, kind: str) -> dict[str, float]:
    """All measures over the first QUARTETS quartets of a task."""

    def fewer(side: Side) -> Side:
        assert side.source is not None
        return side.model_copy(update={"source": side.source.model_copy(update={"count": QUARTETS})})

    task = load_task(f"scenes-quartet-{kind}")
    assert isinstance(task.candidates, Side)
    sides = {"queries": fewer(task.queries), "candidates": fewer(task.candidates)}
    task = task.model_copy(update={**sides, "expected": None})
    measures = evaluate(embedder, task).record["measures"]
    return {name: measured["value"] for name, measured in measures.items()}


@pytest.mark.parametrize("name", [name for name in SHORTCUTS if name not in TEMPORAL])
@pytest.mark.parametrize("kind", IMAGES)
def test_shortcuts_know_nothing_of_composition_in_pictures(name: str, kind: str) -> None:
    """Both captions hold the same words, so that every shortcut says the same of both: exactly 1/2."""
    assert _score(registry.load_embedder(name), kind)["pairwise"] == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("name", TEMPORAL)
@pytest.mark.parametrize("kind", CLIPS)
def test_shortcuts_know_nothing_of_time(name: str, kind: str) -> None:
    if (name, kind) in MOTION_SHOWS:
        return
    found = _score(registry.load_embedder(name), kind)["pairwise"]
    assert abs(found - 0.5) < 3.3 * 0.5 / QUARTETS**0.5  # 99.9 %, were all four comparisons of a quartet to agree


def test_the_reading_that_is_shuffled_solves_time_in_order() -> None:
    for kind in CLIPS:
        assert _score(OrderedFramesEmbedder(), kind)["group_score"] == 1.0, kind
    assert _score(OrderedFramesEmbedder(), "speed")["pairwise"] > 0.9


def test_blind_scores_are_exact() -> None:
    for name in ("blind-query", "blind-candidate"):
        found = _score(registry.load_embedder(name), "colour")
        assert found["pairwise"] == 0.5 and found["group_score"] == 0.0


def test_recognition_is_open_to_a_bag_of_words() -> None:
    """That is what sets it apart from composition."""
    bag = registry.load_embedder("bag-of-words")
    for kind in ("colour", "shape", "count"):
        assert _score(bag, kind)["group_score"] == 1.0
    assert _score(registry.load_embedder("colour-histogram"), "colour")["group_score"] > 0.95
    assert _score(registry.load_embedder("edge-histogram"), "shape")["pairwise"] > 0.6


def test_number_is_not_to_be_had_from_ink_or_bytes() -> None:
    for name in ("length", "file-size", "colour-histogram", "edge-histogram"):
        assert abs(_score(registry.load_embedder(name), "count")["pairwise"] - 0.5) < 3.3 * 0.5 / QUARTETS**0.5, name


def test_words_and_pixels_are_read_as_they_are() -> None:
    assert attributes("Two violet boxes, a little red disc") == {
        "two": 1,
        "purple": 1,
        "square": 1,
        "small": 1,
        "red": 1,
        "circle": 1,
    }
    said = dict(zip(AXES, told("a red disc going upwards at a quick pace; a blue box"), strict=True))
    assert {axis for axis, value in said.items() if value} == {
        *("shows red", "shows blue", "moves red", "up", "fast", "always")
    }
    for i in range(30):
        scene = sample_still(7104, i, "iid")
        assert set(patches(render_image(scene))) == {thing.colour for thing in scene.things}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_text_with_media_is_the_sum_of_both(name: str) -> None:
    model = registry.load_embedder(name)
    text, image = Text("a red circle"), Image(Still(sample_still(7104, 1, "iid")))
    if "image+text" not in model.card.modalities:
        return
    rows = model.embed([Item((image, text)), Item((image,)), Item((text,))], "candidate")
    assert rows.shape == (3, model.card.dim) and np.isfinite(rows).all() and rows.any(axis=1).all()
    if not name.startswith("blind"):
        np.testing.assert_allclose(rows[0], rows[1] + rows[2], rtol=1e-5)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    place = Path(__file__).parents[2] / "benchmarks" / "scenes_shortcuts.py"
    spec = importlib.util.spec_from_file_location("scenes_shortcuts", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_probe_learns_what_is_there_and_nothing_of_composition(benchmark: ModuleType) -> None:
    """Fresh items at small size: the benchmark, quickly."""
    bound = {kind: benchmark.work(kind, 31, 56, 0, 200) for kind in ("colour-binding", "colour")}
    for found in bound.values():
        assert (found["oracle"] == 1).all()
        assert (found["pairwise blind-query"] == 0.5).all()
    assert (bound["colour-binding"]["pairwise colour-histogram"] == 0.5).all()
    auc, error = benchmark.probe(bound["colour-binding"]["features"], bound["colour-binding"]["labels"])
    assert abs(auc - 0.5) < 3.3 * error
    auc, error = benchmark.probe(bound["colour"]["features"], bound["colour"]["labels"])
    assert auc > 0.5 + 5 * error
