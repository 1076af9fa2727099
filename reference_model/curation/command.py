"""`python -m reference_model curate RECIPE.yaml`: run a recipe, write manifest, report and list of bad records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from reference_model.curation.page import write_page
from reference_model.curation.pipeline import curate
from reference_model.curation.recipe import read_recipe
from reference_model.curation.report import report_of

PAGE, FIGURES = "report.html", "report.json"
NAMED = 5  # empty cells that are told by name


def run(recipe: Path, out: Path | None, work: Path | None, threads: int, say: Callable[[str], None]) -> None:
    """Curate and tell what came of it, a line at a time. `out` and `work` take the place of the recipe's."""
    plan = read_recipe(recipe)
    out = plan.folder / plan.recipe.out if out is None else out
    work = plan.folder / plan.recipe.work if work is None else work
    curated = curate(plan, out, work, threads, say)
    report = report_of(curated)
    (out / FIGURES).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_page(out / PAGE, curated, report)
    kept, read = report["manifest"]["rows"], sum(source["rows"] for source in report["sources"])
    say(f"{kept:,} of {read:,} rows kept; manifest {curated.manifest}, report {out / PAGE}")
    told = (
        "cost" in plan.recipe.model_fields_set
    )  # what it takes to train a model that nobody named stands in the report
    for stage, cost in report["cost"].items() if told else ():
        tokens = cost["text_tokens"] + cost["visual_tokens"]
        hours = cost["gpu_hours"]
        took = f"{hours:.3g} GPU-hours" if hours >= 0.1 else f"{3600 * hours:.2g} GPU-seconds"
        said = f"{cost['items']:,} items; for {cost['model']} {tokens:,} tokens and, on {cost['device']}, {took}"
        say(f"an epoch of {stage}, estimated: {said}")
    empty = [cell["cell"] for cell in report["composition"]["cells"] if cell["empty"]]
    if empty:
        more = f" and {len(empty) - NAMED} more" if len(empty) > NAMED else ""
        say(f"declared, but without a row: {'; '.join(empty[:NAMED])}{more}")
