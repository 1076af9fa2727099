"""Writes the error browser: the page with its summary and filters, what it looks like, the data and the media."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from unite_bench.encode.store import publish
from unite_bench.errors import UsageError
from unite_bench.report.browser.filters import FILTERS, OUTCOMES, VERSUS, counts
from unite_bench.report.browser.outcomes import Read, versus_of
from unite_bench.report.browser.pieces import judged, write_pieces
from unite_bench.report.browser.reading import Reading
from unite_bench.report.previews import SIDE, Previews
from unite_bench.results import Result

INDEX = Path("data") / "index-0.js"  # by this file a folder is known to hold an error browser
MEDIA = "media"
CONTAMINATION = {
    "in-domain": ["Trained on this task's train split or generator."],
    "unknown": ["Training data not declared; it may contain this task."],
}
Progress = Callable[[int, int], None]


def write_browser(reading: Reading, out: Path, thumbnail: int = SIDE, progress: Progress | None = None) -> Path:
    """Write the page into a folder that is new, empty, or an older error browser; returns the page's path.

    `thumbnail` is the longest side of pictures in pixels; `progress` is told how many queries of how many are written.
    Raises UsageError if the folder holds something else.
    """
    _make_room(out)
    reads = judged(reading)
    for done in write_pieces(out / INDEX.parent, reading, reads, Previews(out / MEDIA, thumbnail)):
        if progress is not None:
            progress(done, len(reading.rows[0]))
    _copy_assets(out / "assets")
    page = out / "index.html"
    publish(page, _rendered(reading, reads).encode())
    return page


def _make_room(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()) and not (out / INDEX).exists():
        raise UsageError(f"{out} is not empty and holds no error browser; choose another folder")
    shutil.rmtree(out / INDEX.parent, ignore_errors=True)


def _copy_assets(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = files("unite_bench.report")
    for asset in (*report.joinpath("assets").iterdir(), *report.joinpath("browser", "assets").iterdir()):
        if asset.name.endswith((".css", ".js")):
            (folder / asset.name).write_bytes(asset.read_bytes())


def _rendered(reading: Reading, reads: Sequence[Sequence[Read]]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("unite_bench.report.browser")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html").render(summary(reading, reads))


def summary(reading: Reading, reads: Sequence[Sequence[Read]]) -> dict[str, Any]:
    """What stands on top of the page: scores, and how many queries each filter keeps."""
    record = reading.results[0].record
    pairs = enumerate(zip(reading.results, reads, strict=True))
    sides = [_side(reading, which, result, of) for which, (result, of) in pairs]
    return {
        "task": reading.task,
        "record": record,
        "forms": [" or ".join(record["task"][side]) for side in ("queries", "candidates")],
        "meanings": [f for f in FILTERS if any(shown is f for side in sides for shown, _ in side["filters"])],
        "own_lists": record["protocol"]["pool"] == "per-query",
        "unchecked": reading.unchecked,
        "sides": sides,
        "versus": _versus(reading),
        "slices": [(name, _counted(values)) for name, values in reading.data.slices.items()],
    }


def _side(reading: Reading, which: int, result: Result, reads: Sequence[Read]) -> dict[str, Any]:
    outcomes = Counter(read.outcome for read in reads)
    beaten = _counted([read.beaten_by for read in reads if read.beaten_by])
    kept = counts(reads)
    mixed = len(result.record["task"]["candidates"]) > 1
    always = {"failures", "near", "beyond", "ties"} | ({"modality"} if mixed else set())
    return {
        "key": "AB"[which],
        "name": reading.names[which],
        "record": result.record,
        "others": [
            _measured(name, of) for name, of in result.record["measures"].items() if name != reading.task.primary
        ],
        "warnings": _warnings(result),
        "outcomes": [(of, title, outcomes[of]) for of, title in OUTCOMES.items() if outcomes[of]],
        "filters": [(f, kept[f.key]) for f in FILTERS if kept[f.key] or f.key in always],
        "beaten": beaten if len(beaten) > 1 else [],
    }


def _measured(name: str, measured: Mapping[str, Any]) -> str:
    """A measure in percent, or as a rank."""
    return f"{name} {measured['value']:g}" if name == "median_rank" else f"{name} {100 * measured['value']:.1f}"


def _warnings(result: Result) -> list[str]:
    """What has to be known with the score."""
    record = result.record
    said = [f"Partial: only the first {record['protocol']['limit']} queries were run."] if record["partial"] else []
    return [*said, *CONTAMINATION.get(record["contamination"], []), *record["warnings"]]


def _versus(reading: Reading) -> list[tuple[str, str, str, int]]:
    """Key, title, meaning and count of how queries went under two embedders."""
    if len(reading.results) < 2:
        return []
    measure = reading.task.primary
    pairs = zip(*([row[measure] for row in rows] for rows in reading.rows), strict=True)
    kept = Counter(versus_of(*pair) for pair in pairs)
    first, second = reading.names
    words = {"first": first, "second": second, "measure": measure}
    return [(key, title.format(**words), means.format(**words), kept[key]) for key, (title, means) in VERSUS.items()]


def _counted(values: Sequence[str]) -> list[tuple[str, int]]:
    """Every value with its number, in order."""
    return sorted(Counter(values).items())
