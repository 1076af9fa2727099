"""The one door: names, files and modules; fusion by its declared rule; what the baselines look at and what they do not."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from unite_bench import registry
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.baselines import RandomEmbedder
from unite_bench.embedders.fusion import FusedEmbedder
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.embedders.pixels import PixelsEmbedder
from unite_bench.errors import ModelError, UsageError
from unite_bench.items import RGB, Blob, Image, Item, Role, Text, Video

FILE = """
import numpy as np
import unite_bench as ub

class Small(ub.Embedder):
    card = ub.EmbedderCard(name="small", modalities={"text"}, dim=2)
    def embed(self, items, role):
        return np.ones((len(items), 2))
"""


def picture(colour: tuple[int, int, int]) -> Image:
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.new("RGB", (8, 8), colour).save(buffer, format="PNG")
    return Image(Blob(buffer.getvalue(), "picture"))


class Blink:
    """A clip of two frames: black, then white."""

    name = "blink"
    digest = "ab" * 32

    def times(self) -> np.ndarray:
        return np.array([0.0, 0.5])

    def frame(self, index: int) -> RGB:
        return np.full((4, 4, 3), 255 * index, dtype=np.uint8)


class Toy(Embedder):
    """Text along the first axis, pictures along the second and third by brightness; remembers what it was given."""

    card = EmbedderCard(name="toy", modalities={"text", "image"}, dim=3)

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        from unite_bench import media

        rows = []
        for item in items:
            (part,) = item.parts
            if isinstance(part, Text):
                self.texts.append(part.text)
                rows.append([2.0, 0.0, 0.0])
            else:
                assert isinstance(part, Image)
                light = media.pixels(part).mean() / 255
                rows.append([0.0, 3 * light, 3 * (1 - light)])
        return np.array(rows)


def test_sum_fusion_adds_unit_vectors_of_the_parts() -> None:
    item = Item((picture((255, 255, 255)), Text("words")), instruction="Do this.")
    model = Toy()
    vector = FusedEmbedder(model).embed([item], "query")[0]
    np.testing.assert_allclose(vector, np.array([1.0, 1.0, 0.0]) / np.sqrt(2), atol=1e-6)
    assert model.texts == ["Do this.\nwords"], "the instruction joins the text part by a newline"


def test_a_clip_is_the_mean_of_its_frames_and_weighs_as_one_part() -> None:
    clip = Video(Blink(), indices=(0, 1, 1))
    alone, fused = FusedEmbedder(Toy()).embed([Item((clip,)), Item((clip, Text("a")))], "query")
    mean = np.array([0.0, 2.0, 1.0]) / np.linalg.norm([2.0, 1.0])
    np.testing.assert_allclose(alone, mean, atol=1e-6)
    np.testing.assert_allclose(fused, (mean + np.array([1.0, 0.0, 0.0])) / np.sqrt(2), atol=1e-6)


def test_the_record_names_the_fusion_and_undeclared_parts_stay_undeclared() -> None:
    assert FusedEmbedder(Toy()).card.modalities == {"text", "image", "video", "image+text", "text+video", "image+video"}
    assert FusedEmbedder(Toy()).card.fusion == "sum, mean-frames"
    assert FusedEmbedder(HashedTextEmbedder()).card.modalities == HashedTextEmbedder.card.modalities


def test_names_files_and_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one_model.py").write_text(FILE)
    (tmp_path / "broken_model.py").write_text("import nothing_of_that_name")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert registry.load_embedder("random:7").card.name == "random-7"
    for spec in (f"{tmp_path}/one_model.py", f"{tmp_path}/one_model.py:Small", "one_model:Small"):
        assert registry.load_embedder(spec).card.name == "small"
    for spec, error, message in (
        ("randon", UsageError, "did you mean 'random'"),
        ("one_model:Smal", UsageError, "has no class 'Smal'; it has Small"),
        (f"{tmp_path}/lost.py", UsageError, "does not exist"),
        (f"{tmp_path}/broken_model.py", ModelError, "nothing_of_that_name"),
        ("constant:extra", UsageError, "constant:extra"),
        ("json:JSONDecoder", ModelError, "not a subclass"),
    ):
        with pytest.raises(error, match=message):
            registry.load_embedder(spec)


def test_two_plugins_of_one_name_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [EntryPoint("theirs", f"{module}:Class", registry.GROUP) for module in ("one", "two")]
    monkeypatch.setattr(registry, "entry_points", lambda group: twice)
    with pytest.raises(UsageError, match="registered twice"):
        registry.names()


def test_a_broken_plugin_breaks_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [EntryPoint("theirs", "not_installed_anywhere:Class", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: broken)
    assert registry.load_embedder("random").card.name == "random"
    with pytest.raises(ModelError, match="not_installed_anywhere"):
        registry.load_embedder("theirs")


def test_listing_and_loading_a_card_import_no_torch() -> None:
    import subprocess

    code = (
        "import sys; from unite_bench.registry import load_embedder; load_embedder('random').card; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_embedder_keeps_its_arguments_through_pickling() -> None:
    model = RandomEmbedder("5")
    assert model.arguments == (("0", "'5'"),)
    assert pickle.loads(pickle.dumps(model)).arguments == model.arguments


def test_cards_hold_canonical_modalities() -> None:
    assert EmbedderCard(name="x", modalities={"text+image"}, dim=1).modalities == {"image+text"}


def test_baselines_look_only_at_what_they_say() -> None:
    red, blue = picture((255, 0, 0)), picture((0, 0, 255))
    shown = PixelsEmbedder().embed([Item((red,)), Item((red, Text("a"))), Item((blue,))], "query")
    np.testing.assert_array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[0], shown[2])
    read = HashedTextEmbedder().embed(
        [Item((Text("a cat"),)), Item((red, Text("a cat"))), Item((Text("?!"),))], "query"
    )
    np.testing.assert_array_equal(read[0], read[1])
    assert read[2].any(), "a text without words still has a direction"
