"""Huge JSON: one array or a value a line, read piece by piece; what is broken is found where it is."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_model.curation.readers.json_stream import values
from unite_bench.errors import DataError


@settings(max_examples=50)
@given(
    st.lists(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=6,
    ),
    st.integers(1, 9),
    st.booleans(),
)
def test_an_array_is_read_whatever_the_pieces_it_comes_in(
    tmp_path_factory: pytest.TempPathFactory, data: list[Any], chunk: int, lines: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "curation.json"
    listed = [[value] for value in data]  # in lists, so that a file of lines does not look like an array
    path.write_text("\n".join(json.dumps({"v": value}) for value in data) if lines else json.dumps(listed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reference_model.curation.readers.json_stream.CHUNK", chunk)
        assert list(values(path)) == ([{"v": value} for value in data] if lines else listed)


def test_broken_json_is_an_error_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text, message in (
        ('[{"a": 1}, {"b" 2}, ' + " " * 100 + "{}]", "not JSON at character 16"),
        ('[{"a": 1}', "the file was cut off"),
        ('[{"a": "1', "not JSON at character"),
        ("[1] 2", "after the end of the array"),
        ("[" * 200_000, "too many brackets"),
        ("[" + "1" * 5000 + "]", "a value in it cannot be read"),
        ("[1 2]", r"not JSON at character 3 \(expected a comma, found '2'\)"),
        ('[{"a": 1} {"a": 2}]', "character 10 .expected a comma"),
        ("[,1]", r"character 1 \(expected a value, found ','\)"),
        ("[1,, 2]", "character 3 .expected a value"),
        ("[1,]", r"character 3 \(expected a value, found ']'\)"),
        ("[1]]", "after the end of the array"),
        ('{"a": 1} nonsense' + " " * 100, "not JSON at character 9"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            list(values(path))
    path.write_bytes(b'["\xff"]')
    with pytest.raises(DataError, match="not UTF-8"):
        list(values(path))


def test_a_value_that_never_ends_is_not_read_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_model.curation.readers.json_stream.CHUNK", 100)
    monkeypatch.setattr("reference_model.curation.readers.json_stream.LARGEST", 1000)
    (tmp_path / "x.json").write_text(json.dumps(["x" * 100_000]))
    with pytest.raises(DataError, match="not JSON"):
        list(values(tmp_path / "x.json"))


def test_numbers_are_not_cut_where_a_piece_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_model.curation.readers.json_stream.CHUNK", 3)
    for text in ("[12345, 678]", "12345\n678"):
        (tmp_path / "x.json").write_text(text)
        assert list(values(tmp_path / "x.json")) == [12345, 678]


def test_broken_json_is_found_without_reading_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_model.curation.readers.json_stream.CHUNK", 100)
    read_on: list[int] = []

    class Spied(io.TextIOWrapper):
        def read(self, size: int | None = -1, /) -> str:
            read_on.append(size or 0)
            return super().read(size)

    (tmp_path / "x.json").write_text('[{"a" 1}, ' + "[]," * 10_000)
    monkeypatch.setattr(Path, "open", lambda path, encoding: Spied(io.FileIO(path), encoding))
    with pytest.raises(DataError, match="not JSON at character 6"):
        list(values(tmp_path / "x.json"))
    assert read_on == [100]
