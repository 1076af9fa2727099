"""The log of a run as a picture: loss by stage, and validation by minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError

TALKS = ("still", "clip", "change", "reading")
INSTRUCTED = ("it2i-edit", "vt2v-edit", "it2t-question", "t2it", "union", "modality")
MEAN = "mean"  # of the suite that a recipe evaluates on; a row that has it holds scores of the suite's tasks


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
        scores = row.get("validation", {})
        for name, value in [("suite, above chance", scores[MEAN])] if MEAN in scores else scores.items():
            curves.tests.setdefault(name, []).append((ended + last, value))
    if not curves.starts:
        raise DataError(f"{path}: no stage in this log; give the training.jsonl that `train` wrote")
    return curves


def draw_curves(log: Path, out: Path) -> None:
    """Four panels: training loss, losses of validation talks, hit@1 on validation scenes without and with instructions."""
    from unite_bench.report.figures.style import save
    from unite_bench.report.figures.training import Panel, training_curves

    curves = read_curves(log)
    scenes = {name: points for name, points in curves.tests.items() if name not in TALKS}
    panels = [
        Panel("training loss", curves.losses, top=6),
        Panel("validation: loss of talks", {name: curves.tests[name] for name in TALKS if name in curves.tests}, top=3),
        Panel("validation: hit@1", {name: scenes[name] for name in scenes if name not in INSTRUCTED}, top=1),
        Panel("validation: hit@1, instructions", {name: scenes[name] for name in INSTRUCTED if name in scenes}, top=1),
    ]
    caption = (
        f"One training run over {', '.join(curves.starts)} (begun at the dotted lines), single seed, no intervals."
    )
    starts = {stage: start for stage, start in curves.starts.items() if start > 0}
    save(training_curves([p for p in panels if p.series], "minutes of training", starts, caption), out)
