"""Several captions of one medium: the example worked by hand in docs/captions.md, and what else the rules promise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from replica import COLOURS, png

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.errors import DataError, SpecError
from unite_bench.evaluation import evaluate
from unite_bench.items import Image, Item, Role, Text
from unite_bench.sources.build import build
from unite_bench.spec.model import Task
from unite_bench.spec.reader import parse_task

PAGE = (Path(__file__).parents[2] / "docs" / "captions.md").read_text(encoding="utf-8")
PICTURES = {"A": "red", "B": "green", "C": "blue"}
SIDES = {"T": "{id: id, modality: text, text: captions}", "I": "{id: id, modality: image, image: image}"}


def table(name: str) -> list[list[str]]:
    """The rows of the table of the page that follows a mark, without its head."""
    lines = PAGE.split(f"<!-- {name} -->\n")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


SCORES = {caption: np.array(list(map(float, scores))) for caption, *scores in table("scores")}


class Scripted(Embedder):
    """Gives the scores of the page: pictures are axes, a caption has its scores on them and its rest on a fourth axis."""

    card = EmbedderCard(
        name="scripted", modalities={"text", "image"}, dim=4, role_matters=False, instruction_matters=False
    )

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        return np.stack([self.one(item.parts[0]) for item in items])

    def one(self, part: object) -> np.ndarray:
        if isinstance(part, Text):
            scores = sum(SCORES[word] for word in part.text.split())
            return np.append(scores, np.sqrt(max(0.0, 1 - (scores**2).sum())))
        assert isinstance(part, Image)
        shown = tuple(media.pixels(part)[0, 0].tolist())
        return np.array([float(COLOURS[colour] == shown) for colour in PICTURES.values()] + [0.0])


def task(folder: Path, direction: str, captions: str, more: str = "") -> Task:
    asked, answered = direction.split("→")
    text = f"""
name: flickr-like
version: 1
granularity: coarse
source: {{kind: files, path: rows.jsonl}}
queries: {SIDES[asked]}
candidates: {SIDES[answered]}
qrels: by-row
captions: {captions}
metrics: [hit@1, recall@1, hit@5, recall@5]
primary: hit@1
{more}"""
    return parse_task(text, "flickr.yaml", folder)


def write(folder: Path, rows: Sequence[dict[str, object]]) -> None:
    for picture, colour in PICTURES.items():
        (folder / f"{picture}.png").write_bytes(png(colour))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(params=["lists", "rows"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The pictures of the page, with the captions of each in a list, or each in a row of its own, mixed."""
    if request.param == "lists":
        write(tmp_path, [{"id": p, "image": f"{p}.png", "captions": captions_of(p)} for p in PICTURES])
    else:
        order = [f"{letter}{n}" for n in range(1, 6) for letter in "abc"]
        write(tmp_path, [{"id": c, "image": f"{c[0].upper()}.png", "captions": c} for c in order])
    return tmp_path


def captions_of(picture: str) -> list[str]:
    return [caption for caption in SCORES if caption[0] == picture.lower()]


@pytest.mark.parametrize("row", table("results"), ids=lambda row: f"{row[0]} {row[1]}")
def test_the_example_of_the_page(folder: Path, row: list[str]) -> None:
    direction, captions, queries, candidates, *values = row
    result = evaluate(Scripted(), task(folder, direction, captions))
    data = result.record["data"]
    assert (data["queries"], data["candidates"]) == (int(queries), int(candidates))
    for name, value in zip(("hit@1", "recall@1", "hit@5", "recall@5"), values, strict=True):
        assert result[name] == pytest.approx(float(Fraction(value))), name
    assert result.record["protocol"]["captions"] == captions


def test_the_scores_of_the_page_lie_under_one() -> None:
    """Else the scripted embedder would not give them as cosines."""
    assert len(SCORES) == 15 and all((scores**2).sum() <= 1 for scores in SCORES.values())


def test_captions_are_joined_in_their_order(folder: Path) -> None:
    data = build(task(folder, "T→I", "concatenated"))
    assert [query.text for query in data.queries] == [" ".join(captions_of(picture)) for picture in PICTURES]
    assert [row.text for row in build(task(folder, "I→T", "concatenated")).candidates] == [q.text for q in data.queries]


def test_queries_that_share_a_medium_are_resampled_together(folder: Path) -> None:
    for direction in ("T→I", "I→T"):
        clusters = build(task(folder, direction, "each")).clusters
        assert clusters is not None and sorted(clusters) == sorted("012" * 5)
    assert build(task(folder, "I→T", "any-of")).clusters is None


def test_rules_are_results_of_their_own(folder: Path) -> None:
    digests = {task(folder, "I→T", rule).protocol_digest for rule in ("any-of", "first", "each", "concatenated")}
    assert len(digests) == 4


def test_a_rule_that_makes_no_sense_is_refused(folder: Path) -> None:
    with pytest.raises(SpecError, match="as queries, each one asks: captions: each"):
        task(folder, "T→I", "any-of")
    with pytest.raises(SpecError, match="texts on one side, media on the other"):
        parse_task(
            "name: x\nversion: 1\ngranularity: coarse\nsource: {kind: files, path: a.jsonl}\n"
            "queries: {modality: text, text: a}\ncandidates: {modality: text, text: b}\n"
            "qrels: by-row\ncaptions: first\nmetrics: [hit@1]\nprimary: hit@1\n"
        )


def test_a_list_without_a_rule_names_the_cure(tmp_path: Path) -> None:
    write(tmp_path, [{"id": p, "image": f"{p}.png", "captions": captions_of(p)} for p in PICTURES])
    plain = task(tmp_path, "T→I", "first").model_copy(update={"captions": None}).in_folder(tmp_path)
    with pytest.raises(DataError, match="a list of captions needs `captions`"):
        build(plain)


def test_an_empty_list_or_caption_is_named_with_its_row(tmp_path: Path) -> None:
    write(tmp_path, [{"id": "A", "image": "A.png", "captions": ["a1"]}, {"id": "B", "image": "B.png", "captions": []}])
    with pytest.raises(DataError, match=r"rows.jsonl:2: column 'captions' holds no caption"):
        build(task(tmp_path, "T→I", "first"))
    write(tmp_path, [{"id": "A", "image": "A.png", "captions": ["a1", ""]}])
    with pytest.raises(DataError, match=r"rows.jsonl:1: column 'captions': expected a text"):
        build(task(tmp_path, "T→I", "each"))
    with pytest.raises(DataError, match=r"rows.jsonl:1: a caption that is to be joined"):
        build(task(tmp_path, "T→I", "concatenated"))


def test_judged_captions_belong_to_one_medium(tmp_path: Path) -> None:
    """Where judgements of their own say what is right, the rule is held against them."""
    write(tmp_path, [{"id": p, "image": f"{p}.png", "captions": captions_of(p)[0]} for p in PICTURES])
    judged = task(tmp_path, "T→I", "each").model_dump(by_alias=True) | {"qrels": {"file": "qrels.tsv"}}
    reading = Task.model_validate(judged).in_folder(tmp_path)
    (tmp_path / "qrels.tsv").write_text("A\tA\t1\nB\tB\t1\nC\tC\t1\n")
    assert evaluate(Scripted(), reading)["hit@1"] == 1.0
    (tmp_path / "qrels.tsv").write_text("A\tA\t1\nA\tB\t1\nB\tB\t1\nC\tC\t1\n")
    with pytest.raises(DataError, match="text 'A' is judged right for 2 media"):
        build(reading)
    with pytest.raises(ValueError, match="captions: first needs qrels: by-row"):
        Task.model_validate(judged | {"captions": "first"})
