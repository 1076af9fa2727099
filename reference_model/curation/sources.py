"""The schema of a recipe's sources: where pairs are read from, and what their columns mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from reference_model.curation.rows import Granularity, Stage
from unite_bench.spec.model import Column
from unite_bench.spec.source_kinds import UNPINNED, Revision, Strict

Word = Annotated[str, Field(pattern=r"^[\w.-]+$")]


class Side(Strict):
    """Columns that make an item; its parts come in the order image, video, text.

    A cell of media is a path, a list of paths, or encoded bytes (Parquet, hub). `start` and `end` are seconds.
    """

    text: str | None = None
    image: str | None = None
    video: str | None = None
    start: str | None = None
    end: str | None = None
    instruction: str | Column | None = Field(None, description="one wording for all rows, or {column: NAME}")

    @model_validator(mode="after")
    def _something(self) -> Side:
        if not (self.text or self.image or self.video):
            raise ValueError("a side needs at least one of text, image, video")
        if (self.start or self.end) and not self.video:
            raise ValueError("start and end are those of a video, and this side has none")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the side reads."""
        named = [self.text, self.image, self.video, self.start, self.end]
        named += [self.instruction.column] if isinstance(self.instruction, Column) else []
        return tuple(name for name in named if name is not None)


class Source(Strict):
    """What every source says of its rows."""

    model_config = ConfigDict(allow_inf_nan=False)

    name: Word = Field(description="ids of rows begin with it")
    granularity: Granularity | Column = "coarse"
    stage: Stage | None = Field(None, description="where training uses the rows; else as `stages` of the recipe says")
    topic: str | Column = ""
    weight: Annotated[float, Field(gt=0, strict=False)] = 1.0
    unmasked: bool = Field(False, description="rows compete with candidates of every modality")
    both: bool = Field(False, description="train from target to query as well")
    first: Annotated[int, Field(gt=0)] | None = Field(None, description="read only so many rows")


class FolderSource(Source):
    """Images or clips with captions: `captions.jsonl` or `.csv` with columns `file` and `caption`, `captions.txt` with lines
    name<TAB>caption, or a text file of the same name beside each medium."""

    kind: Literal["folder"]
    path: str
    direction: Literal["text>media", "media>text"] = "text>media"


class UniteSource(Source):
    """Training records of UNITE: a JSON array, or one object a line. `<|IMAGE|>` and `<|VIDEO|>` mark where media stand."""

    kind: Literal["unite"]
    path: str
    media: str | None = Field(None, description="where media paths start; else the folder of the file")


class TableSource(Source):
    """A JSONL, CSV or Parquet file, or several (a pattern with `*`), with declared columns."""

    kind: Literal["table"]
    path: str
    query: Side
    target: Side
    negatives: Annotated[tuple[Side, ...], Field(strict=False)] = ()
    media: str | None = Field(None, description="where media paths start; else the folder of the file")


class HubSource(Source):
    """A dataset of the hub, streamed; or a folder that holds one. Media within it are written out as files. Without `query`
    and `target` its rows are training records of UNITE."""

    kind: Literal["hub"]
    dataset: str = Field(description="OWNER/NAME, or a folder")
    revision: Revision = UNPINNED
    config: str | None = None
    split: str = "train"
    query: Side | None = None
    target: Side | None = None
    negatives: Annotated[tuple[Side, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _both_or_none(self) -> HubSource:
        if (self.query is None) != (self.target is None) or (self.negatives and self.query is None):
            raise ValueError("give both query and target, or neither for training records of UNITE")
        return self


AnySource = Annotated[FolderSource | UniteSource | TableSource | HubSource, Field(discriminator="kind")]
