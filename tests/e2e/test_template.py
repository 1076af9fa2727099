"""The template under examples/ works as it is: its own tests pass, and its entry point leads to an embedder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from unite_bench import registry

TEMPLATE = Path(__file__).parents[2] / "examples" / "embedder_template"


def test_the_templates_own_tests_pass(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(TEMPLATE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=copy, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout and "failed" not in done.stdout


def test_its_entry_point_is_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())["project"]
    points = [
        EntryPoint(name, target, registry.GROUP) for name, target in project["entry-points"][registry.GROUP].items()
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    monkeypatch.syspath_prepend(str(TEMPLATE / "src"))
    model = registry.load_embedder("my-embedder")
    assert model.card.name == "my-embedder"
    assert registry.problems() == {}
