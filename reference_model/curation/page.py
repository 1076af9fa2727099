"""The report as one page that stands alone: tables, charts, and examples of what was kept and what was dropped.

Everything from data goes through autoescape: a caption that is HTML stays text.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from reference_model.curation.pipeline import REJECTED, Curated
from reference_model.curation.step import Context
from reference_model.curation.taking import drawn
from unite_bench.errors import DataError
from unite_bench.items import Item
from unite_bench.report.previews import Preview, Previews

KEPT = 12  # examples of what was kept
SIDE = 160  # pixels of a thumbnail's longest side
LONGEST = 300  # characters of a text that are shown


@dataclass(frozen=True)
class Example:
    """A row as the page shows it; `partner` is the row that it was dropped for."""

    id: str
    query: tuple[dict[str, Any], ...]
    target: tuple[dict[str, Any], ...]
    partner: Example | None = None


def write_page(path: Path, curated: Curated, report: Mapping[str, Any]) -> None:
    """Write the page; examples are drawn by the recipe's seed."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("reference_model.curation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        show = _Shown(curated, Previews(Path(folder), SIDE))
        page = environment.get_template("report.html").render(
            report=report,
            base=files("unite_bench.report").joinpath("assets", "base.css").read_text(encoding="utf-8"),
            rejected=REJECTED,
            kept=show.kept(),
            dropped=[show.dropped(number) for number in range(len(curated.taken))],
            most=max(sum(one.before.values()) for one in curated.taken)
            if curated.taken
            else report["manifest"]["rows"],
        )
    path.write_text(page, encoding="utf-8")


class _Shown:
    """Makes examples of rows."""

    def __init__(self, curated: Curated, previews: Previews):
        self._curated, self._previews = curated, previews

    def kept(self) -> list[Example]:
        curated = self._curated
        context = Context(curated.plan.recipe.seed, Path(), Path())
        return list(self._examples(drawn(curated.alive, context, "kept", KEPT)).values())

    def dropped(self, number: int) -> list[tuple[str, list[Example]]]:
        """Examples of one step by reason, each with its partner where it has one."""
        one = self._curated.taken[number]
        shown = []
        for reason, rows in one.examples.items():
            partners = self._examples(one.partners[row] for row in rows if row in one.partners)
            examples = self._examples(rows, {row: partners.get(partner) for row, partner in one.partners.items()})
            shown.append((reason, list(examples.values())))
        return shown

    def _examples(
        self, rows: Iterable[int], partners: Mapping[int, Example | None] | None = None
    ) -> dict[int, Example]:
        numbers = np.unique(np.fromiter(rows, dtype=np.int64))
        sides = zip(*(self._curated.pool.items(numbers, side) for side in ("query", "target")), strict=True)
        return {
            int(number): Example(query.id, self._parts(query), self._parts(target), (partners or {}).get(int(number)))
            for number, (query, target) in zip(numbers, sides, strict=True)
        }

    def _parts(self, item: Item) -> tuple[dict[str, Any], ...]:
        """Parts as the template wants them; an instruction comes first."""
        said = [{"kind": "instruction", "text": item.instruction}] if item.instruction else []
        return (*said, *(self._part(item, at) for at in range(len(item.parts))))

    def _part(self, item: Item, at: int) -> dict[str, Any]:
        try:
            (preview,) = self._previews.of(Item((item.parts[at],)))
        except DataError as error:  # a bank or a Parquet file that is gone says so in its place
            preview = Preview(item.parts[at].kind, lost=str(error))
        if preview.lost is not None:
            preview = replace(preview, lost=preview.lost.replace(f"{self._curated.pool.root}/", ""))
        shown = preview.as_data()
        if preview.picture is not None:
            data = base64.b64encode((self._previews.folder / preview.picture).read_bytes()).decode()
            shown["source"] = f"data:image/webp;base64,{data}"
        if preview.text is not None and len(preview.text) > LONGEST:
            shown["text"] = f"{preview.text[:LONGEST]} … ({len(preview.text):,} characters)"
        return shown
