"""docs/own-data.md as a new user walks it, over drawn pictures and with fewer steps."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from docs_walk import ROOT, SHELL, blocks, run_commands
from PIL import Image, ImageDraw

import unite_bench as ub
from unite_bench.items import File

COLOURS = ("red", "green", "blue", "orange", "purple", "black")
SHAPES = {"disc": (24, 8, 72, 56), "bar": (2, 24, 94, 40), "post": (40, 2, 56, 62), "dot": (40, 24, 56, 40)}
MERGED = "run/adaptation/merged"


def draw(folder: Path, colours: tuple[str, ...], ground: str = "white") -> None:
    """A picture of every shape in every colour, with captions."""
    folder.mkdir(exist_ok=True)
    with (folder / "captions.txt").open("a", encoding="utf-8") as captions:
        for colour in colours:
            for shape, box in SHAPES.items():
                picture = Image.new("RGB", (96, 64), ground)
                pen = ImageDraw.Draw(picture)
                (pen.ellipse if shape == "disc" else pen.rectangle)(box, fill=colour)
                picture.save(folder / f"{colour}-{shape}-{ground}.png")
                captions.write(f"{colour}-{shape}-{ground}.png\ta {colour} {shape} on {ground}\n")


@pytest.mark.slow
def test_a_folder_of_pictures_becomes_a_model_that_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    draw(tmp_path / "held-out", COLOURS[5:])
    draw(tmp_path / "pictures", COLOURS)  # the last colour is in both
    printed = {}
    for block in blocks(ROOT / "docs" / "own-data.md"):
        if block.file:
            held = yaml.safe_load(block.body)
            if block.file == "train.yaml":
                stage = held["stages"]["adaptation"]
                stage |= {"epochs": 3, "batches": {"per_device": 10}}
            Path(block.file).write_text(yaml.safe_dump(held), encoding="utf-8")
        elif block.language in SHELL and not block.body.startswith("pip"):
            printed |= run_commands(block)

    curated = pq.read_table("curated/manifest.parquet")
    assert curated.num_rows == 20, "the four pictures that are held out are not trained on"
    assert any("dropped: equals an evaluation item: 4" in said for said in printed.values())
    said = next(said for line, said in printed.items() if "compare" in line)
    assert said.count("reference:my-pictures-adaptation - reference:nano") >= 2
    ran = [said for line, said in printed.items() if line.startswith("unite-bench run")]
    assert len(ran) == 4 and not any("procedural" in said for said in ran), "that is said of the package's tasks"
    picture = ub.Item((ub.Image(File(tmp_path / "held-out" / "black-dot-white.png")),))
    vectors = []
    for name in ("reference", f"reference:{MERGED}"):
        model = ub.load_embedder(name)
        model.setup("cpu", "float32")
        vectors.append(np.asarray(model.embed([picture], "candidate"), dtype=np.float64)[0])
    assert np.isclose(np.linalg.norm(vectors[1]), 1, atol=1e-3)
    assert vectors[0] @ vectors[1] < 0.999
