"""Runs and qrels as trec_eval, pytrec_eval and ranx read them, from a result's row per query.

A run holds the candidates that `unite-bench run` kept of each query (`--first`, 10 by default), with their exact scores;
the qrels hold every positive. These tools order equal scores in their own ways, by name for the most part: only a run
without ties measures there as it does here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unite_bench.encode.store import publish
from unite_bench.errors import DataError
from unite_bench.results import Result, read_rows

Rows = Sequence[Mapping[str, Any]]
PLAIN = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}~"  # all that is printed in ASCII but the percent sign


def write_trec(path: Path, result: Result, folder: Path) -> tuple[Path, Path]:
    """Write the run and the qrels of a result in `path` under its own name; returns both paths."""
    rows = read_rows(path)
    folder.mkdir(parents=True, exist_ok=True)
    run, qrels = (folder / f"{path.stem}.{kind}" for kind in ("run", "qrels"))
    publish(run, "".join(run_lines(rows, result.embedder)).encode())
    publish(qrels, "".join(qrels_lines(rows)).encode())
    return run, qrels


def run_lines(rows: Rows, tag: str) -> Iterator[str]:
    """`query Q0 candidate rank score tag`, ranks from 1. A query that could not be encoded has no line."""
    for row in rows:
        for rank, (candidate, score) in enumerate(zip(row["first"], row["scores"], strict=True), start=1):
            yield f"{_word(row['query'])} Q0 {_word(candidate)} {rank} {score!r} {_word(tag)}\n"


def qrels_lines(rows: Rows) -> Iterator[str]:
    """`query 0 candidate grade`. Raises DataError if a positive is not in the rows or a grade is no whole number."""
    for row in rows:
        if row["lost_positives"]:
            raise DataError(
                f"query {row['query']!r} has {row['lost_positives']} positives that could not be encoded and are not in the "
                "result, so its qrels would not be whole; mend them and run the task again"
            )
        for candidate, grade in zip(row["positives"], row["grades"], strict=True):
            if grade != int(grade):
                raise DataError(f"query {row['query']!r}: qrels of TREC take whole grades, not {grade:g}")
            yield f"{_word(row['query'])} 0 {_word(candidate)} {int(grade)}\n"


def _word(name: str) -> str:
    """A name without white space: what is not plain is percent-encoded, in runs and qrels alike."""
    return quote(str(name), safe=PLAIN)
