"""Checks that wait. A page does most of what it is told a moment later, on a loaded machine many seconds later.

What follows a click on a link, a touch, a scroll, a search or a dialog is checked by `expect` or `eventually`. What a page
does before Playwright's call returns (a filter, a sorting, a disclosure) may be read at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 30.0  # seconds until a wait fails


def expect(actual: Any) -> Any:
    """Playwright's assertions about a page or a locator, each tried again for `PATIENCE` seconds."""
    from playwright.sync_api import expect as assertions

    assertions.set_options(timeout=1000 * PATIENCE)
    return assertions(actual)


def eventually(page: Any, read: Callable[[], Any], wanted: Any) -> None:
    """Asserts that `read()` comes to equal `wanted` while `page` goes on."""
    until = time.monotonic() + PATIENCE
    while read() != wanted and time.monotonic() < until:
        page.wait_for_timeout(50)
    assert read() == wanted
