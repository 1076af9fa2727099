"""Check the committed results, or any folder of results before it is submitted; print every finding. CI runs it.

    python tools/check_results.py [FOLDER ...]

Every record is whole and of this schema, stands under its own name, belongs to the task as its file reads today, and says
what its rows say; no result stands twice; each embedder has its SUBMISSION.yaml; and the tables of the pages are what the
tool writes. Exit code 1 if anything is found.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from unite_bench.errors import UniteBenchError
from unite_bench.metrics.aggregate import over_queries
from unite_bench.results import Result, committed_root, read
from unite_bench.spec.catalogue import load_entry
from unite_bench.spec.measures import parse_measure
from unite_bench.spec.model import Task
from unite_bench.submissions import FILE, gaps, read_submission

sys.path.insert(0, str(Path(__file__).parent))
from commit_results import GENERATED, standing

RECORD = {
    "schema", "unite_bench", "task", "data", "embedder", "contamination", "protocol", "counts", "failed", "warnings",
    "measures", "instruction_blind_ceiling", "slices", "partial",
}  # fmt: skip
PARTS: dict[str, set[str]] = {
    "task": {"name", "label", "granularity", "queries", "candidates", "primary", "status"},
    "data": {"digest", "queries", "candidates", "positives"},
    "embedder": {"name", "fingerprint", "revision", "dim", "modalities", "dtype", "training_sets"},
    "protocol": {"digest", "task", "instructions", "frames", "pool", "ties", "on_error"},
}
MEASURE = {"value", "low", "high", "interval", "chance"}


def findings(root: Path) -> Iterator[str]:
    """Everything that is wrong in a folder of results, one line each."""
    seen: dict[tuple[str, str, str], Path] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        names = set()
        for path in sorted(folder.iterdir()):
            if path.name == FILE or (path.suffix == ".parquet" and path.with_suffix(".json").is_file()):
                continue
            if path.suffix != ".json":
                yield f"{path}: belongs to no result"
                continue
            try:
                result = read(path)
            except UniteBenchError as error:
                yield str(error)
                continue
            found = list(_of_shape(result.record))
            if not found:
                names.add(result.embedder)
                key = (result.embedder, result.record["task"]["label"], result.record["protocol"]["digest"])
                other = seen.setdefault(key, path)
                found += [f"the same task and protocol as {other.name}"] if other != path else []
                found += [*_of_name(path, result), *_of_task(result), *_of_rows(path, result)]
            yield from (f"{path}: {what}" for what in found)
        yield from _of_submission(folder, names)


def _of_shape(record: Any) -> Iterator[str]:
    for key in sorted(RECORD - record.keys()):
        yield f"no {key!r} in the record"
    for part, keys in PARTS.items():
        for key in sorted(keys - dict(record.get(part, {})).keys()):
            yield f"no {key!r} in the record's {part!r}"
    for name, measured in record.get("measures", {}).items():
        numbers = [measured.get(key) for key in ("low", "value", "high", "chance")]
        if not measured.keys() >= MEASURE or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            yield f"{name} lacks a number, its interval or its chance level"
        elif not numbers[0] - 1e-12 <= numbers[1] <= numbers[2] + 1e-12:
            yield f"{name}: {numbers[1]} lies outside its interval"
    if record.get("contamination") not in ("clean", "in-domain", "unknown"):
        yield f"contamination is {record.get('contamination')!r}"


def _of_name(path: Path, result: Result) -> Iterator[str]:
    expected = f"{result.record['task']['label']}-{result.identity}.json"
    if path.name != expected:
        yield f"its content belongs under the name {expected}"
    if path.parent.name != re.sub(r"[^\w.+-]", "-", result.embedder):
        yield f"it is a result of {result.embedder}"
    if result.record["partial"]:
        yield "a partial result (--limit) is not committed"


def _of_task(result: Result) -> Iterator[str]:
    """Against the task file: version, digest of what it fixes, measures, contamination."""
    recorded = result.record["task"]
    try:
        task = load_entry(recorded["name"])
    except UniteBenchError as error:
        yield str(error)
        return
    if not isinstance(task, Task):
        yield f"{task.name} is incomplete and cannot have been run"
        return
    if task.label != recorded["label"]:
        yield f"{recorded['label']} was measured, the catalogue holds {task.label}"
    elif task.protocol_digest[:12] != result.record["protocol"]["task"]:
        yield f"{task.label} reads otherwise today; a task that changes needs another version"
    if set(task.metrics) != set(result.record["measures"]):
        yield "its measures are not those of the task"
    sets = result.record["embedder"]["training_sets"]
    expected = "unknown" if sets is None else "in-domain" if set(sets) & set(task.trained_on) else "clean"
    if result.record["contamination"] != expected:
        yield f"contamination is {result.record['contamination']}, but by its training sets {expected}"


def _of_rows(path: Path, result: Result) -> Iterator[str]:
    """The rows are there, one a query, and their mean is the measure."""
    try:
        columns = pq.read_table(path.with_suffix(".parquet"), columns=[*result.record["measures"]])
    except (OSError, ValueError) as error:
        yield f"no readable rows beside it ({error})"
        return
    if columns.num_rows != result.record["data"]["queries"]:
        yield f"{columns.num_rows} rows for {result.record['data']['queries']} queries"
    for name, measured in result.record["measures"].items():
        value = over_queries(parse_measure(name), columns[name].to_numpy())
        if not math.isclose(value, measured["value"], rel_tol=1e-12, abs_tol=1e-12):
            yield f"{name} is {measured['value']}, but {value} by its rows"


def _of_submission(folder: Path, names: set[str]) -> Iterator[str]:
    file = folder / FILE
    if not file.is_file():
        yield f"{folder}: no {FILE}; docs/submitting.md says what it holds"
        return
    try:
        submission = read_submission(file)
    except UniteBenchError as error:
        yield str(error)
        return
    if names and submission.embedder not in names:
        yield f"{file}: it is about {submission.embedder}, the results are of {', '.join(sorted(names))}"
    known = {path.stem.rsplit("-", 1)[-1] for path in folder.glob("*.json")}
    for rerun in submission.reruns:
        for identity in () if rerun.results == "all" else rerun.results:
            if identity not in known:
                yield f"{file}: a rerun of {identity}, which is no result here"


def page_findings() -> Iterator[str]:
    """Whether what the pages show is what the committed results give, byte for byte."""
    for page, name, text in GENERATED:
        if standing(page, name) != text():
            yield f"{page.name}: '{name}' is not that of the committed results; run python tools/commit_results.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", help="folders of results; none: the committed ones")
    folders = parser.parse_args().folders
    found = [what for folder in folders or [committed_root()] for what in findings(folder)]
    found += [] if folders else list(page_findings())
    incomplete = 0
    for folder in folders or [committed_root()]:
        incomplete += sum(bool(gaps(read(path))) for path in folder.glob("*/*.json")) if not found else 0
    print("\n".join(found) or "nothing is wrong")
    if incomplete:
        print(f"{incomplete} records are not complete; `unite-bench leaderboard --committed --layout badges` says why")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
