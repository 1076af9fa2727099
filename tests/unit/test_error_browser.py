"""The error browser's data: ranks under ties, filters counted by hand, what is refused, text that stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from unite_bench import results
from unite_bench.cli import app, browsing, comparing  # noqa: F401  (importing registers the commands)
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.baselines import RandomEmbedder
from unite_bench.errors import DataError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.items import Blob, Image, Item, Role, Text, Video
from unite_bench.protocol import Settings
from unite_bench.report.browser.filters import FILTERS, counts
from unite_bench.report.browser.outcomes import Rank, first_rank, has_ties, judge, kind_of_wrong, rank_of, versus_of
from unite_bench.report.browser.page import write_browser
from unite_bench.report.browser.piece import hit_ranks
from unite_bench.report.browser.pieces import judged
from unite_bench.report.browser.reading import find, open_results
from unite_bench.spec.model import Task
from unite_bench.spec.reader import read_task

CANDIDATES = 12
SCORES = {  # of each query for the first candidates in order; those not told have 0.1; c4 and c5 always score the same
    "right": ([6, 5, 4, 3, 2], "c0"),
    "second": ([6, 5, 4, 3, 2], "c1"),
    "shared": ([1, 2, 3, 4, 6], "c4"),
    "tied-second": ([6, 1, 2, 3, 5], "c5"),
    "seventh": ([9, 8, 7, 6, 5, 5, 0.2], "c6"),
    "last": ([6, 5, 4, 3, 2, 2, 2, 2, 2, 2, 2], "c11"),
}
TASK = """
name: tiny
version: 1
granularity: coarse
queries: {source: {kind: files, path: queries.jsonl}, id: id, modality: text, text: text}
candidates: {source: {kind: files, path: candidates.jsonl}, id: id, modality: text, text: text}
qrels: {column: positives}
metrics: [hit@1, hit@5, mrr]
primary: hit@1
slices: [kind]
"""


class Planted(Embedder):
    """Candidates are axes, c4 and c5 the same one; a query is its list of scores."""

    def __init__(self, name: str, scores: Mapping[str, Sequence[float]], refused: Sequence[str] = ()):
        self.scores = scores
        self.refused = refused
        self.card = EmbedderCard(name=name, modalities={"text"}, dim=CANDIDATES)

    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return np.stack([self.one(item.text or "", role) for item in items]).astype(np.float32)

    def one(self, text: str, role: Role) -> Any:
        if text in self.refused:
            raise ValueError("not this one")
        if role == "candidate":
            return np.eye(CANDIDATES)[4 if text == "c5" else int(text[1:])]
        told = self.scores[text]
        return np.array([*told, *[0.1] * (CANDIDATES - len(told))])


@pytest.fixture
def task(tmp_path: Path) -> Task:
    write_lines(
        tmp_path / "queries.jsonl",
        [
            {"id": name, "text": name, "positives": [positive], "kind": "even" if n % 2 == 0 else "odd"}
            for n, (name, (_, positive)) in enumerate(SCORES.items())
        ],
    )
    write_lines(tmp_path / "candidates.jsonl", [{"id": f"c{n}", "text": f"c{n}"} for n in range(CANDIDATES)])
    (tmp_path / "tiny.yaml").write_text(TASK)
    return read_task(tmp_path / "tiny.yaml")


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(task: Task, folder: Path, name: str = "one", settings: Settings | None = None, **changed: Any) -> Path:
    scores = {query: told for query, (told, _) in SCORES.items()} | changed.pop("scores", {})
    return results.write(evaluate(Planted(name, scores, **changed), task, settings), folder / "results")


def piece(folder: Path, name: str) -> Any:
    kind, number = name.split("-")
    text = (folder / "data" / f"{name}.js").read_text(encoding="utf-8")
    head = f'piece("{kind}",{number},'
    assert text.startswith(head) and text.endswith(");\n")
    return json.loads(text[len(head) : -3])


def test_ranks_under_ties_are_intervals_with_their_expectation() -> None:
    assert rank_of(above=3, tied=1) == Rank(4, 4, 4.0)
    assert rank_of(above=3, tied=4) == Rank(4, 7, 5.5)
    assert first_rank([5, 2], [1, 3]) == Rank(3, 5, 4.0)
    assert first_rank([2, 2], [3, 3]) == Rank(3, 4, 2 + 4 / 3)  # two of the three tied are positive
    assert first_rank([], []) is None
    assert not has_ties([2, 2], [2, 2]) and has_ties([2, 2], [3, 3]) and has_ties([0, 4], [1, 2])


def test_the_rank_of_the_first_positive_is_what_the_measures_say(task: Task, tmp_path: Path) -> None:
    reading = open_results([run(task, tmp_path)], task)
    for row, read in zip(reading.rows[0], judged(reading)[0], strict=True):
        assert read.rank is not None
        chances = [1 / rank for rank in range(read.rank.best, read.rank.worst + 1)]
        assert row["mrr"] == pytest.approx(np.mean(chances))  # one positive a query


def test_hits_that_tie_share_their_ranks() -> None:
    assert hit_ranks([3, 2, 2, 1], 4, {}, "abcd") == [(1, 1), (2, 3), (2, 3), (4, 4)]
    assert hit_ranks([3, 2, 2], 9, {}, "abc") == [(1, 1), (2, None), (2, None)]  # more may follow
    assert hit_ranks([3, 2, 2], 9, {"c": Rank(2, 5, 3.5)}, "abc") == [(1, 1), (2, 5), (2, 5)]


def test_filters_keep_what_a_reader_would_count(task: Task, tmp_path: Path) -> None:
    reads = judged(open_results([run(task, tmp_path)], task))[0]
    assert [read.outcome for read in reads] == ["right", "near", "tied", "near", "missed", "missed"]
    assert [read.rank and (read.rank.best, read.rank.worst) for read in reads] == [
        (1, 1), (2, 2), (1, 2), (2, 3), (7, 7), (12, 12)
    ]  # fmt: skip
    assert counts(reads) == {"failures": 4, "near": 2, "beyond": 1, "ties": 2, "modality": 0, "lost": 0}


def test_what_is_written_is_what_was_counted(task: Task, tmp_path: Path) -> None:
    write_browser(open_results([run(task, tmp_path)], task), tmp_path / "out")
    index = piece(tmp_path / "out", "index-0")
    [side] = index["sides"]
    kept = {
        key: [name for name, mask in zip(index["ids"], side["masks"], strict=True) if mask >> bit & 1]
        for bit, key in enumerate(index["filters"])
    }
    assert kept == {
        "failures": ["second", "tied-second", "seventh", "last"],
        "near": ["second", "tied-second"],
        "beyond": ["last"],
        "ties": ["shared", "tied-second"],
        "modality": [],
        "lost": [],
    }
    assert index["slices"] == [{"name": "kind", "values": ["even", "odd"] * 3}]
    assert index["versus"] is None and side["values"] == [1, 0, 0.5, 0, 0, 0]
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    shown = dict(re.findall(r'data-filter="(\w+)"[^>]*>\w[\w ]* <b>(\d+)</b>', page))
    assert shown == {"failures": "4", "near": "2", "beyond": "1", "ties": "2"}
    assert "25.0</strong> hit@1, percent" in page  # (1 + 0.5) / 6


def test_a_query_is_shown_with_positives_and_hits(task: Task, tmp_path: Path) -> None:
    write_browser(open_results([run(task, tmp_path)], task), tmp_path / "out")
    data = piece(tmp_path / "out", "queries-0")
    query = data["queries"][list(SCORES).index("tied-second")]
    name = [item["id"] for item in data["items"]]
    [side] = query["sides"]
    assert name[query["item"]] == "tied-second" and query["slices"] == ["odd"]
    [[item, grade, outcome, best, worst, expected]] = side["positives"]
    assert (name[item], grade, outcome, best, worst, expected) == ("c5", 1, "near", 2, 3, 2.5)
    hits = [(name[item], best, worst, right) for item, _, best, worst, right in side["hits"]]
    assert hits[:4] == [("c0", 1, 1, 0), ("c4", 2, 3, 0), ("c5", 2, 3, 1), ("c3", 4, 4, 0)]
    assert len(hits) == 10 and hits[-1] == ("c9", 7, None, 0)  # c10 and c11 score the same
    scores = [score for _, score, *_ in side["hits"]]
    assert scores == sorted(scores, reverse=True) and scores[1] == scores[2]
    assert len(name) == len({(i["id"], str(i["parts"])) for i in data["items"]})  # each item once


def test_two_results_are_won_lost_both_right_or_both_wrong_as_compare_counts(task: Task, tmp_path: Path) -> None:
    assert [versus_of(*pair) for pair in ((1, 0), (0.5, 1), (1, 1), (0, 0), (0.5, 0.5))] == [
        "won", "lost", "both-right", "both-wrong", "both-wrong"
    ]  # fmt: skip
    paths = [run(task, tmp_path), run(task, tmp_path, "two", scores={"second": [1, 9], "shared": [9]})]
    reading = open_results(paths, task)
    write_browser(reading, tmp_path / "out")
    index = piece(tmp_path / "out", "index-0")
    assert index["names"] == ["one", "two"]
    assert index["versus"] == ["both-right", "lost", "won", "both-wrong", "both-wrong", "both-wrong"]
    from unite_bench.report.comparison import task_differences
    from unite_bench.report.pairing import paired

    [difference] = task_differences(paired(paths, ["one", "two"]), ["one", "two"], "holm")
    assert difference.win_tie_loss == (1, 4, 1)
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "one wins <b>1</b>" in page and "two wins <b>1</b>" in page and "Both wrong <b>3</b>" in page


def test_two_checkpoints_of_one_name_are_told_apart(task: Task, tmp_path: Path) -> None:
    path = run(task, tmp_path)
    before = results.read(path)
    after = {**before.record, "embedder": {**before.record["embedder"], "fingerprint": "f" * 64}}
    other = results.write(results.Result(after, {}, results.read_rows(path)), tmp_path / "results")
    reading = open_results([path, other], task)
    assert reading.names == [f"one ({before.record['embedder']['fingerprint'][:6]})", "one (ffffff)"]
    write_browser(reading, tmp_path / "out")
    assert set(piece(tmp_path / "out", "index-0")["versus"]) == {"both-right", "both-wrong"}


def test_what_beat_a_positive_is_named_by_what_it_shares() -> None:
    photo, other = Image(Blob(b"photo")), Image(Blob(b"other"))
    query = Item((photo, Text("at night")), id="q")
    positive = Item((other, Text("a house")), id="p")
    cases = {
        "repeats the query's image": Item((photo,)),
        "has the image of a positive": Item((other, Text("a tree"))),
        "has the text of a positive": Item((Image(Blob(b"third")), Text("a house"))),
        "is of another modality": Item((Text("a tree"),)),
        "shares nothing": Item((Image(Blob(b"third")), Text("a tree"))),
    }
    assert {kind_of_wrong(item, query, [positive]): item for item in cases.values()} == cases
    clip = Video(Blob(b"clip"), indices=(1, 2))
    assert kind_of_wrong(Item((Video(Blob(b"clip")),)), Item((clip,)), [positive]) == "repeats the query's video"


def test_wrong_modality_is_asked_of_everything_that_stands_first() -> None:
    query, positive = Item((Text("q"),), id="q"), Item((Text("p"),), id="p")
    picture, text = Item((Image(Blob(b"x")),), id="x"), Item((Text("t"),), id="t")

    def wrong(above: int, tied: int, first: Sequence[Item], scores: Sequence[float]) -> bool:
        return judge({"above": [above], "tied": [tied], "scores": scores}, query, [positive], first).wrong_modality

    assert wrong(1, 1, [picture, positive], [3, 2])
    assert not wrong(2, 1, [picture, text, positive], [3, 3, 2])  # a text shares the first place
    assert not wrong(0, 2, [picture, positive], [3, 3])
    assert not wrong(0, 1, [positive, picture], [3, 2])


def test_what_could_not_be_encoded_is_not_ranked_and_says_why(task: Task, tmp_path: Path) -> None:
    settings = Settings(on_error="skip", most_failed=0.5)
    reading = open_results([run(task, tmp_path, settings=settings, refused=["right", "c1"])], task)
    reads = judged(reading)[0]
    assert [read.outcome for read in reads][:3] == ["lost", "lost", "tied"]
    assert counts(reads)["lost"] == 2 and counts(reads)["failures"] == 5
    write_browser(reading, tmp_path / "out")
    data = piece(tmp_path / "out", "queries-0")
    refused, lost = (query["sides"][0] for query in data["queries"][:2])
    assert "not this one" in refused["failed"] and refused["hits"] == []
    [[item, why]] = lost["lost"]
    assert data["items"][item]["id"] == "c1" and "not this one" in why and lost["positives"] == []
    assert 'data-filter="lost"' in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_other_data_versions_and_results_are_refused(task: Task, tmp_path: Path) -> None:
    path = run(task, tmp_path)
    with pytest.raises(UsageError, match=r"unknown task 'tiny'.*give the file with --task"):
        open_results([path])
    with pytest.raises(UsageError, match="name one result, or two"):
        open_results([path] * 3, task)
    newer = read_task_again(task, TASK.replace("version: 1", "version: 2"))
    with pytest.raises(DataError, match="the result is of tiny@1, the task file of tiny@2"):
        open_results([path], newer)
    with pytest.raises(UsageError, match="on one task; these are of tiny@1 and tiny@2"):
        open_results([path, run(newer, tmp_path, "two")], task)
    without = run(task, tmp_path, "three", Settings(instructions="none"))
    with pytest.raises(DataError, match="one and three cannot be compared: their protocols differ"):
        open_results([path, without], task)
    write_lines(tmp_path / "candidates.jsonl", [{"id": f"c{n}", "text": f"c{n} now"} for n in range(CANDIDATES)])
    with pytest.raises(DataError, match=r"no longer those of the result .* put the data back, or run the task again"):
        open_results([path], task)


def read_task_again(task: Task, text: str) -> Task:
    (task.folder / "newer.yaml").write_text(text)
    return read_task(task.folder / "newer.yaml")


def test_a_partial_result_is_read_as_such(task: Task, tmp_path: Path) -> None:
    reading = open_results([run(task, tmp_path, settings=Settings(limit=2))], task)
    page = write_browser(reading, tmp_path / "out").read_text(encoding="utf-8")
    assert "Partial: only the first 2 queries were run." in page
    assert piece(tmp_path / "out", "index-0")["ids"] == ["right", "second"]


def test_media_that_are_gone_say_so_and_the_rest_is_shown(tmp_path: Path, pictures: Path) -> None:
    rows = [{"caption": f"picture {n}", "image": f"pictures/{n:02}.png"} for n in range(20)]
    write_lines(tmp_path / "table.jsonl", rows)
    task, path = of_pictures(tmp_path, "table.jsonl")
    write_browser(open_results([path], task), tmp_path / "whole")
    assert "can no longer be opened" not in (tmp_path / "whole" / "index.html").read_text(encoding="utf-8")
    (pictures / "07.png").unlink()
    page = write_browser(open_results([path], task), tmp_path / "out").read_text(encoding="utf-8")
    assert "1 item can no longer be opened" in page and "07.png" in page
    items = piece(tmp_path / "out", "queries-0")["items"]
    [gone] = [item for item in items if "lost" in item]
    assert (gone["id"], gone["parts"]) == ("7", []) and "no file" in gone["lost"]
    shown = [part["picture"] for item in items for part in item["parts"] if part["kind"] == "image"]
    assert shown and all((tmp_path / "out" / "media" / name).exists() for name in shown)
    write_lines(tmp_path / "table.jsonl", rows[:12])
    with pytest.raises(DataError, match=r"no longer hold .* which the result names"):
        open_results([path], task)


def test_without_any_data_the_ids_and_ranks_are_shown(tmp_path: Path, pictures: Path) -> None:
    task, path = of_pictures(tmp_path, "pictures")
    whole = open_results([path], task)
    (pictures / "07.png").unlink()  # its caption is left, and the folder is no whole table any more
    reading = open_results([path], task)
    assert "no medium '07.png'" in reading.unchecked
    assert judged(reading)[0][3].rank == judged(whole)[0][3].rank
    page = write_browser(reading, tmp_path / "out").read_text(encoding="utf-8")
    assert "ids and ranks are all that is shown" in page
    items = piece(tmp_path / "out", "queries-0")["items"]
    assert {"id": "07.png", "parts": []} in items or {"id": "7", "parts": []} in items


def of_pictures(folder: Path, source: str) -> tuple[Task, Path]:
    """A task over the folder `pictures` and a result on it."""
    (folder / "mine.yaml").write_text(
        f"name: mine\nversion: 1\ngranularity: coarse\nsource: {{kind: files, path: {source}}}\n"
        "queries: {modality: text, text: caption}\ncandidates: {modality: image, image: image}\n"
        "qrels: by-row\nmetrics: [hit@1]\nprimary: hit@1\n"
    )
    task = read_task(folder / "mine.yaml")
    return task, results.write(evaluate(RandomEmbedder(), task), folder / "results")


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "שלום <b>עולם</b>",
    "🦊 \u2028 \\u0000",
    "x" * 10_000,
]


def test_text_from_data_is_data_and_never_markup(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "queries.jsonl",
        [{"id": text[:60], "text": text, "positives": [f"c{n}"], "kind": text[:40]} for n, text in enumerate(NASTY)],
    )
    write_lines(tmp_path / "candidates.jsonl", [{"id": f"c{n}", "text": f"c{n}"} for n in range(CANDIDATES)])
    (tmp_path / "nasty.yaml").write_text(TASK + f"title: {json.dumps(NASTY[0])}\n")
    task = read_task(tmp_path / "nasty.yaml")
    path = run(task, tmp_path, NASTY[1], scores={text: [1.0] for text in NASTY})
    page = write_browser(open_results([path], task), tmp_path / "out").read_text(encoding="utf-8")
    assert "<script>alert" not in page and "<img" not in page and "<b>עולם" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    data = piece(tmp_path / "out", "queries-0")
    texts = [data["items"][query["item"]]["parts"][0]["text"] for query in data["queries"]]
    assert texts == NASTY  # whole, not shortened
    index = piece(tmp_path / "out", "index-0")
    assert max(map(len, index["lines"])) == 160 and index["lines"][-1].endswith("…")
    assert max(map(len, piece(tmp_path / "out", "texts-0"))) == 2000


def test_the_pages_are_the_same_bytes_again(task: Task, tmp_path: Path) -> None:
    path = run(task, tmp_path)
    for name in ("a", "b"):
        write_browser(open_results([path], task), tmp_path / name)
    written = [{p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in "ab"]
    assert written[0] == written[1] and len(written[0]) > 6


def test_only_an_older_report_is_written_over(task: Task, tmp_path: Path) -> None:
    reading = open_results([run(task, tmp_path)], task)
    write_browser(reading, tmp_path / "out")
    (tmp_path / "out" / "data" / "queries-9.js").write_text("left over")
    write_browser(reading, tmp_path / "out")
    assert not (tmp_path / "out" / "data" / "queries-9.js").exists()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    with pytest.raises(UsageError, match="is not empty and holds no error browser"):
        write_browser(reading, tmp_path / "thesis")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]


def test_results_are_found_by_embedder_and_task(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, folders = run(task, tmp_path), [tmp_path / "results"]
    assert find(["one"], task, folders) == [path] == find([str(path)], None, [])
    with pytest.raises(UsageError, match="no result of 'two' on tiny@1; there are some of one"):
        find(["two"], task, folders)
    with pytest.raises(UsageError, match=r"no file gone\.json"):
        find(["gone.json"], None, [])
    with pytest.raises(UsageError, match="to name an embedder, say --task"):
        find(["one"], None, folders)
    run(task, tmp_path, settings=Settings(limit=2))
    with pytest.raises(DataError, match="one has several results on tiny@1; give the path of one"):
        find(["one"], task, folders)
    monkeypatch.chdir(tmp_path)
    call = ["report", str(path), "--task", "tiny.yaml", "--out", "out"]
    done = CliRunner().invoke(app, call, catch_exceptions=False)
    assert done.exit_code == 0 and "out/index.html: 6 queries" in done.output
    assert (tmp_path / "out" / "assets" / "base.css").exists()


def test_the_documentation_tells_every_filter() -> None:
    page = Path(__file__).parents[2] / "docs" / "report.md"
    told = re.findall(r"^\| ([\w ]+) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert {of.title for of in FILTERS} <= set(told)
