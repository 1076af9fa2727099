"""Comparisons: what is paired, what is refused and why, and what the tables say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

import unite_bench as ub
from unite_bench import results
from unite_bench.cli import app, comparing  # noqa: F401  (importing registers the command)
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.errors import DataError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.report.comparison import standings, suite_differences, task_differences
from unite_bench.report.comparison_tables import moved_table, standings_table, suite_table, task_table
from unite_bench.report.formats import FORMATS
from unite_bench.report.pairing import Paired, paired
from unite_bench.results import Result
from unite_bench.spec.reader import parse_task


def save(
    root: Path,
    name: str,
    hits: Sequence[float],
    *,
    task: str = "zoo",
    clusters: Sequence[str] | None = None,
    **changed: Any,
) -> Path:
    """A result with these values of hit@1; `changed` sets fields of the record."""
    version, digest = changed.pop("version", 1), changed.pop("digest", "d" * 64)
    protocol = {"task": "p", "instructions": "task", "frames": "controlled", "on_error": "fail", "digest": "p"}
    queries = changed.pop("queries", [f"q{n}" for n in range(len(hits))])
    record = {
        "schema": results.SCHEMA,
        "task": {
            "name": task,
            "label": f"{task}@{version}",
            "granularity": changed.pop("granularity", "coarse"),
            "primary": "hit@1",
        },
        "data": {"digest": digest},
        "embedder": {"name": name, "fingerprint": changed.pop("fingerprint", name)},
        "protocol": protocol | changed.pop("protocol", {}),
        "measures": {"hit@1": {"value": float(np.mean(hits)), "chance": changed.pop("chance", 0.0)}},
        "partial": changed.pop("partial", False),
    }
    assert not changed
    rows = [
        {
            "query": query,
            "cluster": cluster,
            "above": [0 if hit else 3 + n],
            "tied": [1],
            "pool": 100,
            "hit@1": float(hit),
        }
        for n, (query, cluster, hit) in enumerate(zip(queries, clusters or queries, hits, strict=True))
    ]
    return results.write(Result(record, {}, rows), root)


def both(root: Path, embedders: Sequence[str] = ("a", "b"), **kinds: Any) -> list[Paired]:
    return paired(results.paths([root]), embedders, **kinds)


def test_a_paired_task_holds_both_over_the_same_queries(tmp_path: Path) -> None:
    save(tmp_path, "a", [1, 0, 1], clusters=["x", "x", "y"])
    save(tmp_path, "b", [1, 1, 0], clusters=["x", "x", "y"])
    save(tmp_path, "b", [1, 1, 0], task="only-b")
    [task] = both(tmp_path)
    assert (task.label, task.measure, task.clusters) == ("zoo@1", "hit@1", ("x", "x", "y"))
    assert task.values.tolist() == [[1, 1], [0, 1], [1, 0]]
    assert [t.values[0].tolist() for t in both(tmp_path, ("b", "a"))] == [[1, 1]]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"version": 2}, "other versions are other tasks .*a on zoo@1; b on zoo@2"),
        ({"digest": "e" * 64}, "their data differ .digests dddddddddddd and eeeeeeeeeeee"),
        ({"protocol": {"instructions": "none"}}, "protocols differ .p, default protocol and p, no instruction."),
        ({"protocol": {"frames": "native"}}, "protocols differ"),
        ({"protocol": {"task": "other"}}, "protocols differ"),
        ({"queries": ["q0", "q1", "q9"]}, "queries differ .2 queries are in one only, such as 'q2'"),
        ({"queries": ["q0", "q2", "q1"]}, "queries differ .their order differs"),
        ({"clusters": ["x", "x", "y"]}, "different clusters"),
    ],
)
def test_what_is_not_the_same_measurement_is_refused_with_the_cause(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    save(tmp_path, "a", [1, 0, 1])
    save(tmp_path, "b", [1, 1, 0], **changed)
    with pytest.raises(DataError, match=why) as error:
        both(tmp_path)
    assert "run both again" in str(error.value)


def test_other_versions_of_a_task_that_was_not_asked_for_do_not_matter(tmp_path: Path) -> None:
    for name, version in (("a", 1), ("b", 2)):
        save(tmp_path, name, [1, 0, 1])
        save(tmp_path, name, [1, 0, 1], task="other", version=version)
    assert [task.label for task in both(tmp_path, labels=["zoo@1"])] == ["zoo@1"]
    with pytest.raises(DataError, match="other: other versions"):
        both(tmp_path)


def test_missing_partial_and_doubled_results_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "a", [1, 0, 1])
    with pytest.raises(UsageError, match="no results of 'b'; there are some of a"):
        both(tmp_path)
    save(tmp_path, "b", [1, 0, 1], partial=True)
    with pytest.raises(UsageError, match=r"only partial results \(--limit\) of 'b'"):
        both(tmp_path)
    save(tmp_path, "b", [1, 0, 1], task="elsewhere")
    with pytest.raises(UsageError, match="no task has results of a and b"):
        both(tmp_path)
    save(tmp_path, "a", [1, 0, 1], fingerprint="retrained")
    with pytest.raises(DataError, match="a has two different results for zoo@1"):
        both(tmp_path)


def test_rows_from_before_clusters_were_kept_are_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    for name in ("a", "b"):
        path = save(tmp_path, name, [1, 0, 1]).with_suffix(".parquet")
        pq.write_table(pq.read_table(path).drop_columns(["cluster"]), path)
    with pytest.raises(DataError, match="written before rows held their cluster; run the task again"):
        both(tmp_path)


def pair_of(wins: int, losses: int, ties: int) -> tuple[list[int], list[int]]:
    return [1] * wins + [0] * losses + [1] * ties, [0] * wins + [1] * losses + [1] * ties


def test_a_difference_holds_its_parts(tmp_path: Path) -> None:
    for name, hits in zip("ab", pair_of(30, 12, 158), strict=True):
        save(tmp_path, name, hits)
    [difference] = task_differences(both(tmp_path), ["a", "b"], "holm")
    assert difference.difference == pytest.approx(18 / 200)
    assert difference.win_tie_loss == (30, 158, 12)
    assert difference.test.p == difference.corrected == pytest.approx(stats.binomtest(12, 42).pvalue)
    error = np.sqrt((42 - 18**2 / 200) / 200**2)
    assert difference.interval == pytest.approx((0.09 - 1.96 * error, 0.09 + 1.96 * error), abs=0.006)
    assert difference.detectable == pytest.approx(2.8 * error, rel=0.05)
    assert difference.equivalent(0.15) == pytest.approx(stats.norm.cdf(-0.06 / error), abs=0.01)
    [turned] = task_differences(both(tmp_path, ("b", "a")), ["b", "a"], "holm")
    assert turned.interval == pytest.approx((-difference.interval[1], -difference.interval[0]), abs=0.006)


def test_queries_that_share_a_medium_count_once(tmp_path: Path) -> None:
    """The same hits five times over are no more evidence, if the five are captions of one picture."""
    for name, hits in zip("ab", pair_of(30, 12, 158), strict=True):
        save(tmp_path, name, hits)
        save(tmp_path, name, np.repeat(hits, 5), task="captions", clusters=[str(n // 5) for n in range(1000)])
    captions, single = task_differences(both(tmp_path), ["a", "b"], "holm")
    assert captions.test.p == pytest.approx(single.test.p)
    assert captions.interval == pytest.approx(single.interval, abs=0.004)
    assert captions.win_tie_loss == (150, 790, 60)


@pytest.mark.parametrize(("first", "second"), [([1] * 90, [1] * 90), ([0] * 90, [0] * 90), ([1] * 90, [0] * 90)])
def test_no_interval_is_without_width(tmp_path: Path, first: list[int], second: list[int]) -> None:
    save(tmp_path, "a", first)
    save(tmp_path, "b", second)
    tasks = both(tmp_path)
    [of_task] = task_differences(tasks, ["a", "b"], "holm")
    [of_suite] = suite_differences([("s", tasks)], ["a", "b"], "holm")
    for found in (of_task, of_suite):
        assert found.interval[0] <= found.difference <= found.interval[1]
        assert found.interval[1] - found.interval[0] > 0.03 and found.detectable > 0.02
        assert (found.test.p < 1e-3) == (first != second)


def test_an_expected_score_at_chance_does_not_beat_one_that_drew_no_hit(tmp_path: Path) -> None:
    """An embedder that ties everything has 1 / 150 on each query, exactly; one that guesses has no hit in 150 with a
    chance of 37 %. Signs alone would call the difference certain."""
    save(tmp_path, "a", [1 / 150] * 150)
    save(tmp_path, "b", [0] * 150)
    [difference] = task_differences(both(tmp_path), ["a", "b"], "holm")
    assert difference.test.p > 0.3 and difference.interval[0] < 0 < difference.interval[1]


def suite_of(root: Path) -> list[Paired]:
    """Three embedders over two coarse tasks that share their media and one fine task."""
    random = np.random.default_rng(0)
    hardness = random.random(150)
    for task, granularity, chance in (("t2i", "coarse", 0.01), ("i2t", "coarse", 0.01), ("long", "fine", 0.25)):
        for name, skill in (("a", 0.8), ("b", 0.6), ("c", 0.58)):
            hits = hardness + random.normal(0, 0.1, 150) < skill
            save(root, name, hits, task=task, granularity=granularity, chance=chance)
    return both(root, ("a", "b", "c"))


def test_a_suite_is_weighted_as_the_leaderboard_does(tmp_path: Path) -> None:
    tasks = suite_of(tmp_path)
    ab, _, bc = suite_differences([("s", tasks)], ["a", "b", "c"], "holm")
    score = {t.label: (t.values.mean(axis=0) - t.chance) / (1 - t.chance) for t in tasks}
    expected = ((score["i2t@1"] + score["t2i@1"]) / 2 + score["long@1"]) / 2
    assert ab.scores == pytest.approx(tuple(expected[:2])) and bc.scores == pytest.approx(tuple(expected[1:]))
    assert ab.test.p < 0.001 < bc.test.p and ab.corrected >= ab.test.p
    assert ab.win_tie_loss == (3, 0, 0) and ab.other_tasks is None, "one fine task says nothing about fine tasks"
    first, *others = standings(tasks, ["a", "b", "c"])
    assert (first.embedder, first.ranks, first.borda) == ("a", (1, 1), 1.0)
    assert [s.ranks for s in others] == [(2, 3), (2, 3)]


def test_shared_media_widen_the_interval_of_a_suite(tmp_path: Path) -> None:
    """Two tasks that move as one hold the evidence of one; over media of their own, that of two."""
    for name, hits in zip("ab", pair_of(30, 12, 158), strict=True):
        for task, mark in (("x", ""), ("y", ""), ("z", "own ")):
            save(tmp_path, name, hits, task=task, clusters=[f"{mark}{n}" for n in range(200)])
    x, y, z = both(tmp_path)
    shared, apart = suite_differences([("shared", [x, y]), ("apart", [x, z])], ["a", "b"], "holm")
    assert np.diff(shared.interval) > 1.3 * np.diff(apart.interval)
    assert shared.test.p == pytest.approx(stats.binomtest(12, 42).pvalue, abs=0.004)
    assert apart.test.p < shared.test.p


def test_tables_name_the_family_the_target_and_what_is_left_out(tmp_path: Path) -> None:
    tasks, names = suite_of(tmp_path), ["a", "b", "c"]
    by_task = task_table(task_differences(tasks, names, "holm"), 2, "holm", 0.05)
    assert "Holm over 3 pairs x 3 tasks" in by_task.caption and "left out: 2;" in by_task.caption
    assert "new queries of the same kind on the same tasks" in by_task.caption and "within ±5.0" in by_task.caption
    by_suite = suite_table(suite_differences([("s", tasks)], names, "benjamini-hochberg"), "benjamini-hochberg", None)
    assert "Benjamini-Hochberg over 3 pairs x 1 suite." in by_suite.caption
    assert all(len(row.cells) == len(table.columns) for table in (by_task, by_suite) for row in table.rows)
    ranked = standings_table("s", standings(tasks, names))
    assert "depends on which embedders are compared" in ranked.caption
    assert [row.cells[1].text for row in ranked.rows] == ["1", "2 to 3", "2 to 3"]
    for write in FORMATS.values():
        assert all(write(table) for table in (by_task, by_suite, ranked))


def test_queries_that_moved_most_come_first(tmp_path: Path) -> None:
    save(tmp_path, "a", [1, 0, 1, 0])
    save(tmp_path, "b", [0, 0, 0, 1])
    table = moved_table(both(tmp_path), ["a", "b"], 2)
    assert [row.name for row in table.rows] == ["q3", "q2"], (
        "of equal differences, the one whose positive moved furthest"
    )
    assert [cell.text for cell in table.rows[0].cells] == ["zoo@1", "a - b", "0.000", "1.000", "7", "1"]


def test_the_command_reads_results_and_refuses_with_a_reason(tmp_path: Path) -> None:
    rows = [
        {"id": f"r{n}", "q": w, "c": f"the {w}", "scene": n // 2} for n, w in enumerate(["fox", "whale", "frog", "elk"])
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = """\
name: animals
version: 1
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {id: id, modality: text, text: q}
candidates: {id: id, modality: text, text: c}
qrels: by-row
metrics: [hit@1]
primary: hit@1
clusters: scene
"""
    task = parse_task(text, "animals.yaml", tmp_path)
    result = evaluate(HashedTextEmbedder(), task)
    assert [row["cluster"] for row in result.rows] == ["0", "0", "1", "1"]
    path = results.write(result, tmp_path / "out")
    other = json.loads(path.read_text())
    other["record"]["embedder"]["name"] = "other"
    results.write(Result(other["record"], {}, result.rows), tmp_path / "out")

    def compare(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["compare", *arguments, "--results", str(tmp_path / "out")])

    shown = compare("hashed-text", "other", "--moved", "3", "--format", "csv").stdout
    assert "animals@1,hashed-text - other,100.0,100.0,0.0" in shown and "0 / 4 / 0" in shown
    assert isinstance(compare("hashed-text").exception, UsageError)
    assert isinstance(compare("hashed-text", "other", "--margin", "0").exception, UsageError)
    assert "no results of 'nobody'" in str(compare("hashed-text", "nobody").exception)
    with pytest.raises(UsageError, match="the result of other has no rows; give the folder"):
        ub.compare([result, Result(other["record"], {})])
