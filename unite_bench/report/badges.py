"""The table of badges: who measured each embedder's results, how complete their records are, who has made them again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from unite_bench.errors import UsageError
from unite_bench.report.table import Cell, Row, Table
from unite_bench.results import Result, read
from unite_bench.submissions import FILE, badge, submissions

COLUMNS = ("results", "record complete", "rerun by others", "reported by", "measured by", "what records lack")
SAID = {"self": "those who made the model", "others": "others", "baseline": "baseline of unite-bench"}


def badges_table(found_at: Iterable[Path]) -> Table:
    """One row an embedder that has a submission file. Raises UsageError if there is none, SpecError if one is wrong."""
    held: dict[str, list[Result]] = {}
    folders = []
    for path in found_at:
        result = read(path)
        held.setdefault(result.embedder, []).append(result)
        folders.append(path.parent)
    rows = []
    for name, submission in sorted(submissions(folders).items()):
        found = badge(submission, held.get(name, []))
        counts = (found.results, found.complete, found.rerun)
        words = (SAID[found.reported], submission.by, "; ".join(found.gaps) or "nothing")
        rows.append(Row(name, tuple(Cell(str(text)) for text in (*counts, *words))))
    if not rows:
        raise UsageError(f"no {FILE} lies beside these results; docs/submitting.md says what it holds")
    caption = "How far results can be trusted: a record is complete if it notes all that it takes to make it again."
    return Table(caption, "embedder", COLUMNS, tuple(rows))
