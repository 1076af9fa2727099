"""What a caption says can be seen: scenes are read back from their pixels alone, and the quartets solved from them."""

from __future__ import annotations

import pytest

from unite_bench.errors import ModelError
from unite_bench.evaluation import evaluate
from unite_bench.items import Blob, Image, Item, Text
from unite_bench.sources.scenes import frame_indices, render_frames, render_image, sample_moving, sample_still
from unite_bench.sources.scenes.quartets import KINDS
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Side, Task
from unite_bench.testing.pixel_oracle import PixelOracle, read_clip, read_picture
from unite_bench.testing.symbolic import SymbolicOracle


def _first_of(kind: str, count: int) -> Task:
    def fewer(side: Side) -> Side:
        assert side.source is not None
        return side.model_copy(update={"source": side.source.model_copy(update={"count": count})})

    task = load_task(f"scenes-quartet-{kind}")
    assert isinstance(task.candidates, Side)
    sides = {"queries": fewer(task.queries), "candidates": fewer(task.candidates)}
    return task.model_copy(update={**sides, "expected": None})


def _read_wrongly(stills: int, clips: int, part: str) -> int:
    indices = frame_indices(8)
    still = [sample_still(7105, i, part) for i in range(stills)]
    moving = [sample_moving(7105, i, part) for i in range(clips)]
    wrong = sum(read_picture(render_image(scene)).meaning != scene.meaning for scene in still)
    return wrong + sum(read_clip(render_frames(s, indices), indices).meaning != s.meaning for s in moving)


@pytest.mark.parametrize("part", ["iid", "held-out"])
def test_scenes_are_read_back_from_their_pixels(part: str) -> None:
    assert _read_wrongly(30, 8, part) == 0


@pytest.mark.slow
@pytest.mark.parametrize("part", ["iid", "held-out"])
def test_a_thousand_scenes_are_read_back_from_their_pixels(part: str) -> None:
    assert _read_wrongly(700, 300, part) <= 10


@pytest.mark.parametrize("kind", KINDS)
def test_quartets_are_solved_from_pixels(kind: str) -> None:
    assert evaluate(PixelOracle(), _first_of(kind, 20 if KINDS[kind].medium == "image" else 3))["group_score"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_whole_quartet_tasks_are_solved_from_pixels(kind: str) -> None:
    assert evaluate(PixelOracle(), load_task(f"scenes-quartet-{kind}"))["group_score"] >= 0.99


def test_the_symbolic_oracle_says_what_it_cannot_take() -> None:
    picture = Item((Image(Blob(b"no program", "photo.png")),))
    with pytest.raises(ModelError, match=r"photo\.png is no scene program"):
        SymbolicOracle().told([picture], [(Item((Text("a red circle"),)), {})])
    with pytest.raises(ModelError, match="one caption and one scene"):
        SymbolicOracle().told([picture], [(picture, {})])
