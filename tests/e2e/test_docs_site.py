"""The documentation as a site: it builds without a warning, and a reader's browser asks nobody else for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:link|script|img|iframe|source|object)\b[^>]*?\b(?:src|href|data)=[\"']?([^\"'\s>]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built in strict mode: a warning is an error."""
    out = tmp_path_factory.mktemp("site")
    call = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    assert len(pages) > 15 and styles
    for page in pages:
        for address in LOADED.findall(page.read_text(encoding="utf-8")):
            assert not re.match(r"(\w+:)?//", address), f"{page.relative_to(site)} loads {address}"
    for style in styles:
        assert not re.search(r"url\([\"']?(\w+:)?//|@import", style.read_text(encoding="utf-8")), style


@pytest.mark.slow
def test_the_api_page_tells_every_public_name(site: Path) -> None:
    import unite_bench as ub

    page = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in set(dir(ub)) & set(ub._HOMES) - {"Role"}:
        assert f'id="{ub._HOMES[name]}.{name}"' in page, name
        docstring = (getattr(ub, name).__doc__ or "").split("`")[0].split("\n")[0].strip()
        assert docstring.split(".")[0] in re.sub(r"<[^>]+>", "", page), name
