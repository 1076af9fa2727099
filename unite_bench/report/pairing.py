"""Results that may be compared query by query, and why others may not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.errors import DataError, UsageError
from unite_bench.protocol import switches
from unite_bench.report.protocols import compared_protocol, one_protocol
from unite_bench.results import Result, read, read_rows

Doubles = npt.NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]
AGAIN = "run both again with the same version of unite-bench, task and settings"


@dataclass(frozen=True)
class Paired:
    """One task under several embedders, over the same queries in the same order.

    `values` (queries, embedders) float64 of the task's primary measure; `clusters` one label a query; `rows` the per-query
    rows of each embedder; `protocol` what a caption says of the protocol that all share.
    """

    label: str
    granularity: str
    measure: str
    chance: float
    clusters: tuple[str, ...]
    values: Doubles
    rows: tuple[Rows, ...]
    protocol: str = ""


def paired(
    results: Iterable[Result | Path], embedders: Sequence[str], labels: Sequence[str] | None = None
) -> list[Paired]:
    """Every task (of those with these labels, in their order) for which all the embedders have a whole result.

    `results` hold their rows, or are paths of written ones.

    Raises UsageError if an embedder has no result or no task is shared, DataError if results are of different task
    versions, data, protocols or queries.
    """
    found = _found(results, embedders)
    _same_versions(found, embedders, None if labels is None else {label.split("@")[0] for label in labels})
    shared = set.intersection(*({label for label, name in found if name == embedder} for embedder in embedders))
    order = sorted(shared) if labels is None else [label for label in labels if label in shared]
    if not order:
        raise UsageError(f"no task has results of {' and '.join(embedders)}; `unite-bench run` makes them")
    pairs = [pair_of(label, embedders, [found[label, embedder] for embedder in embedders]) for label in order]
    one_protocol(found[label, embedders[0]][1] for label in order)
    return pairs


Found = dict[tuple[str, str], tuple[Path | None, Result]]


def _found(results: Iterable[Result | Path], embedders: Sequence[str]) -> Found:
    """(task label, embedder) to the one whole result there is of it, and where it was read."""
    found: Found = {}
    known, partial = set(), set()
    for given in results:
        path, result = (None, given) if isinstance(given, Result) else (given, read(given))
        known.add(result.embedder)
        if result.embedder not in embedders:
            continue
        if result.record["partial"]:
            partial.add(result.embedder)
            continue
        key = (str(result.record["task"]["label"]), result.embedder)
        other = found.setdefault(key, (path, result))[1]
        if other.identity != result.identity:
            raise DataError(
                f"{result.embedder} has two different results for {key[0]} (other weights, data or protocol): "
                f"{other.identity} and {result.identity}; keep one of them in the folder"
            )
    held = {embedder for _, embedder in found}
    for embedder in embedders:
        if embedder not in held:
            why = "only partial results (--limit)" if embedder in partial else "no results"
            raise UsageError(f"{why} of {embedder!r}; there are some of {', '.join(sorted(known)) or 'nobody'}")
    return found


def _same_versions(found: Found, embedders: Sequence[str], names: set[str] | None) -> None:
    versions: dict[str, dict[str, set[str]]] = {}
    for label, embedder in found:
        versions.setdefault(label.split("@")[0], {}).setdefault(embedder, set()).add(label)
    for name, held in versions.items():
        if (names is None or name in names) and len(held) == len(embedders) and not set.intersection(*held.values()):
            said = "; ".join(f"{embedder} on {', '.join(sorted(labels))}" for embedder, labels in held.items())
            raise DataError(f"{name}: other versions are other tasks ({said}); {AGAIN}")


def pair_of(label: str, embedders: Sequence[str], held: Sequence[tuple[Path | None, Result]]) -> Paired:
    """One task of embedders with these results (and the files they were read from). Raises DataError if they cannot be
    compared."""
    first = held[0][1]
    if any(switches(result.record["protocol"])["dual_softmax"] is not None for _, result in held):
        raise DataError(
            f"{label}: under dual softmax every query's ranks depend on the other queries, so no test by query holds; "
            "compare results without it"
        )
    rows = tuple(result.rows if path is None else read_rows(path) for path, result in held)
    for embedder, (path, result), own in zip(embedders, held, rows, strict=True):
        if not own:
            raise UsageError(f"{label}: the result of {embedder} has no rows; give the folder it was written to")
        for difference in _differences(first, result, rows[0], own):
            raise DataError(f"{label}: {embedders[0]} and {embedder} cannot be compared: {difference}; {AGAIN}")
        if "cluster" not in own[0]:
            where = f"the result of {embedder}" if path is None else path.with_suffix(".parquet")
            raise DataError(f"{where}: written before rows held their cluster; run the task again")
    task = first.record["task"]
    measure = str(task["primary"])
    return Paired(
        label,
        str(task["granularity"]),
        measure,
        float(first.record["measures"][measure]["chance"]),
        tuple(str(row["cluster"]) for row in rows[0]),
        np.array([[row[measure] for row in own] for own in rows], dtype=np.float64).T,
        rows,
        one_protocol([first]),
    )


def _differences(first: Result, other: Result, rows: Rows, own: Rows) -> Iterator[str]:
    """What keeps two results of one task from being compared, the cause before its consequences."""
    digests = [str(result.record["data"]["digest"])[:12] for result in (first, other)]
    if digests[0] != digests[1]:
        yield f"their data differ (digests {digests[0]} and {digests[1]})"
    protocols = [compared_protocol(result) for result in (first, other)]
    if protocols[0] != protocols[1]:
        yield f"their protocols differ ({protocols[0]} and {protocols[1]})"
    measures = [str(result.record["task"]["primary"]) for result in (first, other)]
    if measures[0] != measures[1]:
        yield f"their primary measures differ ({measures[0]} and {measures[1]})"
    asked = [[row["query"] for row in held] for held in (rows, own)]
    if asked[0] != asked[1]:
        apart = sorted(set(asked[0]) ^ set(asked[1]))
        what = f"{len(apart)} queries are in one only, such as {apart[0]!r}" if apart else "their order differs"
        yield f"their queries differ ({what})"
    elif [row.get("cluster") for row in rows] != [row.get("cluster") for row in own]:
        yield "their queries are in different clusters"
