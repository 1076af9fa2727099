"""Every command of the documentation runs, or says why it cannot; and what the pages state by example is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from docs_walk import PAGES, ROOT, SHELL, blocks, walk
from scipy import stats

from unite_bench import results
from unite_bench.metrics.measures import per_query
from unite_bench.ragged import Ragged
from unite_bench.rank.counts import count
from unite_bench.spec.measures import parse_measure
from unite_bench.stats.sign_flip import sign_flip

DOCS = [page for page in PAGES if page.parent.name == "docs"]


def with_block(mark: str) -> list[Path]:
    return [page for page in DOCS if any(block.mark == mark for block in blocks(page))]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store of vectors for all pages."""
    return tmp_path_factory.mktemp("store")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_runs_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        if block.language in SHELL:
            ran = block.mark in ("run", "run: slow") or bool(re.fullmatch(r"not run: \S.*", block.mark))
            assert ran, (
                f"{block.where}: mark it <!-- run -->, <!-- run: slow --> or <!-- not run: REASON -->, or name its language"
            )


@pytest.mark.parametrize("page", with_block("run"), ids=lambda page: page.name)
def test_the_commands_of_a_page_run(
    page: Path, tmp_path: Path, pictures: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_page(page, tmp_path, store, monkeypatch, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", with_block("run: slow"), ids=lambda page: page.name)
def test_the_slow_commands_of_a_page_run(
    page: Path, tmp_path: Path, pictures: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_page(page, tmp_path, store, monkeypatch, slow=True)


def run_page(page: Path, folder: Path, store: Path, monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("UNITE_BENCH_STORE", str(store))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")  # `python` is this one
    monkeypatch.setattr(sys, "path", list(sys.path))
    walk(page, folder, slow)


def test_every_page_is_in_the_navigation() -> None:
    given = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]

    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [page for held in (entry.values() if isinstance(entry, dict) else entry) for page in pages(held)]

    assert sorted(pages(given)) == sorted(page.name for page in DOCS)


def example(page: str, name: str) -> list[list[str]]:
    """The rows of the table after a comment `<!-- example: NAME -->`."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").split(f"<!-- example: {name} -->")[1].lstrip()
    lines = text.split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def measured(scores: list[float], positives: list[int], measure: str) -> float:
    """A measure of one query whose candidates have these cosines."""
    heights = np.array(scores)
    vectors = np.stack([heights, np.sqrt(1 - heights**2)], axis=1)
    counts = count(np.array([[1.0, 0.0]]), vectors, Ragged.of([positives]))
    return float(per_query(parse_measure(measure), counts)[0])


def test_the_example_of_hit_and_recall_is_true() -> None:
    head, _, *rows = example("ranking.md", "hit and recall")
    assert len(rows) == 3
    for k, *values in rows:
        for name, value in zip(head[1:], values, strict=True):
            found = measured([1 - n / 10 for n in range(1, 11)], [0, 3, 8], name.replace("@k", f"@{k}"))
            assert f"{found:.3f}" == value, (name, k)


def test_the_example_of_ties_is_true() -> None:
    _, _, *candidates = example("ranking.md", "ties")
    scores = [float(row[1]) for row in candidates]
    positives = [n for n, row in enumerate(candidates) if row[2] == "positive"]
    _, _, *rows = example("ranking.md", "measures under ties")
    assert len(rows) == 8
    for measure, value, _ in rows:
        assert f"{measured(scores, positives, measure):.3f}" == value, measure


def test_the_rates_of_few_differing_clusters_are_true() -> None:
    """Every split of n equal differences, weighted by its chance, and n by that of a Poisson distribution."""
    head, _, *rows = example("statistics.md", "rejections by mid-p")
    rejected = {"mid-p": np.zeros(60), "exact": np.zeros(60)}
    for n in range(1, 60):
        for wins in range(n + 1):
            test = sign_flip(np.repeat([1.0, -1.0], [wins, n - wins]))
            chance = stats.binom.pmf(wins, n, 0.5)
            rejected["mid-p"][n] += chance * (test.mid_p <= 0.05)
            rejected["exact"][n] += chance * (test.p <= 0.05)
    assert [round(100 * rejected["mid-p"][n], 1) for n in (4, 5, 6, 8)] == [0.0, 6.2, 3.1, 7.0]
    assert {row[0] for row in rows} == set(rejected)
    for name, *values in rows:
        for mean, value in zip(head[1:], values, strict=True):
            assert f"{stats.poisson.pmf(np.arange(60), float(mean)) @ rejected[name]:.3f}" == value, (name, mean)


@pytest.mark.slow
def test_the_table_of_intervals_that_are_not_used_is_what_the_benchmark_prints() -> None:
    printed = subprocess.check_output([sys.executable, ROOT / "benchmarks" / "calibration_alternatives.py"], text=True)
    assert printed.count("|") > 40 and printed in (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")


def test_the_page_about_records_names_every_key() -> None:
    page = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    path = next(results.paths([results.committed_root()]))
    result = results.read(path)
    columns = set(results.read_rows(path)[0]) - set(result.record["measures"])
    for name in {*result.record, *result.environment, *columns}:
        assert f"`{name}`" in page, name
