"""The automatic mixture on a pool with a useless source: does it take less of it, and is that better?

    python benchmarks/mixture.py --work SCRATCH [--rows 300] [--runs 8] [--steps 40]

Three sources of as many rows: scenes with their captions, short captions with long ones, and scenes with captions of other
scenes. The first two count in the score. Takes about half a minute of one core a proxy run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from reference_model.curation.pipeline import curate
from reference_model.curation.recipe import read_recipe
from unite_bench.sources.scenes.bases import still_base
from unite_bench.sources.scenes.language import long, short
from unite_bench.sources.scenes.render import render_image

RECIPE = """\
name: useless-source
sources:
  - {{kind: table, name: captions, path: captions.jsonl, query: {{text: words}}, target: {{image: picture}}}}
  - {{kind: table, name: short-long, path: short-long.jsonl, query: {{text: words}}, target: {{text: told}}}}
  - {{kind: table, name: wrong, path: wrong.jsonl, query: {{text: words}}, target: {{image: picture}}}}
steps:
  - kind: mixture
    runs: {runs}
    repeats: 1
    validation: 32
    worth: {{captions: 1.0, short-long: 1.0}}
    proxy: {{steps: {steps}}}
"""


def write(folder: Path, count: int) -> None:
    """Pictures of 84 pixels and three tables."""
    folder.mkdir(parents=True, exist_ok=True)
    scenes, others = (still_base(seed, "train", count) for seed in (1_500_000, 1_500_001))
    for n, scene in enumerate(scenes):
        Pillow.fromarray(render_image(scene, 84)).save(folder / f"{n}.png")
    order = np.random.default_rng(0).permutation(count)
    tables = {
        "captions": [{"words": short(scene, n), "picture": f"{n}.png"} for n, scene in enumerate(scenes)],
        "short-long": [{"words": short(scene, n), "told": long(scene, n)} for n, scene in enumerate(others)],
        "wrong": [{"words": short(scene, n), "picture": f"{order[n]}.png"} for n, scene in enumerate(others)],
    }
    for name, rows in tables.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40)
    asked = parser.parse_args()
    write(asked.work, asked.rows)
    recipe = asked.work / "recipe.yaml"
    recipe.write_text(RECIPE.format(runs=asked.runs, steps=asked.steps), encoding="utf-8")
    done = curate(
        read_recipe(recipe), asked.work / "curated", asked.work / "kept", note=lambda line: print(line, flush=True)
    )
    (step,) = done.taken
    print(json.dumps({key: step.facts[key] for key in ("groups", "taken", "mixtures", "verified", "fit")}, indent=1))


if __name__ == "__main__":
    main()
