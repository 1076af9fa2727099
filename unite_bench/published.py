"""Scores that others published, each with what is known of how it came about.

One YAML file a paper or score file under `leaderboards/published`. A row is one checkpoint under one protocol; what its
source does not say is written `unknown`. Scores are in percent, as printed. A column belongs to a task of the catalogue, or
to a mean of a layout, where that is certain; else it says why not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from unite_bench.errors import UsageError
from unite_bench.spec.catalogue import task_files
from unite_bench.spec.measures import parse_measure
from unite_bench.spec.reader import checked
from unite_bench.spec.source_kinds import Strict
from unite_bench.spec.yaml_reader import read as read_yaml

UNKNOWN = "unknown"
Reported = Literal["self", "others", "unknown"]
Condition = Literal["benchmark", "frames", "prompt", "rerank", "captions", "ties", "run_by", "reported"]
Kind = Literal["printed-table", "figure-label", "score-file", "issue", "summary"]
Percent = Annotated[float, Field(ge=0, le=100, strict=False)]


def _measure(text: str) -> str:
    return text if text in ("mixed", UNKNOWN) else str(parse_measure(text))


def _task(name: str) -> str:
    if name not in task_files():
        raise ValueError(f"{name!r} is no task of the catalogue; `unite-bench list tasks` shows all")
    return name


class Conditions(Strict):
    """How numbers came about, in words. `reported` says whether those who made the model measured it."""

    benchmark: str = Field(description="name and version of the benchmark")
    frames: str
    prompt: str
    rerank: str
    captions: str = Field(description="which captions are used where an item has several")
    ties: str
    run_by: str
    reported: Reported


class Column(Strict):
    """What stands under one heading. `mean` names a column of a layout, as in `mmeb/CLS`."""

    measure: Annotated[str, AfterValidator(_measure)]
    printed: str = Field(description="heading and measure as the source prints them")
    task: Annotated[str, AfterValidator(_task)] | None = None
    mean: str | None = Field(default=None, pattern=r"^[a-z0-9-]+/.+$")
    unmapped: str | None = Field(default=None, description="why it is neither")
    queries: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_place(self) -> Column:
        if sum(place is not None for place in (self.task, self.mean, self.unmapped)) != 1:
            raise ValueError("give one of task, mean and unmapped")
        return self


class Row(Strict):
    """One checkpoint under one protocol. `source`, `kind` and `conditions` are given where they differ from the file's.

    `trained_on` names the training sets that are known; there may be others.
    """

    checkpoint: str
    backbone: str
    size: str
    trained_on: list[str] | Literal["unknown"]
    source: str | None = None
    kind: Kind | None = None
    conditions: dict[Condition, str] = Field(default={})
    scores: Annotated[dict[str, Percent], Field(min_length=1)]
    flags: dict[str, str] = Field(default={}, description="column to what is wrong or disputed there")


class Published(Strict):
    """One file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    source: str
    kind: Kind
    conditions: Conditions
    notes: list[str] = Field(default=[])
    columns: dict[str, Column]
    rows: Annotated[list[Row], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Published:
        for row in self.rows:
            for column in row.scores.keys() - self.columns.keys():
                raise ValueError(f"{row.checkpoint}: no column {column!r}; there are {', '.join(self.columns)}")
            for column in row.flags.keys() - row.scores.keys():
                raise ValueError(f"{row.checkpoint}: a flag on {column!r}, which has no score")
            self.conditions_of(row)
        kept = [(row.checkpoint, row.source, tuple(sorted(row.conditions.items()))) for row in self.rows]
        for n, row in enumerate(self.rows):
            if kept[n] in kept[:n]:
                raise ValueError(f"{row.checkpoint} stands here twice under the same source and conditions")
        return self

    def conditions_of(self, row: Row) -> Conditions:
        """The conditions of a row: the file's, and in their place what the row says."""
        return Conditions.model_validate(self.conditions.model_dump() | row.conditions)

    def source_of(self, row: Row) -> str:
        return row.source or self.source


def published_root() -> Path:
    """The published scores that ship with the package."""
    return Path(str(files("unite_bench"))) / "leaderboards" / "published"


@lru_cache(maxsize=1)
def published_files() -> dict[str, Path]:
    """Name to file; a file is named after what it holds."""
    return {path.stem: path for path in sorted(published_root().glob("*.yaml"))}


def read_published(path: Path) -> Published:
    """Read and check one file. Raises SpecError with every finding, each as `file:line:column`."""
    return checked(Published, read_yaml(path))


@lru_cache(maxsize=1)
def all_published() -> tuple[Published, ...]:
    """Every file that ships, by name."""
    return tuple(map(read_published, published_files().values()))


def load_published(names: Sequence[str]) -> list[Published]:
    """Those that ship, by name, and files by path; without names, all that ship. Raises UsageError for an unknown name."""
    known = published_files()
    for name in names:
        if name not in known and not Path(name).is_file():
            raise UsageError(f"no published scores {name!r}; there are {', '.join(known)}")
    return [read_published(known.get(name, Path(name))) for name in names] or list(all_published())
