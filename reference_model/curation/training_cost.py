"""What training on a manifest would cost: items, tokens and GPU-hours of each stage (reference_model/cost)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from reference_model.checkpoint import CHECKPOINTS
from reference_model.cost import (
    NAMED,
    ModelShape,
    Reading,
    Setting,
    by_characters,
    device_of,
    estimate,
    measure,
)
from reference_model.cost.estimate import lines
from reference_model.cost.statistics import CHARACTERS_PER_TOKEN
from reference_model.curation.manifest import Manifest
from unite_bench.errors import ModelError, UsageError
from unite_bench.spec.source_kinds import Strict

MEASURED = 20_000  # rows of a stage that are looked at, about; each stands for its neighbours


class Cost(Strict):
    """For which model and machines the estimate is; the recipe is UNITE's."""

    model: str = Field("Qwen/Qwen2-VL-2B-Instruct", description="a known name, or a checkpoint, by folder or committed")
    device: str = "a100-80gb"
    devices: int = Field(8, ge=1)
    per_device: int = Field(64, ge=1, description="rows a device and batch")


def shape_of(cost: Cost, folder: Path) -> ModelShape:
    """The model's sizes; a checkpoint folder is looked for from the recipe's, then among the committed ones. Raises
    ModelError if there is none."""
    if cost.model in NAMED:
        return ModelShape.of(cost.model)
    committed = CHECKPOINTS / cost.model
    here = (folder / cost.model / "config.json").is_file()
    return ModelShape.of(committed if not here and (committed / "config.json").is_file() else folder / cost.model)


def wrong(cost: Cost, folder: Path) -> Iterator[tuple[str, str]]:
    """Keys whose values cannot be, each with the reason."""
    try:
        shape_of(cost, folder)
    except ModelError as error:
        yield "model", str(error)
    try:
        device_of(cost.device)
    except UsageError as error:
        yield "device", str(error)


def assumed(reading: Reading) -> str:
    """What the numbers of tokens rest on."""
    token = reading.preprocessing.factor**2
    least, most = (pixels // token for pixels in (reading.preprocessing.min_pixels, reading.preprocessing.max_pixels))
    return (
        f"assumed        a token for {CHARACTERS_PER_TOKEN:g} characters, whatever the language; {least:,} to {most:,} "
        f"visual tokens a picture; {reading.least} to {reading.most} frames a clip, {reading.fps:g} a second; features of "
        "a medium computed once; LoRA and loss of UNITE"
    )


def cost_of(manifest: Manifest, cost: Cost, folder: Path) -> dict[str, dict[str, Any]]:
    """By stage: pairs, items, tokens, GPU-hours, and the same in words with every assumption."""
    shape, device = shape_of(cost, folder), device_of(cost.device)
    found: dict[str, dict[str, Any]] = {}
    for stage, rows in manifest.facts["counts"]["stages"].items():
        reading = Reading(by_characters, every=max(1, rows // MEASURED))
        statistics = measure(manifest.rows(stage), reading)
        one = estimate(statistics, shape, Setting(devices=cost.devices, per_device=cost.per_device), device)
        found[stage] = {
            "model": cost.model,
            "device": f"{cost.devices} x {cost.device}",
            "pairs": round(one.pairs),
            "items": round(one.items),
            "text_tokens": round(one.text_tokens),
            "visual_tokens": round(one.visual_tokens),
            "gpu_hours": one.gpu_hours,
            "measured_rows": statistics.measured,
            "unreadable_media": statistics.unreadable,
            "in words": [*lines(one), assumed(reading)],
        }
    return found
