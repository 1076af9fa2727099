"""Pages in a real browser: Debian's Chromium without a window, driven by Playwright.

Every page that `open_page` opens is watched. When the test ends, it fails if a page raised an error, wrote one to the
console, or asked for anything that is neither below its own folder nor on the local server. `accessible` runs axe-core,
whose script `UNITE_BENCH_AXE` names; `UNITE_BENCH_CHROMIUM` names another browser than /usr/bin/chromium.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest
from waiting import PATIENCE

CHROMIUM = Path(os.environ.get("UNITE_BENCH_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
INERT = ("data:", "blob:", "about:")  # addresses that ask nobody
PHONE, DESK = (390, 844), (1280, 900)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="install the extra `browser`")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there; install the package chromium, or name a browser in UNITE_BENCH_CHROMIUM")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=4000 * PATIENCE)
        yield chromium
        chromium.close()


class Watch:
    """Opens pages and remembers what they did wrong."""

    def __init__(self, browser: Any):
        self.browser = browser
        self.wrong: list[str] = []
        self.held: list[Any] = []
        self.closing: list[Callable[[], None]] = []

    def __call__(
        self,
        folder: Path,
        address: str = "index.html",
        *,
        over: Literal["file", "http"] = "file",
        size: tuple[int, int] = DESK,
        scheme: Literal["light", "dark"] = "light",
        hold: str | None = None,
    ) -> Any:
        """A Playwright page showing `address` (with a fragment or not) of a folder, from the file system or a server.

        What matches the pattern `hold` is held back until `release`, and the page is given before it has loaded.
        """
        base = folder.resolve().as_uri() if over == "file" else self._serve(folder)
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            has_touch=size == PHONE,
            reduced_motion="reduce",  # no colour is read half way to another
        )
        self.closing.append(context.close)
        context.on("request", partial(self._asked, base + "/"))
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: self.wrong.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self._said(page.url, said))
        if hold is not None:
            page.route(hold, lambda route: self.held.append(route))
        page.goto(f"{base}/{address}", wait_until="load" if hold is None else "commit")
        return page

    def release(self) -> None:
        """Let through what was held back."""
        while self.held:
            self.held.pop().continue_()

    def _asked(self, base: str, request: Any) -> None:
        if not request.url.startswith((base, *INERT)):
            self.wrong.append(f"a request to {request.url}")

    def _said(self, url: str, said: Any) -> None:
        if said.type == "error":
            self.wrong.append(f"{url}: console: {said.text}")

    def _serve(self, folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.closing += [server.server_close, server.shutdown]
        return f"http://127.0.0.1:{server.server_address[1]}"

    def close(self) -> None:
        while self.closing:
            self.closing.pop()()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Watch]:
    """Opens pages; fails the test at its end if one of them did something wrong."""
    watch = Watch(browser)
    yield watch
    watch.close()
    assert not watch.wrong, "\n".join(watch.wrong)


@pytest.fixture
def accessible() -> Callable[[Any], None]:
    """Asserts that axe-core finds no violation in a page as it stands."""
    path = os.environ.get("UNITE_BENCH_AXE")
    if path is None:
        pytest.skip("UNITE_BENCH_AXE does not name axe.min.js, which `npm pack axe-core` fetches")

    def check(page: Any) -> None:
        page.evaluate(_axe(path))
        found = page.evaluate("axe.run({ preload: false })")["violations"]
        told = [f"{of['id']}: {of['help']}: {node['html'][:200]}" for of in found for node in of["nodes"][:3]]
        assert not told, "\n".join([page.url, *told])

    return check


@cache
def _axe(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


class _Quiet(SimpleHTTPRequestHandler):
    """A static server that writes no log."""

    def log_message(self, format: str, *args: Any) -> None:
        pass
