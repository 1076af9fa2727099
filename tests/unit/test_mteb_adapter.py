"""`mteb:NAME` and `as_mteb_model`: mteb and this harness measure the same of the same embedder, in both directions."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoders

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.mteb import as_mteb_model
from unite_bench.embedders.pixels import PixelsEmbedder
from unite_bench.errors import ModelError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.items import Item, Role, Text
from unite_bench.registry import load_embedder
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task
from unite_bench.testing import material

needs_mteb = pytest.mark.skipif(
    importlib.util.find_spec("mteb") is None, reason="mteb is not installed: pip install 'unite-bench[mteb]'"
)
# mteb rounds its nDCG and hit rate to five decimals; those named "exact" are the means of its own scores a query.
NAMED_ALIKE = {"ndcg@10": "exact_ndcg_cut_10", "hit@1": "exact_success_1", "mrr": "mrr_at_1000"}
WORDS = ("red", "blue", "circle", "square", "beside", "above", "small", "large", "two", "no")


def sentence(*seed: int) -> str:
    random = np.random.default_rng(seed)
    return " ".join(random.choice(WORDS, size=int(random.integers(3, 7))))


DOCUMENTS = {f"d{n}": sentence(0, n) for n in range(60)}
QUERIES = {f"q{n}": f"{sentence(0, n)} {WORDS[n % 7]}" for n in range(25)}  # its document and a word more
assert len(set(DOCUMENTS.values())) == len(DOCUMENTS), "equal documents tie, which mteb breaks by their order"
QRELS = {f"q{n}": {f"d{n}": 2, f"d{(7 * n + 30) % 60}": 1} for n in range(25)}


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield tiny_encoders.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """The texts as a BEIR folder."""
    folder = tmp_path_factory.mktemp("texts")
    for name, texts in (("corpus", DOCUMENTS), ("queries", QUERIES)):
        lines = (json.dumps({"_id": key, "title": "", "text": text}) for key, text in texts.items())
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    (folder / "qrels").mkdir()
    rows = (f"{query}\t{document}\t{grade}" for query, of in QRELS.items() for document, grade in of.items())
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    (folder / "task.yaml").write_text(
        "name: sentences\nversion: 1\ngranularity: coarse\nsource: {kind: beir, path: .}\n"
        "queries: {id: _id, modality: text, text: text, instruction: Find the like.}\n"
        "candidates: {id: _id, modality: text, text: full_text}\n"
        "qrels: source\nmetrics: [ndcg@10, hit@1, mrr]\nprimary: ndcg@10\n"
    )
    return load_task(str(folder / "task.yaml"))


def theirs(
    model: Any, category: str = "t2t", prompt: Any = None, **columns: Mapping[str, list[Any]]
) -> dict[str, float]:
    """Scores of `mteb.evaluate` on a task of mteb's own, over the sentences or over the columns given."""
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    class Sentences(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Sentences",
            description="Sentences of a test.",
            type="Retrieval" if category == "t2t" else "Any2AnyRetrieval",
            category=category,
            modalities=["text"] if category == "t2t" else ["image", "text"],
            prompt=prompt,
            dataset={"path": "local", "revision": "none"},
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
            queries = columns.get("queries", {"id": list(QUERIES), "text": list(QUERIES.values())})
            corpus = columns.get("corpus", {"id": list(DOCUMENTS), "text": list(DOCUMENTS.values())})
            data: Any = {"queries": Dataset.from_dict(queries), "corpus": Dataset.from_dict(corpus)}
            judged = {q: dict(of) for q, of in QRELS.items() if q in queries["id"]}
            self.dataset = {"default": {"test": {**data, "relevant_docs": judged, "top_ranked": None}}}
            self.data_loaded = True

        def task_specific_scores(
            self, scores: dict[str, dict[str, float]], *args: Any, **kwargs: Any
        ) -> dict[str, float]:
            means = {name: np.mean([of[name] for of in scores.values()]) for name in ("ndcg_cut_10", "success_1")}
            return {f"exact_{name}": float(mean) for name, mean in means.items()}

    done = mteb.evaluate(model, Sentences(), cache=None, show_progress_bar=False, num_proc=None)
    return dict(done.task_results[0].scores["test"][0])


@needs_mteb
@pytest.mark.parametrize("given", [[], ["instruction=Do: {instruction} Query: "]])
def test_mteb_and_we_measure_the_same(task: Task, bert: Path, given: list[str]) -> None:
    ours = evaluate(load_embedder(f"st:{bert}", given), task)
    scores = theirs(as_mteb_model(load_embedder(f"st:{bert}", given)), prompt={"query": "Find the like."})
    for name, name_there in NAMED_ALIKE.items():
        assert ours[name] == pytest.approx(scores[name_there], abs=1e-6), name
    assert scores["ndcg_at_10"] == pytest.approx(ours["ndcg@10"], abs=5e-6)
    assert 0.05 < ours["hit@1"] < 0.95, "neither all nor nothing, or nothing is shown"


class Noted(Embedder):
    """Keeps what it was shown."""

    card = EmbedderCard(name="noted/items", modalities={"text", "image", "image+text"}, dim=8, similarity="dot")

    def __init__(self) -> None:
        self.shown: list[tuple[Role, Item]] = []

    def embed(self, items: Any, role: Role) -> Any:
        self.shown += [(role, item) for item in items]
        return np.random.default_rng(len(self.shown)).normal(size=(len(items), 8))


@needs_mteb
@pytest.mark.parametrize(
    ("prompt", "expected"),
    [(None, (None, None)), ("Find.", ("Find.", None)), ({"query": "Q.", "document": "D."}, ("Q.", "D."))],
)
def test_a_tasks_prompt_is_the_instruction_of_its_role(prompt: Any, expected: tuple[Any, Any]) -> None:
    model = Noted()
    theirs(as_mteb_model(model), prompt=prompt)
    for role, instruction in zip(("query", "candidate"), expected, strict=True):
        assert {item.instruction for r, item in model.shown if r == role} == {instruction}
    assert {item.text for r, item in model.shown if r == "candidate"} == set(DOCUMENTS.values())


@needs_mteb
def test_a_querys_own_instruction_is_not_glued_to_its_text() -> None:
    model = Noted()
    told = [f"Wish {n}." for n in range(len(QUERIES))]
    queries = {"id": list(QUERIES), "text": list(QUERIES.values()), "instruction": told}
    theirs(as_mteb_model(model), prompt={"query": "The task's."}, queries=queries)
    seen = {(item.text, item.instruction) for role, item in model.shown if role == "query"}
    assert seen == set(zip(QUERIES.values(), told, strict=True))


@needs_mteb
def test_pictures_go_through_mteb_as_well() -> None:
    from PIL import Image as Pillow

    shown = [media.pixels(material.picture(n)) for n in range(6)]
    pictures = [Pillow.fromarray(pixels) for pixels in shown]
    corpus = {"id": [f"d{n}" for n in range(6)], "image": pictures}
    mixed = {"id": [f"q{n}" for n in range(6)], "text": list(material.TEXTS), "image": pictures}
    model = Noted()
    theirs(as_mteb_model(model), "it2i", queries=mixed, corpus=corpus)
    asked = [item for role, item in model.shown if role == "query"]
    assert [item.text for item in asked] == list(material.TEXTS)
    assert all(np.array_equal(media.pixels(i.parts[0]), p) for i, p in zip(asked, shown, strict=True))  # type: ignore[arg-type]
    assert {item.modality for role, item in model.shown if role == "candidate"} == {"image"}
    same = {"id": [f"q{n}" for n in range(6)], "image": pictures}
    assert theirs(as_mteb_model(PixelsEmbedder()), "i2i", queries=same, corpus=corpus)["hit_rate_at_1"] == 1.0


@needs_mteb
def test_what_the_card_lacks_is_an_error() -> None:
    with pytest.raises(ModelError, match="Sentences: pixels does not take text"):
        theirs(as_mteb_model(PixelsEmbedder()))


@pytest.fixture
def in_registry(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model under two names of mteb's registry: with its own prompts, and with the prompt of the task."""
    from mteb.models.instruct_wrapper import InstructSentenceTransformerModel
    from mteb.models.model_implementations import MODEL_REGISTRY
    from mteb.models.model_meta import ModelMeta
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

    about = {"embed_dim": 16, "revision": "abc", "framework": ["Sentence Transformers"], "use_instructions": False}
    plain = {**about, "name": "tiny/plain", "loader": lambda name, **k: SentenceTransformerEncoderWrapper(str(bert))}
    told = {
        **about,
        "name": "tiny/told",
        "use_instructions": True,
        "loader": lambda name, **k: InstructSentenceTransformerModel(
            str(bert), revision=None, instruction_template="Do: {instruction} Query: "
        ),
    }
    for given in (plain, told):
        monkeypatch.setitem(MODEL_REGISTRY, given["name"], ModelMeta.create_empty(given))


@needs_mteb
@pytest.mark.usefixtures("in_registry")
def test_a_model_of_the_registry_has_the_prompts_that_mteb_gives_it(task: Task, bert: Path) -> None:
    plain, told = load_embedder("mteb:tiny/plain"), load_embedder("mteb:tiny/told")
    assert (plain.card.instruction_matters, told.card.instruction_matters) == (False, True)
    assert (plain.card.dim, plain.card.revision, plain.card.modalities) == (16, "abc", {"text"})
    items = [Item((Text(text),), "Find the like.") for text in material.TEXTS]
    library = load_embedder(f"st:{bert}", ["instruction=Do: {instruction} Query: "])
    bare = [item.bare(False) for item in items]
    for role in ("query", "candidate"):
        as_library = np.asarray(library.embed(bare, role))  # its prompts `query: ` and `passage: `
        np.testing.assert_allclose(plain.embed(bare, role), as_library, atol=1e-5)
    np.testing.assert_allclose(told.embed(items, "query"), np.asarray(library.embed(items, "query")), atol=1e-5)
    import mteb

    ours = evaluate(plain, task)
    scores = theirs(mteb.get_model("tiny/plain"))
    for name, name_there in NAMED_ALIKE.items():
        assert ours[name] == pytest.approx(scores[name_there], abs=1e-6), name


@needs_mteb
def test_pictures_and_mixed_items_of_a_model_of_the_registry() -> None:
    model = load_embedder("mteb:mteb/baseline-random-encoder")
    assert model.card.modalities == {"text", "image", "image+text"}
    (fused,), (picture,) = (model.embed(material.items(name)[:1], "query") for name in ("image+text", "image"))
    assert fused.shape == (model.card.dim,) and not np.allclose(fused, picture)
    (words,) = model.embed(material.items("text")[:1], "query")
    np.testing.assert_allclose(fused, (words + picture) / 2, atol=1e-6)
    with pytest.raises(ModelError, match="one picture an item, not 2"):
        model.embed([Item((material.picture(0), material.picture(1)))], "query")
    with pytest.raises(ModelError, match="does not take video"):
        model.embed(material.items("video")[:1], "query")


@needs_mteb
def test_names_and_kinds_that_cannot_be_run_are_named() -> None:
    with pytest.raises(ModelError, match="Did you mean: 'sentence-transformers/all-MiniLM-L6-v2'"):
        load_embedder("mteb:sentence-transformers/all-MiniLM-L6-v3").card
    with pytest.raises(ModelError, match="cross-encoder model, which gives no single vectors"):
        load_embedder("mteb:mteb/baseline-random-cross-encoder").card
    with pytest.raises(UsageError, match="did you mean 'dim'"):
        load_embedder("mteb:any", ["dimm=3"])


@needs_mteb
def test_code_and_pickles_are_refused_although_mteb_would_take_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch
    from mteb.models.model_implementations import MODEL_REGISTRY
    from mteb.models.model_meta import ModelMeta
    from transformers import AutoConfig

    weights = tmp_path / "weights.pt"
    torch.save({"a": torch.ones(2)}, weights)
    about = {"name": "tiny/pickled", "embed_dim": 2, "loader": lambda name, **k: torch.load(weights) and Noted()}
    monkeypatch.setitem(MODEL_REGISTRY, "tiny/pickled", ModelMeta.create_empty(about))
    with pytest.raises(ModelError, match="pickle_weights=true"):
        load_embedder("mteb:tiny/pickled").setup()
    trusting = load_embedder("mteb:tiny/pickled", ["pickle_weights=true"])
    trusting.setup()
    assert ("pickle_weights", "True") in trusting.arguments

    def with_code(name: str, **given: Any) -> Any:
        return AutoConfig.from_pretrained(tmp_path, trust_remote_code=True)  # as loaders of mteb do

    (tmp_path / "config.json").write_text('{"model_type": "odd", "auto_map": {"AutoConfig": "odd.Odd"}}')
    (tmp_path / "odd.py").write_text("raise SystemExit('it ran')")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setitem(
        MODEL_REGISTRY,
        "tiny/coded",
        ModelMeta.create_empty({"name": "tiny/coded", "embed_dim": 2, "loader": with_code}),
    )
    with pytest.raises(ModelError, match=r"mteb:tiny/coded: loading it runs code .*trust_remote_code=true"):
        load_embedder("mteb:tiny/coded").setup()


def test_without_the_library_both_directions_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(ModelError, match=r"pip install 'unite-bench\[mteb\]'"):
        load_embedder("mteb:any").card
    with pytest.raises(ModelError, match=r"pip install 'unite-bench\[mteb\]'"):
        as_mteb_model(Noted())
