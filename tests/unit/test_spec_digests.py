"""Versions never change meaning: the committed digests of the task files hold, and say what to do where they do not."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from unite_bench.spec.catalogue import load_task, task_files


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    return importlib.import_module("spec_digests")


def test_the_committed_digests_are_those_of_the_task_files(tool: ModuleType) -> None:
    assert tool.faults(tool.committed(), tool.current(), tool.frozen()) == []
    assert {label.split("@")[0] for label in tool.committed()} >= {
        name for name, path in task_files().items() if "status: incomplete" not in path.read_text(encoding="utf-8")
    }


def test_a_changed_meaning_needs_a_new_version_from_the_first_release_on(tool: ModuleType) -> None:
    task = load_task("scenes-t2i")
    before = {task.label: task.protocol_digest, "gone@1": "0"}
    edited = task.model_copy(update={"duplicates": "keep"})
    now = {edited.label: edited.protocol_digest}
    assert tool.faults(before, now, True) == [
        "scenes-t2i@1: its meaning changed; raise its version and run tools/spec_digests.py"
    ]
    with pytest.raises(ValueError, match="versions never change meaning; raise those of scenes-t2i@1"):
        tool.rewritten(before, now, True)
    raised = edited.model_copy(update={"version": 2})
    grown = tool.rewritten(before, {raised.label: raised.protocol_digest}, True)
    assert set(grown) == {"scenes-t2i@1", "scenes-t2i@2", "gone@1"}, "what a version meant is kept"


def test_before_the_first_release_the_file_is_written_anew(tool: ModuleType) -> None:
    before, now = {"a@1": "1", "b@1": "2"}, {"a@1": "3"}
    assert tool.rewritten(before, now, False) == now
    assert len(tool.faults(before, now, False)) == 2
    assert [tool.frozen(v) for v in ("0.0.9", "0.1.0.dev0", "0.1.0", "0.1.1.dev0", "1.0")] == [False, False] + [
        True
    ] * 3


def test_words_alone_change_no_meaning(tool: ModuleType) -> None:
    task = load_task("scenes-t2i")
    told = task.model_copy(update={"title": "Another title", "notes": "said otherwise", "licence": "other"})
    assert told.protocol_digest == task.protocol_digest
