"""The README's walks, run as a new user would run them: the files and commands are taken from the README itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_walk import ROOT, blocks, walk

README = ROOT / "README.md"


def unite_bench(folder: Path, *arguments: str, code: int = 0) -> str:
    call = [sys.executable, "-c", "from unite_bench.cli import main; main()", *arguments]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def file(name: str) -> str:
    """A file of the README's walks."""
    return next(block.body for block in blocks(README) if block.file == name)


def test_both_walks_end_in_one_table(tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pictures.parent == tmp_path
    monkeypatch.chdir(tmp_path)
    outputs = walk(README, tmp_path)
    table = outputs["unite-bench leaderboard --task my_task.yaml --per-task --intervals"]
    assert re.search(r"\| colours +\|", table) and re.search(r"\| reference:nano +\|", table), table
    shown = outputs["unite-bench show my_task.yaml --item 3"]
    assert "'a orange circle'" in shown and "96 x 64" in shown


def test_the_results_in_the_readme_are_what_the_tool_prints(tmp_path: Path) -> None:
    shown = README.read_text().split("<!-- results -->\n")[1].split("<!-- /results -->")[0]
    assert shown.strip() == unite_bench(tmp_path, "leaderboard", "--committed", "--transpose").strip()


def test_help_and_wrong_use(tmp_path: Path) -> None:
    assert "leaderboard" in unite_bench(tmp_path, "--help")
    assert "did you mean 'reference'" in unite_bench(tmp_path, "run", "--model", "referense", "--suite", "all", code=2)
    assert "nothing to run" in unite_bench(tmp_path, "run", "--model", "random", code=2)
    (tmp_path / "bad.yaml").write_text("name: bad\nversion: 1\n")
    said = unite_bench(tmp_path, "run", "--model", "random", "--task", "bad.yaml", code=2)
    assert "bad.yaml:1:1: key 'granularity' is missing" in said and "Traceback" not in said


def test_a_failed_task_gives_exit_code_one_and_keeps_the_others(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "good.yaml").write_text(file("my_task.yaml"))
    (tmp_path / "bad.yaml").write_text(file("my_task.yaml").replace("path: pictures", "path: nowhere"))
    said = unite_bench(tmp_path, "run", "--model", "random", "--task", "bad.yaml", "--task", "good.yaml", code=1)
    assert "no such file or folder" in said
    assert len(list((tmp_path / "unite-bench-results").glob("random/*.json"))) == 1


def test_json_output_is_json(tmp_path: Path, pictures: Path) -> None:
    import json

    (tmp_path / "good.yaml").write_text(file("my_task.yaml"))
    said = unite_bench(tmp_path, "run", "--model", "constant", "--task", "good.yaml", "--json")
    assert json.loads(said)["measures"]["hit@1"]["value"] == pytest.approx(0.05, abs=1e-12)


def test_bad_media_name_the_item_and_lose_nothing(tmp_path: Path, pictures: Path) -> None:
    """A truncated PNG and a text file named .jpg: an error that names the file, or a counted skip."""
    (tmp_path / "mine.yaml").write_text(file("my_task.yaml"))
    whole = (pictures / "07.png").read_bytes()
    (pictures / "07.png").write_bytes(whole[: len(whole) // 2])
    said = unite_bench(tmp_path, "run", "--model", "my_model.py", "--task", "mine.yaml", code=2)
    assert "my_model.py does not exist" in said
    (tmp_path / "my_model.py").write_text(file("my_model.py"))
    run = ("run", "--model", "my_model.py", "--task", "mine.yaml", "--store", "vectors")
    said = unite_bench(tmp_path, *run, code=1)
    assert "item '7'" in said and "07.png: " in said and "not a readable picture" in said and "Traceback" not in said
    skipped = unite_bench(tmp_path, *run, "--on-error", "skip")
    assert "some items could not be encoded and count as missed" in skipped
    assert "colours" in unite_bench(tmp_path, "store", "info", "--store", "vectors")
    (pictures / "07.png").write_bytes(whole)
    assert "warning" not in unite_bench(tmp_path, *run)
