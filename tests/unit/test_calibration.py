"""The calibration benchmark: its committed figures are those of the page, and each section still runs."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FIGURES = ROOT / "benchmarks" / "figures"


def test_the_page_shows_the_committed_figures() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    shown = page.split("<!-- calibration -->")[1].split("<!-- /calibration -->")[0]
    assert shown.strip() == (FIGURES / "calibration.md").read_text(encoding="utf-8").strip()


def test_every_section_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    calibration, tables = (importlib.import_module(name) for name in ("calibration", "calibration_tables"))
    for name, section in calibration.SECTIONS.items():
        rows = list(section(2))
        table = tables.written({name: rows}, 2)
        assert "(2 trials)" in table and table.count("\n") == len(rows) + 3
