"""A task file for data that lie on this machine: a BEIR folder, or a table. Written beside the data, once it is valid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from unite_bench.errors import DataError, UsageError
from unite_bench.items import modality
from unite_bench.sources.files import open_table
from unite_bench.validation import Report, validate

PARTS = ("text", "image", "video")


def import_beir(folder: Path, name: str | None, split: str | None) -> tuple[Path, Report]:
    """Write `NAME.yaml` into a folder in BEIR layout; the split is `test`, or the only one there is.

    Raises UsageError for what cannot be a BEIR folder, DataError with every finding for faulty data: then no file is left.
    """
    for file in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / file).is_file():
            raise UsageError(
                f"{folder}: no {file}; a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"
            )
    splits = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    chosen = split or ("test" if "test" in splits else splits[0] if len(splits) == 1 else None)
    if chosen not in splits:
        raise UsageError(f"{folder}/qrels: choose a --split of {', '.join(splits) or 'none; there are no judgements'}")
    task = {
        "name": name or _named_after(folder.resolve().name),
        "version": 1,
        "granularity": "coarse",
        "source": {"kind": "beir", "path": ".", "split": chosen},
        "queries": {"id": "_id", "modality": "text", "text": "text"},
        "candidates": {"id": "_id", "modality": "text", "text": "full_text"},
        "qrels": "source",
        "metrics": ["ndcg@10", "hit@1", "recall@10"],
        "primary": "ndcg@10",
    }
    return _written(folder, task)


def import_table(
    table: Path,
    query: Sequence[str],
    candidate: Sequence[str],
    name: str | None,
    relevant: str | None,
    identity: str | None,
    granularity: str,
) -> tuple[Path, Report]:
    """Write `NAME.yaml` beside a CSV, JSONL or Parquet file; `query` and `candidate` are parts as `text=COLUMN`.

    Without `relevant`, the column with the ids of what is right, row n's candidate is right for row n's query.
    Raises UsageError for parts or columns that make no sense, DataError with every finding: then no file is left.
    """
    columns = open_table(table).columns
    ids = {"id": identity} if identity else {}
    task = {
        "name": name or _named_after(table.stem),
        "version": 1,
        "granularity": granularity,
        "source": {"kind": "files", "path": table.name},
        "queries": ids | _side("--query", query, columns),
        "candidates": ids | _side("--candidate", candidate, columns),
        "qrels": {"column": relevant} if relevant else "by-row",
        "metrics": ["hit@1", "hit@5", "hit@10", "mrr"],
        "primary": "hit@1",
    }
    return _written(table.parent, task)


def _side(option: str, parts: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    example = f"give {option} KIND=COLUMN with a kind of {', '.join(PARTS)} and a column of {', '.join(columns)}"
    side: dict[str, str] = {}
    for part in parts:
        kind, equals, column = part.partition("=")
        if not equals or kind not in PARTS or kind in side or column not in columns:
            raise UsageError(f"{option} {part!r}: {example}")
        side[kind] = column
    if not side:
        raise UsageError(example)
    return {"modality": modality(side), **side}


def _named_after(name: str) -> str:
    """A task name from that of a file or folder."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._") or "task"


def _written(folder: Path, task: dict[str, Any]) -> tuple[Path, Report]:
    path = folder / f"{task['name']}.yaml"
    if path.exists():
        raise UsageError(f"{path} exists; give another --name")
    path.write_text(yaml.safe_dump(task, sort_keys=False, allow_unicode=True), encoding="utf-8")
    report = validate(str(path))
    if report.findings:
        path.unlink()
        raise DataError("\n".join([*report.findings, "no task file was written; correct the data and import again"]))
    return path, report
