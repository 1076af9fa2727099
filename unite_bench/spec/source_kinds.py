"""The schema of sources: where the rows of a task come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

UNPINNED = "unpinned"
Revision = Annotated[str, Field(pattern=rf"^({UNPINNED}|[0-9a-f]{{40}})$")]
DatasetName = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


class Strict(BaseModel):
    """Frozen, and no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)


class Quartets(Strict):
    """Rows with two texts and two media, of which the first go together and the second do (Winoground).

    They are read as two tables: `id`, `quartet`, `text`, `positive`, `pool`; and `id`, `medium`.
    """

    texts: Annotated[tuple[str, ...], Field(min_length=2, max_length=2, strict=False)]
    media: Annotated[tuple[str, ...], Field(min_length=2, max_length=2, strict=False)]


class Choices(Strict):
    """Rows with candidates of their own: the cells of several columns, or the lists in one.

    Right is the first, or what the column `answer` holds. They are read as two tables: the rows as they are with `id`,
    `positive`, `pool`; and `id`, `choice`.
    """

    columns: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    answer: str | None = None


class Rows(Strict):
    """How the rows of a table are to be read, where they are not one item each."""

    quartets: Quartets | None = None
    choices: Choices | None = None

    @model_validator(mode="after")
    def _one(self) -> Rows:
        if (self.quartets is None) == (self.choices is None):
            raise ValueError("rows takes either quartets or choices")
        return self


class FilesSource(Strict):
    """A table in a file of your own, or a folder of media with an optional captions file."""

    kind: Literal["files"]
    path: str = Field(description="JSONL, CSV or Parquet file, or a folder; relative to the task file")
    rows: Rows | None = None


class BeirSource(Strict):
    """A folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

    kind: Literal["beir"]
    path: str
    split: str = "test"


class ScenesSource(Strict):
    """The procedural world: everything follows from (generator version, seed, index)."""

    kind: Literal["scenes"]
    table: str
    seed: int
    part: str = "iid"
    count: int = Field(gt=0, description="queries of the task, at most; the same in all its tables")


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path!r} climbs out of its folder")
    return path


InnerPath = Annotated[str, AfterValidator(_inside)]


class Archive(Strict):
    """An archive (zip or tar) in which media columns find their paths; of the same dataset unless another is named."""

    file: InnerPath
    root: InnerPath = Field(default="", description="folder within the archive that the paths start from")
    names: Literal["path", "stem"] = Field(
        default="path", description="what a cell names: a path, or (stem) the last part of one without its suffix"
    )
    dataset: DatasetName | None = None
    revision: Revision = UNPINNED


class HubSource(Strict):
    """One split of a dataset of the Hugging Face hub, read from the data root; `unite-bench data get` puts it there."""

    kind: Literal["hub"]
    dataset: DatasetName
    config: str | None = None
    split: str = "test"
    revision: Revision = UNPINNED
    first: int | None = Field(default=None, gt=0, description="only so many rows, from the first on")
    archive: Archive | None = None
    rows: Rows | None = None


class HubBeirSource(Strict):
    """A hub dataset in the layout of mteb: one config each for corpus, queries and judgements.

    Configs that are not named are found as mteb finds them: `corpus`; `query`, else `queries`; `default`, else `qrels`;
    each with `language-` in front for a dataset of several languages. A config that has not the split, but one only, is
    read from that.
    """

    kind: Literal["hub-beir"]
    dataset: DatasetName
    split: str = "test"
    revision: Revision = UNPINNED
    language: str | None = None
    corpus: str | None = None
    queries: str | None = None
    qrels: str | None = None


MmebParser = Literal["image_cls", "image_qa", "image_i2t", "image_t2i", "image_i2i_vg"]


class MmebSource(Strict):
    """A task of MMEB: every row is a query with its own list of candidates, the first of which is the positive one.

    `parser` is the part of the published code that makes its texts. `named_by` says what makes two candidates one, as that
    code does it: their text, their picture, or both.
    """

    kind: Literal["mmeb"]
    dataset: DatasetName
    config: str
    split: str = "test"
    revision: Revision = UNPINNED
    parser: MmebParser
    named_by: Literal["text", "image", "image+text"]
    archive: Archive


HUB_SOURCES = (HubSource, HubBeirSource, MmebSource)
AnySource = FilesSource | BeirSource | ScenesSource | HubSource | HubBeirSource | MmebSource
Source = Annotated[AnySource, Field(discriminator="kind")]
