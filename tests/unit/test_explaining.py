"""`list` and `show`: what there is, by filter, and any task in plain words, whether it can run here or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unite_bench.cli import app, inspecting  # noqa: F401  (registers the commands)
from unite_bench.errors import DataError
from unite_bench.report.catalogue import Filter, modalities
from unite_bench.report.explaining import WIDTH, in_words
from unite_bench.spec.catalogue import load_entry, task_files


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What the command line prints, with no data fetched."""
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path))

    def call(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == code, done.output
        return done.output

    return call


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("uvrb-cmrb", ["Given a text, find a video.", "- its columns and clips", "incomplete: something is missing"]),
        ("unite-flickr30k-i2t", ["find a text among all candidates", "any-of: any of a medium's captions is right"]),
        ("mmeb-cirr", ["Given an image with a text, find an image in the query's own list.", "data get mmeb-cirr"]),
        (
            "mmeb-v2-msvd",
            ["8 frames, linspace", "first: only the first of a medium's captions counts", "TIGER-Lab/MMEB-V2"],
        ),
        ("scenes-quartet-order-shuffled", ["of scenes-quartet-order: shuffled", "24 queries, 24 candidates (counted)"]),
        (
            "scenes-union",
            ["find one of several forms among the candidates of all corpora together", "table union-fused"],
        ),
    ],
)
def test_a_task_is_told_in_plain_words(said: Callable[..., str], task: str, expected: list[str]) -> None:
    told = " ".join(said("show", task).split())
    for words in expected:
        assert words in told, f"{words!r} in {told}"


def test_every_task_can_be_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path))
    for name in task_files():
        lines = in_words(load_entry(name))
        assert lines[0].startswith(f"{name}@") and all(len(line) <= WIDTH for line in lines[2:]), name


def test_show_goes_on_with_an_item_where_the_data_are_here(said: Callable[..., str]) -> None:
    told = said("show", "wordnet-t2t", "--item", "3")
    assert "query 3 of 697" in told and "positive, grade 1" in told
    refused = CliRunner().invoke(app, ["show", "mmeb-cirr", "--item", "3"]).exception
    assert isinstance(refused, DataError) and "not on this machine; `unite-bench data get`" in str(refused)


def test_list_is_short_and_says_how_to_go_on(said: Callable[..., str]) -> None:
    told = said("list")
    assert told.startswith("Suites") and "wordnet-t2t" not in told
    assert f"{len(task_files())} tasks: " in told and "unite-bench list tasks --granularity fine" in told
    assert len(told.splitlines()) < 80


def test_filters_pass_what_they_say(said: Callable[..., str]) -> None:
    told = said("list", "tasks", "--granularity", "fine", "--modality", "video")
    entries = {name: load_entry(name) for name in task_files()}
    wanted = {n for n, e in entries.items() if e.granularity == "fine" and any("video" in m for m in modalities(e))}
    assert {line.split()[0] for line in told.splitlines()[1:-1]} == wanted
    assert said("list", "--status", "incomplete").splitlines()[-1].endswith(f" {len(incomplete())} incomplete.")
    assert "Invalid value" in said("list", "tasks", "--granularity", "medium", code=2)


def incomplete() -> list[str]:
    return [name for name in task_files() if Filter(status="incomplete").wants(load_entry(name))]
