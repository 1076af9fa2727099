"""`command:LINE`: the example of the documentation passes the kit; a process that dies, hangs or babbles is named."""

from __future__ import annotations

import pickle
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unite_bench import media
from unite_bench.embedders.command import CommandEmbedder
from unite_bench.embedders.conversation import MOST_DEATHS
from unite_bench.embedders.handed_over import handed_over
from unite_bench.encode.run import Encoder
from unite_bench.errors import ItemFailed, ModelError, ModelUnavailable, UsageError
from unite_bench.items import Blob, File, Image, Item, Text
from unite_bench.registry import load_embedder
from unite_bench.testing import material, run_checks

DOCS = Path(__file__).parents[2] / "docs" / "adapters.md"
EXAMPLE = re.search(r"<!-- file: command_embedder.py -->\n```python\n(.*?)```", DOCS.read_text(), re.DOTALL)


def items(*texts: str) -> list[Item]:
    return [Item((Text(text),), id=text) for text in texts]


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., CommandEmbedder]:
    """The documented embedder as a command, with a line of its `embed` put in."""

    def make(line: str = "pass", **how: float) -> CommandEmbedder:
        assert EXAMPLE is not None
        script = tmp_path / "command_embedder.py"
        script.write_text(EXAMPLE[1].replace("def embed(item):\n", f"def embed(item):\n    {line}\n"))
        return CommandEmbedder(f"{sys.executable} {shlex.quote(str(script))}", **how)

    return make


def test_the_documented_embedder_passes_the_kit(command: Callable[..., CommandEmbedder]) -> None:
    failed = {name: v.said for name, v in run_checks(command()) if v.status == "failed"}
    assert not failed


def test_its_vectors_are_its_own_and_it_survives_pickling(command: Callable[..., CommandEmbedder]) -> None:
    model = command()
    rows = model.embed(items("a b", "c", "a a b"), "query")
    assert rows.shape == (3, 65)
    assert (rows[:, 1:].sum(axis=1) == [2, 1, 3]).all()
    again = pickle.loads(pickle.dumps(model))
    assert (again.embed(items("c"), "query") == rows[1]).all()


def test_by_name_and_with_arguments(command: Callable[..., CommandEmbedder]) -> None:
    line = shlex.join(command().process.command)
    model = load_embedder(f"command:{line}", ["seconds=50"])
    assert isinstance(model, CommandEmbedder)
    assert (model.card.name, model.seconds) == ("hashed-words", 50.0)
    with pytest.raises(UsageError, match="needs a command line"):
        load_embedder("command", ["line="])


def test_a_dead_process_is_named_with_its_last_words(command: Callable[..., CommandEmbedder]) -> None:
    model = command("sys.exit('out of memory, sorry')")
    with pytest.raises(
        ModelError, match=r"command_embedder.py.* ended with code 1; its last words: out of memory, sorry"
    ):
        model.embed(items("a"), "query")
    with pytest.raises(ModelUnavailable, match="cannot be started"):
        CommandEmbedder("no-such-program-anywhere").card


def test_the_item_that_kills_it_is_found_and_the_rest_is_kept(
    command: Callable[..., CommandEmbedder], tmp_path: Path
) -> None:
    model = command("if 'poison' in item['parts'][0]['text']: import os; os._exit(9)")
    some = items(*(f"text {n}" for n in range(11)), "poison")
    encoded = Encoder(model, tmp_path / "store").encode(some, "query", on_error="skip")
    assert list(encoded.failed) == ["poison"]
    assert "ended with code 9" in encoded.failed["poison"]
    assert encoded.usable.sum() == 11


def test_a_process_that_always_dies_is_given_up(command: Callable[..., CommandEmbedder], tmp_path: Path) -> None:
    model = command("import os; open('deaths', 'a').write('x'); os._exit(9)")
    script = Path(model.process.command[1])
    script.write_text(script.read_text().replace("'deaths'", repr(str(tmp_path / "deaths"))))
    with pytest.raises(ModelUnavailable, match="ended with code 9"):
        Encoder(model, tmp_path / "store").encode(items(*"abcdefghijklmnopqrst"), "query", on_error="skip")
    assert len((tmp_path / "deaths").read_text()) == MOST_DEATHS


