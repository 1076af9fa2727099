"""Embedders with several vectors an item: from the list that `embed` returns to the record, and what is refused."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.fusion import FusedEmbedder
from unite_bench.embedders.oracle import OracleEmbedder
from unite_bench.encode.run import Encoder
from unite_bench.errors import ItemFailed, ModelError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.items import Item, Text
from unite_bench.protocol import Settings
from unite_bench.rank.maxsim import MOST_QUERY_TOKENS, Tokens
from unite_bench.registry import load_embedder
from unite_bench.sources.build import build
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.model import Task
from unite_bench.testing import material, run_checks

DOCS = Path(__file__).parents[2] / "docs" / "adapters.md"
WORDS = DOCS.read_text().split("<!-- file: words.py -->\n```python\n")[1].split("```")[0]


@pytest.fixture
def words(tmp_path: Path) -> Embedder:
    """The embedder of docs/adapters.md."""
    file = tmp_path / "words.py"
    file.write_text(WORDS)
    return load_embedder(str(file))


@pytest.fixture
def task(tmp_path: Path) -> Task:
    """Five texts, each asked for by its last two words."""
    rows = [
        {"id": str(n), "asked": " ".join(t.split()[-2:]), "text": t} for n, t in enumerate(material.TEXTS) if n != 2
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = tmp_path / "task.yaml"
    file.write_text(
        "name: last-words\nversion: 1\ngranularity: coarse\nsource: {kind: files, path: rows.jsonl}\n"
        "queries: {modality: text, text: asked, id: id}\ncandidates: {modality: text, text: text, id: id}\n"
        "qrels: by-row\nmetrics: [hit@1, mrr]\nprimary: hit@1\n"
    )
    return load_task(str(file))


class Counted(Embedder):
    """`tokens` equal tokens for everything, one more for a candidate: whatever it scores above chance is a fault."""

    card = EmbedderCard(
        name="constant-tokens", modalities={"text"}, dim=3, similarity="maxsim", instruction_matters=False
    )

    def __init__(self, tokens: int = 2):
        self.tokens = tokens

    def embed(self, items, role):  # type: ignore[no-untyped-def]
        return [np.ones((self.tokens + (role == "candidate") * n, 3), np.float32) for n, _ in enumerate(items)]


def test_the_embedder_of_the_docs_passes_the_kit_whole_and_is_short(words: Embedder) -> None:
    verdicts = dict(run_checks(words))
    assert {v.status for v in verdicts.values()} == {"passed", "n/a"}, verdicts
    assert verdicts["dimension"].said == "up to 19 tokens of 64 in 1 modalities"
    assert verdicts["long-text"].said == "5000 tokens"
    lines = [line for line in WORDS.split("class ")[1].splitlines() if line.strip()]
    assert len(lines) <= 25


def test_the_docs_run_and_the_record_says_how_it_was_scored(words: Embedder, task: Task, tmp_path: Path) -> None:
    result = evaluate(words, task, store=tmp_path / "store")
    assert result["hit@1"] == 1.0
    assert result.record["embedder"]["similarity"] == "maxsim"
    assert result.record["protocol"]["score"].startswith("maxsim, exact: tokens on a grid of 2^-26")
    counts = result.record["counts"]
    longest = max(len(text.split()) for text in material.TEXTS)
    assert counts["query_tokens"] == {"mean": 2.0, "max": 2} and counts["candidate_tokens"]["max"] == longest
    again = evaluate(words, task, store=tmp_path / "store")
    assert json.dumps(again.record, sort_keys=True) == json.dumps(result.record, sort_keys=True)
    assert result.rows[0]["scores"][0] == pytest.approx(2.0), "both words of the query are in the text"


class OracleTokens(OracleEmbedder):
    """Every candidate has a token of its own; a query has those of its positives."""

    card = replace(OracleEmbedder.card, name="oracle-tokens", similarity="maxsim")

    def told(self, candidates, judged):  # type: ignore[no-untyped-def]
        single, oracle = super().told(candidates, judged), OracleTokens()
        oracle.card, oracle._vectors = replace(self.card, dim=single.card.dim), single._vectors
        return oracle

    def embed(self, items, role):  # type: ignore[no-untyped-def]
        return [np.eye(self.card.dim, dtype=np.float32)[row > 0] for row in super().embed(items, role)]


@pytest.mark.parametrize("name", ["scenes-edit-it2i-100", "scenes-question-it2t-100", "scenes-quartet-colour-100"])
def test_an_oracle_of_tokens_is_perfect_in_corpora_lists_and_quartets(name: str, tmp_path: Path) -> None:
    result = evaluate(OracleTokens(), load_task(name), store=tmp_path)
    assert result.primary == 1.0


def test_equal_tokens_score_chance_and_are_called_collapsed(task: Task, tmp_path: Path) -> None:
    result = evaluate(Counted(), task, store=tmp_path / "store")
    assert result["hit@1"] == pytest.approx(1 / 5, abs=1e-15)
    assert any("collapsed" in warning for warning in result.record["warnings"])


def test_a_query_of_too_many_tokens_is_named_or_counted_as_missed(task: Task, tmp_path: Path) -> None:
    many = Counted(tokens=MOST_QUERY_TOKENS + 1)
    with pytest.raises(ItemFailed, match=r"item '0': 4097 tokens; MaxSim takes queries of at most 4096"):
        evaluate(many, task, store=tmp_path / "store")
    skipped = evaluate(many, task, Settings(on_error="skip", most_failed=1.0), store=tmp_path / "store")
    assert skipped["hit@1"] == 0.0 and skipped.record["counts"]["failed_queries"] == 5


def test_dual_softmax_is_refused_and_the_rule_of_trec_is_not(words: Embedder, task: Task, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dual softmax is of cosine scores"):
        evaluate(words, task, Settings(dual_softmax=0.05), store=tmp_path)
    assert evaluate(words, task, Settings(compat="trec"), store=tmp_path)["hit@1"] == 1.0


def test_the_store_gives_back_the_tokens_bit_by_bit(words: Embedder, task: Task, tmp_path: Path) -> None:
    items = build(task).candidates
    first, second = (Encoder(words, tmp_path / "store").encode(items, "candidate") for _ in range(2))
    assert (first.computed, second.computed, second.reused) == (5, 0, 5)
    told = words.embed([item.bare(True) for item in items], "candidate")
    assert isinstance(second.vectors, Tokens)
    for stored, given in zip(second.vectors.of, told, strict=True):
        np.testing.assert_array_equal(stored, given)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (np.ones((2, 5, 3), np.float32), "list of 2 arrays .* not ndarray"),
        ([np.ones((5, 3), np.float32)], "not 1 of them"),
        ([np.ones((5, 3), np.float32), np.ones(3, np.float32)], r"shape \(3,\) for an item, not \(tokens, dim\)"),
        ([np.ones((5, 3), np.float32), np.ones((0, 3), np.float32)], r"shape \(0, 3\)"),
        ([np.ones((5, 3), np.float32), np.ones((2, 4), np.float32)], r"shape \(2, 4\) for 2 tokens"),
        ([np.ones((5, 3), np.float32), np.full((2, 3), np.nan, np.float32)], "NaN"),
        ([np.ones((5, 3), np.float32), np.zeros((2, 3), np.float32)], "zero vector"),
    ],
)
def test_what_is_not_a_list_of_tokens_is_refused(output: Any, said: str, tmp_path: Path) -> None:
    class Wrong(Counted):
        def embed(self, items, role):  # type: ignore[no-untyped-def]
            return output

    items = [Item((Text(text),), id=text) for text in ("one", "two")]
    with (
        pytest.raises(ModelError, match=said)
        if "NaN" not in said and "zero" not in said
        else pytest.raises(ItemFailed, match=said)
    ):
        Encoder(Wrong(), tmp_path).encode(items, "query")


class Padded(Counted):
    """Keeps the padding of its batch: as many tokens as the longest text has."""

    def embed(self, items, role):  # type: ignore[no-untyped-def]
        longest = max(len(item.text.split()) for item in items)
        rows = [[len(w) for w in item.text.split()] for item in items]
        return [np.array([[w, 1, 0] for w in r + [0] * (longest - len(r))], np.float32) for r in rows]


class Shuffled(Counted):
    def embed(self, items, role):  # type: ignore[no-untyped-def]
        texts = [item.text.split() for item in items][::-1]
        return [np.array([[len(w), 1, n] for n, w in enumerate(t)], np.float32) for t in texts]


class Stacked(Counted):
    def embed(self, items, role):  # type: ignore[no-untyped-def]
        return np.ones((len(items), 4, 3), np.float32)


@pytest.mark.parametrize(("planted", "check"), [(Padded, "batch"), (Shuffled, "order"), (Stacked, "dimension")])
def test_the_kit_catches_faults_of_late_interaction(planted: type[Embedder], check: str) -> None:
    ((_, verdict),) = run_checks(planted(), only=[check])
    assert verdict.status == "failed", verdict


def test_a_fused_item_has_the_tokens_of_its_parts() -> None:
    class Both(Counted):
        card = EmbedderCard(name="both", modalities={"text", "image"}, dim=3, similarity="maxsim")

        def embed(self, items, role):  # type: ignore[no-untyped-def]
            kinds = [part.kind for item in items for part in item.parts]
            return [np.full((2, 3), 1.0 + (kind == "image"), np.float32) for kind in kinds]

    fused = FusedEmbedder(Both())
    (rows,) = fused.embed(material.items("image+text")[:1], "query")
    assert rows.tolist() == [[2.0] * 3] * 2 + [[1.0] * 3] * 2
    (clip,) = fused.embed(material.items("video")[:1], "query")
    assert len(clip) == 2 * material.FRAMES and fused.card.fusion == "all-tokens"


COMMAND = """
import json, sys
import numpy as np
from safetensors.numpy import save

