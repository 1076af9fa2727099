"""The driver itself: what a page may do, and what fails a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

pytestmark = pytest.mark.browser

PAGE = (
    '<!doctype html><html lang="en"><title>t</title><link rel="icon" href="data:,">'
    '<main><h1>Title</h1><img alt="a" src="{src}"></main></html>'
)
DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
OUTSIDE = "http://192.0.2.1/a.png"


def write(folder: Path, body: str) -> Path:
    (folder / "index.html").write_text(body)
    return folder


@pytest.mark.parametrize("over", ["file", "http"])
def test_a_quiet_page_is_let_through(open_page: Any, tmp_path: Path, over: str) -> None:
    write(tmp_path, PAGE.format(src=DOT))
    assert open_page(tmp_path, over=over).text_content("h1") == "Title"


@pytest.mark.parametrize(
    "body",
    [
        PAGE.format(src=OUTSIDE),
        PAGE.format(src="../outside.png"),
        "<script>throw new Error('lost')</script>",
        "<script>console.error('lost')</script>",
    ],
)
def test_requests_elsewhere_and_errors_are_held_against_a_page(open_page: Any, tmp_path: Path, body: str) -> None:
    inside = tmp_path / "pages"
    inside.mkdir()
    page = open_page(write(inside, body))
    eventually(page, lambda: bool(open_page.wrong), True)
    open_page.close()  # nothing more comes after this
    open_page.wrong.clear()


def test_what_axe_finds_fails(open_page: Any, accessible: Callable[[Any], None], tmp_path: Path) -> None:
    page = open_page(write(tmp_path, PAGE.format(src=DOT).replace('alt="a" ', "")))
    with pytest.raises(AssertionError, match="image-alt"):
        accessible(page)