def test_a_process_that_hangs_is_ended(command: Callable[..., CommandEmbedder], tmp_path: Path) -> None:
    model = command("import time; time.sleep(60)")
    assert model.card.name == "hashed-words", "it has come up"
    model.seconds = 0.5
    with pytest.raises(ModelUnavailable, match=r"no answer in 0\.5 s"):
        Encoder(model, tmp_path / "store").encode(items("a", "b"), "query", on_error="skip")


def test_what_it_refuses_is_an_error_of_the_item(command: Callable[..., CommandEmbedder], tmp_path: Path) -> None:
    model = command("if item['parts'][0]['text'] == 'x': raise ValueError('no x, please')")
    with pytest.raises(ItemFailed, match=r"'x'.*no x, please"):
        Encoder(model, tmp_path / "store").encode(items("a", "x", "b"), "query")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("print('Loading weights'); sys.stdout.flush()", "wrote 'Loading weights', which is not the protocol"),
        ("print('[1]'); sys.stdout.flush()", "which does not repeat the question's id 2"),
        ("""print('{"id": 1}'); sys.stdout.flush()""", "does not repeat the question's id 2"),
        ("""print('{"id": 2, "bytes": "4"}'); sys.stdout.flush()""", "answered bytes='4'"),
        (
            """print('{"id": 2, "bytes": 4}' + chr(10) + 'abcd', end=''); sys.stdout.flush(); sys.exit()""",
            "holds no tensor 'vectors'",
        ),
    ],
)
def test_what_is_not_the_protocol_is_said(command: Callable[..., CommandEmbedder], line: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        command(line).embed(items("a"), "query")


def test_an_answer_is_never_taken_for_that_of_a_later_question(command: Callable[..., CommandEmbedder]) -> None:
    model = command("if item['parts'][0]['text'] == 'x': print('thinking'); sys.stdout.flush()")
    with pytest.raises(ModelUnavailable, match="wrote 'thinking'"):
        model.embed(items("x"), "query")
    rows = model.embed(items("a b c"), "query")
    assert rows[0, 1:].sum() == 3, "not the answer for x, which was still to be read"


def test_another_protocol_or_a_wrong_card_is_an_error(command: Callable[..., CommandEmbedder]) -> None:
    for old, new, message in (
        ('"protocol": 1, "card"', '"protocol": 2, "card"', "speaks protocol 2"),
        ('"dim": 65,', "", "its card is not right: KeyError: 'dim'"),
        ('"role_matters"', '"role_mattters"', "unknown keys: role_mattters"),
        ('"modalities": ["text"]', '"modalities": "text"', "set of names"),
    ):
        model = command()
        script = Path(model.process.command[1])
        script.write_text(script.read_text().replace(old, new))
        with pytest.raises(ModelError, match=message):
            model.card


def test_an_edited_script_is_another_embedder(command: Callable[..., CommandEmbedder], tmp_path: Path) -> None:
    before = Encoder(command(), tmp_path).fingerprint
    assert Encoder(command(), tmp_path).fingerprint == before
    assert Encoder(command("item = dict(item)"), tmp_path).fingerprint != before


def test_media_are_handed_over_as_the_harness_decodes_them(tmp_path: Path) -> None:
    exif = material.encoded(material.drawn(40, 20, 1), "JPEG", quality=95)
    picture, clip = Image(Blob(exif)), material.items("video")[0].parts[0]
    told = handed_over(Item((picture, clip, Text("t")), instruction="Do."), tmp_path)
    assert told["instruction"] == "Do."
    image, video, text = told["parts"]
    assert text == {"kind": "text", "text": "t"}
    assert np.array_equal(media.pixels(Image(File(Path(image["path"])))), media.pixels(picture))
    shown = media.frames(clip)  # type: ignore[arg-type]
    assert video["times"] == shown.times.tolist()
    for path, frame in zip(video["frames"], shown.pixels, strict=True):
        assert np.array_equal(media.pixels(Image(File(Path(path)))), frame)
