"""The checker on sentences written by hand, so that it is held to English and not to our grammar."""

from __future__ import annotations

import pytest

from unite_bench.errors import DataError
from unite_bench.sources.scenes.entailment import Truths, entails
from unite_bench.sources.scenes.world import Event, Motion, Scene, Thing

STILL = Scene(
    (
        Thing("circle", "red", "large", "solid", 0),
        Thing("star", "blue", "small", "striped", 4),
        Thing("cross", "green", "small", "outlined", 8, count=2),
    ),
    "black",
)
MOVING = Scene(
    (Thing("circle", "red", "large", "solid", 1), Thing("star", "blue", "small", "striped", 4)),
    "white",
    Motion("left", "fast", 0, 0),
    (Event("turns", 1, "midway", "pink"),),
)
ORDER = Scene(
    (Thing("circle", "red", "large", "solid", 1), Thing("star", "blue", "small", "striped", 4)),
    "white",
    events=(Event("blinks", 0, "early"), Event("blinks", 1, "late")),
)


@pytest.mark.parametrize(
    ("scene", "text", "truth"),
    [
        (STILL, "a red circle", True),
        (STILL, "a large solid red disc in the upper left", True),
        (STILL, "a red star", False),
        (STILL, "a blue circle", False),
        (STILL, "a red circle and a blue star", True),
        (STILL, "a red circle and a red circle", False),  # two things, and there is one
        (STILL, "the red circle is left of the blue star and the red circle is above the blue star", True),
        (STILL, "the blue star is left of the red circle", False),
        (STILL, "a blue star above two green crosses", True),
        (STILL, "two green pluses", True),
        (STILL, "a green cross", False),  # `a` is exactly one
        (STILL, "three green crosses", False),
        (STILL, "a small red circle", False),
        (STILL, "a hollow red circle", False),
        (STILL, "at the top left a red circle; in the centre a blue star", True),
        (STILL, "at the top left a blue star; in the centre a red circle", False),
        (STILL, "There are four shapes in all.", True),
        (STILL, "There are three shapes in all.", False),
        (STILL, "The paper is black.", True),
        (STILL, "On white paper there is a red circle.", False),
        (STILL, "Nothing is at the top right.", True),
        (STILL, "Nothing is at the top left.", False),
        (STILL, "a red circle moving left", False),
        (MOVING, "a red circle moves left", True),
        (MOVING, "a red circle going to the left at a quick pace", True),
        (MOVING, "a red circle moving right", False),
        (MOVING, "a red circle moving left slowly", False),
        (MOVING, "a blue star moves left", False),
        (MOVING, "a red circle at the top middle", False),  # what moves has no place
        (MOVING, "a blue star in the centre turns pink", True),
        (MOVING, "a blue star turns green", False),
        (MOVING, "a pink star", False),  # colours are those before the change
        (MOVING, "a red circle turns pink", False),
        (MOVING, "a blue star disappears", False),
        (ORDER, "a red circle blinks, then a blue star blinks", True),
        (ORDER, "a blue star flickers, then a red circle flickers", False),
        (ORDER, "a blue star blinks and a red circle blinks", True),
        (ORDER, "the red circle blinks early in the clip", True),
        (ORDER, "the red circle blinks late in the clip", False),
        (ORDER, "nothing else moves", False),  # nothing moves at all
    ],
)
def test_truth(scene: Scene, text: str, truth: bool) -> None:
    assert entails(scene, text) is truth


@pytest.mark.parametrize(
    "text",
    [
        "a crimson circle",
        "a red circle near a star",
        "a red pentagon",
        "at the top left",
        "a red",
        "a red circle is blue",
    ],
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match="entailment checker"):
        entails(STILL, text)


def test_truths_over_many_scenes_are_those_one_by_one() -> None:
    scenes = [STILL, MOVING, ORDER]
    truths = Truths(scenes)
    for text in (
        "a red circle",
        "a blue star in the centre",
        "the paper is white",
        "a red circle moves left",
        "a pink moon",
    ):
        assert truths.true_of(text) == [i for i, scene in enumerate(scenes) if entails(scene, text)]
