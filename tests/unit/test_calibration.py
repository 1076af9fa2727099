"""The calibration benchmark: its committed figures are those of the page, and each section still runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FIGURES = ROOT / "benchmarks" / "figures"


def test_the_page_shows_the_committed_figures() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    shown = page.split("<!-- calibration -->")[1].split("<!-- /calibration -->")[0]
    assert shown.strip() == (FIGURES / "calibration.md").read_text(encoding="utf-8").strip()


def test_every_section_runs() -> None:
    for section in ("proportions", "reciprocal_ranks", "differences", "tests", "suites", "other_tasks", "ranks"):
        call = [sys.executable, "benchmarks/calibration.py", "--trials", "2", "--only", section]
        shown = subprocess.run(call, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        assert "(2 trials)" in shown and "outside their bars:" in shown
