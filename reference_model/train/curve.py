"""The log of a run as a picture: loss by stage, and validation by minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError

TALKS = ("still", "clip", "change", "reading")


@dataclass
class Curves:
    """Points (minutes since the start of the run, value) by name, and where each stage begins."""

    losses: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    tests: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)


def read_curves(path: Path) -> Curves:
    """Curves of a `training.jsonl`; stages follow each other without the pauses between them."""
    curves, ended, last = Curves(), 0.0, 0.0
    for line in path.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        stage = row.get("stage")
        if stage is None:
            continue
        if stage not in curves.starts:
            ended += last
            curves.starts[stage] = ended
        last = row["seconds"] / 60
        if "loss" in row:
            curves.losses.setdefault(stage, []).append((ended + last, row["loss"]))
        for name, value in row.get("validation", {}).items():
            curves.tests.setdefault(name, []).append((ended + last, value))
    if not curves.starts:
        raise DataError(f"{path}: no stage in this log; give the training.jsonl that `train` wrote")
    return curves


def draw_curves(log: Path, out: Path) -> None:
    """Three panels: training loss, losses of validation talks, hit@1 on validation scenes."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    curves = read_curves(log)
    figure = Figure(figsize=(12, 4), layout="constrained")
    losses, talks, hits = figure.subplots(1, 3)
    for stage, points in curves.losses.items():
        losses.plot(*zip(*points, strict=True), label=stage)
    colours = [colormaps["tab20"](number) for number in range(20)]
    for number, (name, points) in enumerate(curves.tests.items()):
        panel = talks if name in TALKS else hits
        panel.plot(*zip(*points, strict=True), marker=".", label=name, color=colours[number % len(colours)])
    for axes, title in ((losses, "training loss"), (talks, "validation: loss of talks"), (hits, "validation: hit@1")):
        axes.set(title=title, xlabel="minutes of training")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        for start in list(curves.starts.values())[1:]:
            axes.axvline(start, color="grey", linewidth=0.8, linestyle=":")
    losses.set_ylim(0, 6)
    talks.set_ylim(0, 3)
    hits.set_ylim(0, 1)
    figure.savefig(out, dpi=100)
