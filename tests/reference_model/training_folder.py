"""A small folder to train from: pictures, a clip as a folder of frames, a manifest of their pairs, and a recipe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from PIL import Image as Pillow
from tiny_model import Noise

from reference_model.curation.manifest import SCHEMA, write_manifest
from reference_model.curation.rows import Row, item_to_json
from reference_model.train.recipe_reader import Plan, read_recipe
from unite_bench.items import File, Image, Item, Text, Video
from unite_bench.sources.frame_folder import FrameFolder

PICTURES = 8
TASK = """
name: own
version: 1
title: Words to words
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {modality: text, text: asked}
candidates: {modality: text, text: said}
qrels: by-row
pool: corpus
metrics: [hit@1]
primary: hit@1
licence: CC0-1.0
citation: none
"""


def text(words: str, instruction: str | None = None) -> Item:
    return Item((Text(words),), instruction)


def picture(data: Path, number: int) -> Item:
    return Item((Image(File(data / f"{number}.png")),))


def rows(data: Path) -> list[Row]:
    """Text to picture and back, with an explicit negative; text to text; a text to a clip; a fused target."""
    found = [Row(f"a:{n}", "a", text(f"picture {n}"), picture(data, n), both=True) for n in range(PICTURES)]
    found += [Row(f"b:{n}", "b", picture(data, n), text(f"words {n}"), (text("no"),)) for n in range(PICTURES)]
    found += [Row(f"c:{n}", "c", text(f"{n} and {n}"), text(f"twice {n}"), unmasked=n == 1) for n in range(5)]
    found.append(Row("d:0", "d", text("moving", "Find the clip."), Item((Video(FrameFolder(data / "clip")),))))
    found.append(Row("e:0", "e", text("both"), Item((*picture(data, 1).parts, Text("with words")))))
    return found


def save_manifest(path: Path, data: Path, given: list[Row]) -> None:
    def cells(row: Row) -> dict[str, Any]:
        return {
            "id": row.id,
            "source": row.source,
            "query": item_to_json(row.query, data),
            "target": item_to_json(row.target, data),
            "negatives": [item_to_json(item, data) for item in row.negatives],
            "query_modality": row.query.modality,
            "target_modality": row.target.modality,
            "granularity": row.granularity,
            "topic": row.topic,
            "stage": row.stage,
            "weight": row.weight,
            "unmasked": row.unmasked,
            "both": row.both,
            "file": "",
            "row": 0,
            "query_digest": "",
            "target_digest": "",
        }

    write_manifest(path, iter([pa.Table.from_pylist(list(map(cells, given)), SCHEMA)]), data, {"seed": 0})


def make_data(folder: Path) -> Path:
    """The media and `pairs.parquet`, whose rows are all of stage 1."""
    (folder / "clip").mkdir(parents=True)
    for number in range(PICTURES):
        Pillow.fromarray(Noise(number).picture()).save(folder / f"{number}.png")
    for frame in range(6):
        Pillow.fromarray(Noise(100 + frame).picture()).save(folder / "clip" / f"{frame}.png")
    save_manifest(folder / "pairs.parquet", folder, rows(folder))
    return folder


STAGE: dict[str, Any] = {
    "data": {"manifests": ["pairs.parquet"], "rows": "all"},
    "steps": 6,
    "rate": 1e-2,
    "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
    "loss": {"directions": "rows"},
    "batches": {"per_device": 8, "tokens": 300},
    "checkpoints": {"steps": 2},
    "schedule": {"warmup": 0},
    "log_steps": 1,
}


@dataclass(frozen=True)
class Ground:
    """A data folder, a checkpoint, and a folder for runs."""

    data: Path
    base: Path
    folder: Path

    def plan(self, out: str = "run", stage: dict[str, Any] | None = None, **changes: Any) -> Plan:
        """A recipe of two alike stages, the second of two steps; `stage` changes both, mappings key by key. What is None
        is left out."""
        own = {**STAGE}
        for key, value in (stage or {}).items():
            own[key] = {**own[key], **value} if isinstance(value, dict) and key in own and key != "data" else value
        own = {key: value for key, value in own.items() if value is not None}
        whole = {
            "name": "small",
            "base": str(self.base),
            "out": out,
            "work": "work",
            "data": str(self.data),
            "dtype": "float32",
            "autocast": False,
            "max_length": 160,
            "gradient_checkpointing": False,
            "stages": {"adaptation": own, "instruction": {**own, "steps": 2, "epochs": None}},
            **changes,
        }
        said = {key: value for key, value in whole.items() if value is not None}
        (self.folder / "recipe.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
        return read_recipe(self.folder / "recipe.yaml")

    def log(self, out: str = "run", stage: str = "adaptation") -> list[dict[str, Any]]:
        lines = (self.folder / out / stage / "training.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def losses(self, out: str = "run", stage: str = "adaptation") -> list[float]:
        return [row["loss"] for row in self.log(out, stage) if "loss" in row]
