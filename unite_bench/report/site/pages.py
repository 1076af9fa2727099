"""From templates and data to files. Whatever is text in the data is escaped; nothing is marked as safe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from unite_bench import __version__

SITE = Path(str(files("unite_bench.report.site")))
SHARED = Path(str(files("unite_bench.report"))) / "assets"


class Writer:
    """Writes pages, assets and pieces of data into one folder."""

    def __init__(self, out: Path):
        self.out = out

    def assets(self) -> None:
        """Styles and scripts."""
        folder = self.out / "assets"
        folder.mkdir(parents=True, exist_ok=True)
        for asset in [SHARED / "base.css", *sorted((SITE / "assets").iterdir())]:
            shutil.copyfile(asset, folder / asset.name)

    def page(self, template: str, path: str, data: Mapping[str, Any]) -> None:
        """Render a template; `root` leads from the page to the folder of the site."""
        root = "../" * path.count("/")
        text = self._templates.get_template(template).render(**data, root=root, version=__version__)
        self._write(path, text)

    def piece(self, name: str, data: Any) -> None:
        """Data as a script, for a page that is opened from a file may load scripts, but not fetch."""
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self._write(f"data/{name}.js", f"piece({json.dumps(name)},{text});\n")

    def _write(self, path: str, text: str) -> None:
        target = self.out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    @cached_property
    def _templates(self) -> Any:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        from unite_bench.report.leaderboard import percent
        from unite_bench.report.site import drawing

        environment = Environment(
            loader=FileSystemLoader(SITE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["percent"] = percent
        environment.globals["draw"] = drawing
        return environment
