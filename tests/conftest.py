"""Every test runs offline, with a vector store of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"  # the only servers are the tests' own
os.environ.setdefault("OMP_NUM_THREADS", "2")

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITE_BENCH_STORE", str(tmp_path_factory.mktemp("vectors")))


@pytest.fixture
def pdflatex(tmp_path: Path) -> Callable[[Sequence[str]], str]:
    """Compiles tables, one a page, and gives the log; an error of LaTeX fails the test."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-base, texlive-latex-recommended)")

    def compiled(tables: Sequence[str]) -> str:
        body = "\n\\clearpage\n".join(tables)
        head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        (tmp_path / "tables.tex").write_text(f"{head}{body}\n\\end{{document}}\n", encoding="utf-8")
        call = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / "tables.pdf").is_file()
        return (tmp_path / "tables.log").read_text(errors="replace")

    return compiled


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
