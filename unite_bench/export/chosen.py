"""Which of the results in some folders are exported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from unite_bench.errors import DataError, UsageError
from unite_bench.results import Result, paths, read


def chosen(roots: Sequence[Path], embedder: str, labels: Sequence[str] | None = None) -> list[tuple[Path, Result]]:
    """The results of one embedder, of the tasks with these labels (None: all), in order of their files.

    Raises UsageError if there are none, and says which embedders have some.
    """
    everything = [(path, read(path)) for path in paths(roots)]
    found = [
        (path, result)
        for path, result in everything
        if result.embedder == embedder and (labels is None or result.record["task"]["label"] in labels)
    ]
    if not found:
        known = ", ".join(sorted({result.embedder for _, result in everything})) or "none"
        raise UsageError(
            f"no such result of {embedder} in {', '.join(map(str, roots))}; embedders with results: {known}"
        )
    return found


def whole(found: Iterable[tuple[Path, Result]]) -> Iterator[Result]:
    """The results alone, one a task. Raises DataError for a partial one, or for two of one task."""
    seen: dict[str, Path] = {}
    for path, result in found:
        label = str(result.record["task"]["label"])
        if result.record["partial"]:
            raise DataError(
                f"{path}: over the first {result.record['protocol']['limit']} queries only; run it without --limit"
            )
        if label in seen:
            raise DataError(
                f"{label} has two results, of other weights, data or protocol: {seen[label]} and {path}; keep one of them"
            )
        seen[label] = path
        yield result