CARD = {"name": "lengths", "dim": 2, "modalities": ["text"], "similarity": "maxsim"}
for line in sys.stdin:
    question = json.loads(line)
    said, data = {}, b""
    if "card" in question:
        said = {"protocol": 1, "card": CARD}
    elif "embed" in question:
        texts = [item["parts"][0]["text"].split() for item in question["embed"]["items"]]
        counts = np.array([len(t) for t in texts]) + WRONG
        data = save({"vectors": np.array([[len(w), 1.0] for t in texts for w in t]), "tokens": counts})
        said = {"bytes": len(data)}
    sys.stdout.buffer.write(json.dumps({"id": question["id"], **said}).encode() + b"\\n" + data)
    sys.stdout.buffer.flush()
"""


def test_a_process_sends_tokens_and_their_numbers(tmp_path: Path) -> None:
    items = [Item((Text(text),)) for text in ("a red circle", "snow")]
    (tmp_path / "right.py").write_text(COMMAND.replace("WRONG", "0"))
    (tmp_path / "wrong.py").write_text(COMMAND.replace("WRONG", "1"))
    embedder = load_embedder(f"command:{sys.executable} {tmp_path / 'right.py'}")
    assert [rows.tolist() for rows in embedder.embed(items, "query")] == [[[1, 1], [3, 1], [6, 1]], [[4, 1]]]
    with pytest.raises(ModelError, match=r"'tokens' must hold the number of rows"):
        load_embedder(f"command:{sys.executable} {tmp_path / 'wrong.py'}").embed(items, "query")


def test_stored_tokens_give_the_numbers_of_the_model_itself(words: Embedder, task: Task, tmp_path: Path) -> None:
    data, folder = build(task), tmp_path / "theirs"
    folder.mkdir()
    about = {"name": "t", "dim": 64, "modalities": ["text"], "tasks": [task.name], "similarity": "maxsim"}
    (folder / "vectors.json").write_text(json.dumps(about))
    for role, items in (("query", data.queries), ("candidate", data.candidates)):
        rows = words.embed([item.bare(True) for item in items], role)
        save_file({item.id: own for item, own in zip(items, rows, strict=True)}, folder / f"{role}.safetensors")
    stored, itself = (evaluate(e, task, store=tmp_path / "s") for e in (load_embedder(f"vectors:{folder}"), words))
    assert stored.record["measures"] == itself.record["measures"]
    assert [row["scores"] for row in stored.rows] == [row["scores"] for row in itself.rows]
    np.save(folder / "query.npy", np.ones((1, 64)))
    (folder / "query.safetensors").unlink()
    with pytest.raises(ModelError, match=r"read from query\.safetensors only"):
        load_embedder(f"vectors:{folder}").embed(data.queries, "query")
