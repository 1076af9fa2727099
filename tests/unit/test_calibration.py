"""The calibration benchmark: its committed figures are those of the page, and each section still runs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from unite_bench.stats.intervals import interval

ROOT = Path(__file__).parent.parent.parent
FIGURES = ROOT / "benchmarks" / "figures"


def test_the_page_shows_the_committed_figures() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    shown = page.split("<!-- calibration -->")[1].split("<!-- /calibration -->")[0]
    assert shown.strip() == (FIGURES / "calibration.md").read_text(encoding="utf-8").strip()


def test_committed_figures_keep_the_bars() -> None:
    """Hits: every cell. Where few clusters differ, a poor embedder meets few media, or tasks lie at both ends of the scale,
    intervals may be too wide, but never too narrow. Exact tests: every cell; mid-p never above, and near its level where
    enough clusters differ."""
    figures = json.loads((FIGURES / "calibration.json").read_text(encoding="utf-8"))
    if figures["trials"] < 10_000:
        pytest.skip("figures of a short run, whose own noise is wider than the bars")
    for row in figures["proportions"] + figures["suites"] + figures["other_tasks"]:
        assert 0.93 <= row["used"] <= 0.97, row
    for row in figures["suite_means"]:
        assert row["used"] >= (0.93 if row["media"] * row["captions"] > 20 else 0.92), row
    for row in figures["reciprocal_ranks"] + figures["differences"] + figures["ranks"]:
        assert row["used"] >= 0.93, row
    for row in figures["tests"]:
        assert row["exact"] <= 0.055 and row["mid-p"] <= 0.058, row
        assert row["discordant"] < 12 or row["mid-p"] >= 0.042, row
    for name in ("proportions", "reciprocal_ranks", "suite_means", "differences", "suites"):
        assert all(row["narrowest"] > 0.0 for row in figures[name])


def test_every_section_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    calibration, tables = (importlib.import_module(name) for name in ("calibration", "calibration_tables"))
    for name, section in calibration.SECTIONS.items():
        rows = list(section(2))
        table = tables.written({name: rows}, 2)
        assert "(2 trials)" in table and table.count("\n") == len(rows) + 3


def test_methods_that_are_not_used_meet_the_one_in_use_on_single_hits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first row is the interval in use itself; without clusters, the others come to the same."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    alternatives = importlib.import_module("calibration_alternatives")
    hits = np.repeat([1.0, 0.0], [700, 1300])
    spans = [method(hits, 1, 1.0) for method in alternatives.METHODS.values()]
    assert spans[0] == interval(hits)[0]
    for span in spans[1:]:
        assert span == pytest.approx(spans[0], abs=3e-5)
    assert all(len(alternatives.coverage(cell, 2)) == len(spans) for cell in alternatives.CELLS)
