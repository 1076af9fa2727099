"""The one door: names, files and modules; fusion by its declared rule; what the baselines look at and what they do not."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from typer.testing import CliRunner

from unite_bench import cli, registry
from unite_bench.cli import inspecting  # noqa: F401  (registers `list`)
from unite_bench.embedders.arguments import typed
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


def test_two_plugins_of_one_name_are_an_error_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [EntryPoint("theirs", f"{module}:Class", registry.GROUP) for module in ("one", "two")]
    shadow = EntryPoint("constant", "theirs:Constant", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [*twice, shadow])
    with pytest.raises(ModelError, match="registered twice: one:Class and two:Class"):
        registry.load_embedder("theirs")
    assert registry.load_embedder("constant").card.name == "constant", "a plugin cannot take a built-in name"
    assert set(registry.problems()) & {"theirs", "constant (plugin)"} == {"theirs", "constant (plugin)"}


def test_a_broken_plugin_is_listed_with_its_reason_and_breaks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raising_plugin.py").write_text("raise RuntimeError('no licence file')")
    (tmp_path / "leaving_plugin.py").write_text("import sys; sys.exit('needs a card')")
    monkeypatch.syspath_prepend(str(tmp_path))
    targets = {"lost": "not_installed_anywhere:Class", "raising": "raising_plugin:Class", "empty": "json:Missing"}
    targets["leaving"] = "leaving_plugin:Class"
    points = [EntryPoint(name, target, registry.GROUP) for name, target in targets.items()]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert registry.load_embedder("random").card.name == "random"
    with pytest.raises(ModelError, match="RuntimeError: no licence file"):
        registry.load_embedder("raising")
    with pytest.raises(ModelError, match=r"leaving_plugin.py: cannot be loaded: SystemExit: needs a card"):
        registry.load_embedder(str(tmp_path / "leaving_plugin.py"))
    listed = CliRunner().invoke(cli.app, ["list"])
    assert listed.exit_code == 0, listed.output
    lines = {line.split()[0]: line for line in listed.output.splitlines() if "BROKEN" in line}
    assert lines.keys() == {"lost", "raising", "empty", "leaving"}
    assert "No module named 'not_installed_anywhere'" in lines["lost"]
    assert "RuntimeError: no licence file" in lines["raising"]
    assert "SystemExit: needs a card" in lines["leaving"]


class Takes(Toy):
    def __init__(
        self,
        name: str,
        count: int = 1,
        share: float = 0.5,
        fast: bool = False,
        folder: Path | None = None,
        mode: Literal["sum", "mean"] = "sum",
        sizes: tuple[int, ...] = (),
        unannotated=3,  # type: ignore[no-untyped-def]
        **more: object,
    ) -> None:
        super().__init__()
        self.taken = (name, count, share, fast, folder, mode, sizes, unannotated)


def test_arguments_are_typed_by_the_signature() -> None:
    given = ["count=2", "share=1e-3", "fast=yes", "folder=here", "mode=mean", "sizes=1,2", "unannotated=4"]
    spec = f"{__name__}:Takes"
    model = registry.load_embedder(spec, ["name=a=b", *given])
    assert isinstance(model, Takes)
    assert model.taken == ("a=b", 2, 0.001, True, Path("here"), "mean", (1, 2), 4)
    assert dict(model.arguments)["sizes"] == "[1, 2]", "they are in the fingerprint and in the record"
    assert typed(Takes, ["folder=none"]) == {"folder": None}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["cuont=2"], "has no argument 'cuont'; did you mean 'count'"),
        (["more=2"], "has no argument 'more'"),
        (["count=two"], "count is a whole number, not 'two'"),
        (["share=half"], "share is a number"),
        (["fast=perhaps"], "true or false"),
        (["mode=maen"], "one of sum, mean, not 'maen'; did you mean 'mean'"),
        (["count"], "not of the form key=value"),
        (["count=1", "count=2"], "given twice"),
    ],
)
def test_a_wrong_argument_says_what_would_be_right(given: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        typed(Takes, given)


def test_arguments_for_a_model_that_takes_none_are_refused() -> None:
    with pytest.raises(UsageError, match="ConstantEmbedder has no argument 'dim'; it has none"):
        registry.load_embedder("constant", ["dim=3"])
    with pytest.raises(UsageError, match="has no argument 'sead'; did you mean 'seed'"):
        registry.load_embedder("random", ["sead=3"])
    with pytest.raises(UsageError, match="multiple values"):
        registry.load_embedder("random:3", ["seed=4"])


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
