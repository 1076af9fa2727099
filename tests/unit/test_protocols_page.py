"""docs/protocols.md: its commands run, its numbers are what they print, and it leaves out no switch."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unite_bench.cli import app, measuring, reporting, reproducing  # noqa: F401  (importing registers the commands)
from unite_bench.protocol import SWITCHES

PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()
BLOCK = re.compile(r"<!-- (file: (?P<name>\S+)|run) -->\n```\w*\n(?P<body>.*?)```", re.DOTALL)


def test_the_worked_example_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = []
    for block in BLOCK.finditer(PAGE):
        if block["name"]:
            (tmp_path / block["name"]).write_text(block["body"])
            continue
        for line in block["body"].splitlines():
            done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
            assert done.exit_code == 0, done.output
            printed.append(done.stdout)
    *runs, board, traced = printed
    assert [re.search(r"hit@1 +(\S+)", run)[1] for run in runs] == ["80.0", "100.0", "60.0"]  # type: ignore[index]
    assert board.count("| hashed-text |") == 3
    assert "ties in the order of trec_eval; duplicates: keep; duplicates: by-name" in traced
    assert "as given). 6 of 16 readings match" in traced  # three readings, as hit and as recall
    for score in ("80", "100", "60"):
        assert re.search(rf"\b(is|has) {score}\b", PAGE)


def test_every_switch_is_on_the_page() -> None:
    for name in SWITCHES:
        assert f"| `--{name.replace('_', '-')}" in PAGE, name
