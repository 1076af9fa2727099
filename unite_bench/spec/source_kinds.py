"""The schema of sources: where the rows of a task come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

UNPINNED = "unpinned"
Revision = Annotated[str, Field(pattern=rf"^({UNPINNED}|[0-9a-f]{{40}})$")]
DatasetName = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


class Strict(BaseModel):
    """Frozen, and no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, strict=True)


class FilesSource(Strict):
    """A table in a file of your own, or a folder of media with an optional captions file."""

    kind: Literal["files"]
    path: str = Field(description="JSONL, CSV or Parquet file, or a folder; relative to the task file")


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


class Archive(Strict):
    """An archive (zip or tar) in which media columns find their paths; of the same dataset unless another is named."""

    file: str
    root: str = Field(default="", description="folder within the archive that the paths start from")
    dataset: DatasetName | None = None
    revision: Revision = UNPINNED


class HubSource(Strict):
    """One split of a dataset of the Hugging Face hub, read from the data root; `unite-bench data get` puts it there."""

    kind: Literal["hub"]
    dataset: DatasetName
    config: str | None = None
    split: str = "test"
    revision: Revision = UNPINNED
    archive: Archive | None = None


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


class MmebSource(Strict):
    """A task of MMEB: every row is a query with its own list of candidates, the first of which is the positive one.

    `named_by` says what makes two candidates one, as the published code does it: their text, their picture, or both.
    """

    kind: Literal["mmeb"]
    dataset: DatasetName
    config: str
    split: str = "test"
    revision: Revision = UNPINNED
    named_by: Literal["text", "image", "image+text"]
    archive: Archive


HUB_SOURCES = (HubSource, HubBeirSource, MmebSource)
AnySource = FilesSource | BeirSource | ScenesSource | HubSource | HubBeirSource | MmebSource
Source = Annotated[AnySource, Field(discriminator="kind")]
