"""The table at the end of a run."""

from __future__ import annotations

from pathlib import Path

from unite_bench.report.run_table import run_table
from unite_bench.running import Outcome
from unite_bench.spec.catalogue import load_task


def test_only_tasks_of_the_package_are_said_to_be_no_claim_of_ability(tmp_path: Path) -> None:
    shipped = load_task("scenes-t2i")
    own = shipped.model_copy().in_folder(tmp_path)
    said = [run_table([Outcome(task, "n/a", reason="no pictures")]) for task in (shipped, own)]
    assert ["Not a claim of ability" in text for text in said] == [True, False]
