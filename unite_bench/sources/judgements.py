"""Relevance judgements in files: BEIR's three columns with a header, or TREC's four without."""

from __future__ import annotations

import math
from pathlib import Path

from unite_bench.errors import DataError

MOST = 64  # above this, exponential gains would lose the smaller ones
Judgements = dict[str, dict[str, float]]  # query id -> candidate id -> grade


def read_grade(cell: object) -> float:
    """A finite grade of at most MOST. Raises DataError."""
    try:
        grade = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise DataError(f"grade {cell!r} is not a number") from error
    if not -math.inf < grade <= MOST:
        raise DataError(f"grade {cell!r} is not a finite number of at most {MOST}")
    return grade


def read_qrels(path: Path) -> Judgements:
    """Judgements by query id. Grades of 0 or less mean judged and not relevant; they are left out.

    Raises DataError with file and line for a malformed row or a pair that is judged twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the judgements ({error})") from error
    judged: Judgements = {}
    seen: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or (number == 1 and cells[0].lower() in {"query-id", "query_id", "qid"}):
            continue
        if len(cells) not in (3, 4):
            raise DataError(f"{path}:{number}: expected 3 (BEIR) or 4 (TREC) columns, found {len(cells)}")
        query, candidate = cells[0], cells[-2]
        try:
            grade = read_grade(cells[-1])
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        if (query, candidate) in seen:
            raise DataError(f"{path}:{number}: query {query!r} and candidate {candidate!r} are judged a second time")
        seen.add((query, candidate))
        if grade > 0:
            judged.setdefault(query, {})[candidate] = grade
    return judged
