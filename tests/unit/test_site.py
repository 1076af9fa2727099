"""The site without a browser: what is collected, what pages are told, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unite_bench import results
from unite_bench.cli import app, comparing, reporting  # noqa: F401  (importing registers commands)
from unite_bench.embedders.baselines import ConstantEmbedder, RandomEmbedder
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.errors import UsageError
from unite_bench.evaluation import evaluate
from unite_bench.report.comparison import task_differences
from unite_bench.report.leaderboard import by_group
from unite_bench.report.pairing import paired
from unite_bench.report.site import write_site
from unite_bench.report.site.board import parameters
from unite_bench.report.site.collect import Collected, collect, kinds, slugs
from unite_bench.report.site.drawing import radar, stack, whisker
from unite_bench.report.site.queries import best_places, read_queries
from unite_bench.report.site.task_page import BINS, MEANING, question
from unite_bench.results import Result, committed_root
from unite_bench.spec.catalogue import load_suite, tasks_of
from unite_bench.spec.measures import WITH_CUTOFF, WITHOUT_CUTOFF
from unite_bench.spec.reader import read_task

Found = list[tuple[Path, Result]]
TASK = """\
name: {name}
version: 1
granularity: coarse
source: {{kind: files, path: rows.jsonl}}
queries: {{id: id, modality: text, text: q}}
candidates: {{id: id, modality: text, text: c}}
qrels: by-row
metrics: [hit@1, mrr]
primary: hit@1
slices: [kind]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks over one table, in files."""
    folder = tmp_path_factory.mktemp("site")
    words = ["red fox", "blue whale", "green frog", "grey wolf", "brown bear", "white owl"]
    rows = [{"id": f"r{n}", "q": w, "c": f"the {w}", "kind": "<b>" if n % 2 else "a"} for n, w in enumerate(words)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("zoo", "wild"):
        (folder / f"{name}.yaml").write_text(TASK.format(name=name))
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Found:
    """Results of three embedders on both."""
    out: Found = []
    for name in ("zoo", "wild"):
        task = read_task(folder / f"{name}.yaml")
        for embedder in (HashedTextEmbedder(), RandomEmbedder(), ConstantEmbedder()):
            result = evaluate(embedder, task, store=folder / "store")
            out.append((results.write(result, folder / "results"), result))
    return out


@pytest.fixture(scope="module")
def collected(folder: Path, found: Found) -> Collected:
    return collect(found, [str(folder / "zoo.yaml"), str(folder / "wild.yaml")])


def test_results_of_unknown_tasks_are_left_out_by_name(folder: Path, found: Found) -> None:
    assert collect(found, [str(folder / "zoo.yaml")]).left_out == ("wild@1",)
    with pytest.raises(UsageError, match="no results for these tasks"):
        collect(found)


def test_partial_results_are_not_shown(folder: Path, found: Found) -> None:
    path, result = found[0]
    partial = (path, Result({**result.record, "partial": True}, result.environment))
    zoo = [str(folder / "zoo.yaml")]
    assert result.embedder not in collect([partial, *found[1:]], zoo).embedders
    beside = collect([*found, partial], zoo)
    assert beside.standings[result.embedder]["zoo@1"].result is result


def test_kinds_are_the_columns_of_the_table_by_group() -> None:
    suite = load_suite("embedded-sanity")
    tasks = tasks_of(suite)
    shipped = results.read_all([committed_root()])
    table = by_group(suite, tasks, [r for r in shipped if r.record["task"]["label"] in {t.label for t in tasks}])
    assert list(kinds(tasks)) == list(table.columns[: len(kinds(tasks))])


def test_pages_have_names_that_differ_on_every_file_system() -> None:
    named = slugs(["a/b", "a:b", "A-B", "a-b", "..", "ü" * 200, "x" * 200, "x" * 201])
    assert len({slug.lower() for slug in named.values()}) == len(named)
    assert all(len(slug) < 100 and not slug.startswith(".") and "/" not in slug for slug in named.values())


def test_every_measure_has_a_meaning() -> None:
    assert set(MEANING) == {*WITH_CUTOFF, *WITHOUT_CUTOFF}


def test_a_shared_place_is_spread_over_the_places_it_fills() -> None:
    first = {"above": [0], "tied": [1], "pool": 500}
    shared = {"above": [4, 90], "tied": [10, 1], "pool": 500}  # places 5 to 14
    lost = {"above": [], "tied": [], "pool": 500}
    assert best_places([first]) == (1.0, 0.0, 0.0, 0.0, 0.0)
    assert best_places([shared]) == (0.0, 0.1, 0.5, 0.4, 0.0)
    assert best_places([first, lost]) == (0.5, 0.0, 0.0, 0.0, 0.5)


def test_comparisons_are_those_of_the_compare_command(collected: Collected, found: Found) -> None:
    names = ["hashed-text", "constant"]
    queries = read_queries(collected)
    pair = next(pair for pair in queries.tasks if set(pair) == set(names))
    expected = task_differences(paired([path for path, _ in found], pair, ["zoo@1", "wild@1"]), pair, "holm")
    assert list(queries.tasks[pair]) == expected
    assert expected[0].difference != 0.0


def test_the_question_names_what_is_given_and_what_is_sought(found: Found) -> None:
    assert question(found[0][1]) == "Given a text, find what belongs to it among 6 texts."


def test_charts_say_in_words_what_they_draw() -> None:
    assert 'aria-label="50.0, 95 % interval 40.0 to 60.0, chance 10.0"' in whisker(
        {"value": 0.5, "low": 0.4, "high": 0.6, "chance": 0.1}
    )
    assert "1: 25.0 %, 2 to 5: 75.0 %" in stack((0.25, 0.75, 0.0, 0.0, 0.0), BINS)


def test_a_radar_leaves_a_gap_where_a_value_is_missing() -> None:
    whole, broken = radar("abc", (1.0, 0.5, -0.2), (1.0, None, 0.5)).outlines
    assert whole.startswith("M0.0,-110.0L")
    assert whole.endswith("Z")
    assert (broken.count("M"), broken.endswith("Z")) == (1, False)
    assert len(radar("abc", (1.0, None, 0.5)).points) == 2


def test_sizes_are_read_as_papers_write_them() -> None:
    assert [parameters(text) for text in ("7B", "1.5 B", "300M", "unknown", None)] == [7e9, 1.5e9, 3e8, None, None]


def test_the_site_is_the_same_in_every_byte_and_replaces_an_older_one(folder: Path, found: Found) -> None:
    tasks = [str(folder / "zoo.yaml"), str(folder / "wild.yaml")]
    sites = [folder / "one", folder / "two"]
    for site in sites:
        write_site(found, site, tasks=tasks)
    (sites[0] / "tasks" / "gone.html").write_text("of an older site")
    write_site(found, sites[0], tasks=tasks)
    read = [{p.relative_to(site): p.read_bytes() for p in site.rglob("*") if p.is_file()} for site in sites]
    assert read[0] == read[1]
    assert "<b>" not in (sites[0] / "tasks" / "zoo-1.html").read_text().partition("<h2>By kind</h2>")[2]


def test_a_folder_with_something_else_is_not_written_to(tmp_path: Path, found: Found) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(UsageError, match="something other than a site"):
        write_site(found, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_command_writes_a_site_and_says_what_was_left_out(folder: Path, found: Found, tmp_path: Path) -> None:
    line = ["leaderboard", "--results", str(folder / "results"), "--task", str(folder / "zoo.yaml")]
    done = CliRunner().invoke(app, [*line, "--site", str(tmp_path / "site"), "--no-queries"])
    assert done.exit_code == 0, done.output
    assert "3 embedders, 1 tasks, 3 results, 0 comparisons" in done.output
    assert "left out, for want of their task files: wild@1" in done.output
    assert (tmp_path / "site" / "index.html").is_file()
