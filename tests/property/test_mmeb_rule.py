"""`compat: mmeb` against the published rule, computed again from the rows alone; and where the honest mode differs.

If these fail, a score under `--compat mmeb` is not what MMEB's own code gives for the same vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import unite_bench as ub
from unite_bench.evaluation import evaluate
from unite_bench.items import Item, Role
from unite_bench.protocol import Settings
from unite_bench.results import Result
from unite_bench.sources import mmeb
from unite_bench.sources import rows as items_of_rows
from unite_bench.sources.tables import Table
from unite_bench.spec.reader import parse_task

TASK = """
name: toy-mmeb
version: 1
granularity: instruction
source:
  kind: mmeb
  dataset: toy/mmeb
  config: Toy
  parser: image_i2i_vg
  named_by: image+text
  archive: {dataset: toy/media, file: all.zip}
queries: {id: id, modality: text, text: text, instruction: {column: instruction}}
candidates: {id: id, modality: text, text: text}
qrels: {column: positive}
pool: {per-query: pool}
metrics: [hit@1, hit@3, mrr]
primary: hit@1
"""


class Spelled(ub.Embedder):
    """Reads a vector of small whole numbers off the text; "1 0 2 0" and "1 0 02 0" are two texts of one vector."""

    card = ub.EmbedderCard(
        name="spelled", modalities={"text"}, dim=4, similarity="dot", role_matters=False, instruction_matters=False
    )

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        return np.array([vector(item.text or "") for item in items], dtype=np.float32)


def vector(text: str) -> list[int]:
    return [int(number) for number in text.split()]


def spelled(*numbers: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(numbers), min_size=4, max_size=4).map(" ".join)


# Queries of length 2, so that putting them on the grid makes and breaks no tie.
listed_texts = spelled("0", "1", "2", "02").filter(lambda text: any(vector(text)))
candidates = st.tuples(st.sampled_from(["a.png", "b.png"]), listed_texts)
rows_of_mmeb = st.lists(
    st.tuples(spelled("1", "-1"), st.lists(candidates, min_size=1, max_size=8)), min_size=5, max_size=20
)


def table(rows: list[tuple[str, list[tuple[str, str]]]]) -> Table:
    """The rows as published."""
    held = [
        {
            "qry_inst": "<|image_1|>\nFind it.",
            "qry_text": query,
            "qry_img_path": "",
            "tgt_text": [text for _, text in listed],
            "tgt_img_path": [path for path, _ in listed],
        }
        for query, listed in rows
    ]
    return Table("toy", mmeb.COLUMNS, held)


def measured(rows: Any, compat: Any) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmeb, "open_rows", lambda source: table(rows))
        patch.setattr(items_of_rows, "media_folder", lambda task, side: Path())
        return evaluate(Spelled(), parse_task(TASK), Settings(compat=compat))


def published(query: str, listed: list[tuple[str, str]]) -> dict[str, float]:
    """One query under the published rule: names, the first vector of each, a stable sort, hits by name."""
    names = list(dict.fromkeys(f"{path}:{text}" for path, text in listed))
    vectors = np.array([vector(name.partition(":")[2]) for name in names], dtype=np.float32)
    scores = vectors @ np.array(vector(query), dtype=np.float32)
    ranked = [names[n] for n in np.argsort(-scores, kind="stable")]
    place = ranked.index(names[0]) + 1
    return {"hit@1": float(place == 1), "hit@3": float(place <= 3), "mrr": 1 / place}


@given(rows=rows_of_mmeb)
@settings(max_examples=25, deadline=None)
def test_compat_mmeb_is_the_published_rule(rows: Any) -> None:
    result = measured(rows, "mmeb")
    for row, (query, listed) in zip(result.rows, rows, strict=True):
        expected = published(query, listed)
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert result["hit@1"] == pytest.approx(np.mean([published(q, c)["hit@1"] for q, c in rows]), abs=1e-12)
    assert result.record["protocol"]["duplicates"] == "by-name"


@given(rows=rows_of_mmeb)
@settings(max_examples=25, deadline=None)
def test_the_honest_mode_differs_exactly_where_ties_are(rows: Any) -> None:
    """Equal contents under two names are one candidate there, so a copy of the positive is no rival."""
    honest = measured(rows, "none")
    for row, (query, listed) in zip(honest.rows, rows, strict=True):
        scores = {text: int(np.dot(vector(text), vector(query))) for _, text in listed}
        own = listed[0][1]
        rivals = [text for text, score in scores.items() if text != own and score == scores[own]]
        best = scores[own] == max(scores.values())
        assert row["hit@1"] == pytest.approx(best / (1 + len(rivals)), abs=1e-12)
        assert (row["hit@1"] != published(query, listed)["hit@1"]) == (best and bool(rivals))


def test_a_constant_embedder_scores_everything_there_and_chance_here() -> None:
    """Measured of the published code: with equal scores the index 0 stays first."""
    rows = [("1 1 1 1", [("a.png", "1 1 1 " + "0" * n + "1") for n in range(3)])]
    assert measured(rows, "mmeb")["hit@1"] == 1.0
    assert measured(rows, "none")["hit@1"] == pytest.approx(1 / 3)


def test_quotation_marks_are_no_part_of_a_name() -> None:
    quoted = [("1", [("a.png", '"1 1 1"'), ("a.png", "1 1 1"), ("b.png", "1 1 1")])]
    [source] = parse_task(TASK).sources
    held = mmeb._candidates(table(quoted).rows[0], source, "row 1")
    assert [candidate["id"] for candidate in held] == ["a.png:1 1 1", "a.png:1 1 1", "b.png:1 1 1"]
