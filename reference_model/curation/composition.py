"""Composition and schedule as a declared design: modality pair x granularity x stage, and what was found of it.

This is what the paper means by curation (Kong et al., arXiv 2505.19650, section on data): which pairs of which modalities,
how fine, in which stage, and how much of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from reference_model.curation.rows import Granularity, Stage
from unite_bench.items import KINDS, modality
from unite_bench.spec.source_kinds import Strict


def _pair(text: str) -> str:
    """`text>image` is from query to target; `text-image` is both orders. Sets are written with `+`, in any order."""
    mark = ">" if ">" in text else "-"
    sides = text.split(mark)
    kinds = [side.strip().split("+") for side in sides]
    if len(sides) != 2 or any(kind not in KINDS for side in kinds for kind in side):
        raise ValueError(
            f"a pair is two of text, image, video or sets like image+text, as in text>image; found {text!r}"
        )
    named = [modality(side) for side in kinds]
    return mark.join(named if mark == ">" else sorted(named))


class Cell(Strict):
    """One cell of the design. What is left out stands for any; `share` is in percent of its stage, `rows` a number. Where
    `sources` are named beside a pair, rows of these make up the cell, and the pair is what a paper calls them."""

    stage: Stage
    granularity: Granularity | None = None
    pair: Annotated[str, AfterValidator(_pair)] | None = None
    source: str | None = None
    sources: Annotated[tuple[str, ...], Field(strict=False)] = ()
    share: Annotated[float, Field(ge=0, le=100, strict=False)] | None = None
    rows: Annotated[int, Field(ge=0)] | None = None

    @property
    def name(self) -> str:
        """What tables call it."""
        said = (self.stage, self.granularity, self.pair, self.source)
        return ", ".join(word for word in said if word is not None)

    def holds(self, group: Group) -> bool:
        """Whether rows of a group belong to the cell."""
        wanted = ((self.stage, group.stage), (self.granularity, group.granularity), (self.source, group.source))
        if not all(a is None or a == b for a, b in wanted):
            return False
        return group.source in self.sources if self.sources else self.pair in (None, group.pair, group.unordered)


@dataclass(frozen=True)
class Group:
    """Rows that the design cannot tell apart."""

    source: str
    stage: str
    granularity: str
    query: str
    target: str

    @property
    def pair(self) -> str:
        return f"{self.query}>{self.target}"

    @property
    def unordered(self) -> str:
        return "-".join(sorted((self.query, self.target)))


def coverage(
    design: Sequence[Cell], found: Mapping[Group, int], kept: Mapping[Group, int], weights: Mapping[Group, float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The design's cells with what was found of each, and the groups of rows that no cell declares.

    `weights` are those of the kept rows, added up. Shares are percent of the cell's stage: `share` of its kept rows,
    `drawn_share` of their weights, which is what training sees. An `empty` cell was declared and has no kept row.
    """
    cells = []
    for cell in design:
        held = [group for group in found if cell.holds(group)]
        rows = sum(kept.get(group, 0) for group in held)
        cells.append(
            {
                "cell": cell.name,
                "declared_share": cell.share,
                "declared_rows": cell.rows,
                "found": sum(found[group] for group in held),
                "kept": rows,
                "share": _share(kept, held, cell.stage),
                "drawn_share": _share(weights, held, cell.stage),
                "empty": rows == 0,
            }
        )
    undeclared = [
        {**vars(group), "pair": group.pair, "found": n, "kept": kept.get(group, 0)}
        for group, n in found.items()
        if design and not any(cell.holds(group) for cell in design)
    ]
    return cells, undeclared


def _share(amounts: Mapping[Group, float], held: Sequence[Group], stage: str) -> float:
    """Percent of a stage's amount that these groups have."""
    total = sum(amount for group, amount in amounts.items() if group.stage == stage)
    return 100 * sum(amounts.get(group, 0.0) for group in held) / total if total else 0.0
