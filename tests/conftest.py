"""Every test runs offline, with a vector store of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITE_BENCH_STORE", str(tmp_path_factory.mktemp("vectors")))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 20 plainly different pictures with captions, as a new user might have."""
    from PIL import Image, ImageDraw

    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = []
    colours = ["red", "green", "blue", "orange", "purple"]
    for n in range(20):
        shape, colour = ("circle", "square", "bar", "cross")[n // 5], colours[n % 5]
        picture = Image.new("RGB", (96, 64), "white")
        pen = ImageDraw.Draw(picture)
        box = {"circle": (20, 4, 76, 60), "square": (24, 8, 72, 56), "bar": (2, 26, 94, 38), "cross": (40, 2, 56, 62)}[
            shape
        ]
        (pen.ellipse if shape == "circle" else pen.rectangle)(box, fill=colour)
        picture.save(folder / f"{n:02}.png")
        lines.append(f"{n:02}.png\ta {colour} {shape}")
    (folder / "captions.txt").write_text("\n".join(lines) + "\n")
    return folder
