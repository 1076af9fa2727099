"""The schema of task and suite files. The JSON Schema for editors is generated from these classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from unite_bench.items import FramePolicy, content_digest, modality
from unite_bench.spec.measures import Measure, parse_measure
from unite_bench.spec.source_kinds import AnySource, ScenesSource, Source, Strict

Granularity = Literal["coarse", "fine", "instruction"]
NAME = r"^[a-z0-9][a-z0-9._-]*$"


class Column(Strict):
    """A value taken from a column of the row."""

    column: str


def _canonical_modality(text: str) -> str:
    kinds = text.split("+")
    unknown = sorted(set(kinds) - {"text", "image", "video"})
    if unknown or len(set(kinds)) != len(kinds):
        raise ValueError(f"modality {text!r} is not a set of text, image and video joined by '+'")
    return modality(kinds)


Modality = Annotated[str, AfterValidator(_canonical_modality)]


class Side(Strict):
    """How rows become items: which column is which part. Parts stand in the order image, video, text."""

    source: Source | None = None
    id: str | None = Field(default=None, description="column with a unique id; the row number if absent")
    modality: Modality | Column
    text: str | None = None
    image: str | None = None
    video: str | None = None
    optional: list[Literal["text", "image", "video"]] | None = Field(
        default=None, description="parts that a row may lack; its item then has the others alone"
    )
    start: str | None = Field(default=None, description="column with the clip's first second")
    end: str | None = Field(default=None, description="column with the clip's last second")
    instruction: str | Column | None = None
    published: str | None = Field(
        default=None, description="column with instruction and text in one, as a published code gives them to a model"
    )
    frames: int | None = Field(default=None, gt=0)
    sampling: Literal["uniform", "linspace"] | None = Field(
        default=None, description="uniform: centres of equal spans; linspace: from the first frame to the last"
    )
    fps: float | None = Field(default=None, gt=0, strict=False)
    max_frames: int | None = Field(default=None, gt=0)
    order: Literal["shown", "shuffled"] | None = Field(default=None, description="shuffled frames are a control")
    pixels: int | None = Field(default=None, gt=0, description="pixel budget of one frame, width x height")

    @model_validator(mode="after")
    def _parts_match_modality(self) -> Side:
        given = {kind for kind in ("text", "image", "video") if getattr(self, kind) is not None}
        if isinstance(self.modality, str) and set(self.modality.split("+")) != given:
            named = modality(given) or "no part"
            raise ValueError(f"modality is {self.modality!r} but the columns named here give {named!r}")
        if not given:
            raise ValueError("name the column of at least one part: text, image or video")
        if self.optional is not None and not set(self.optional) < given:
            raise ValueError(f"optional takes some of the parts, but not all; there are {', '.join(sorted(given))}")
        frame_keys = [
            k
            for k in ("frames", "fps", "sampling", "max_frames", "pixels", "order", "start", "end")
            if getattr(self, k)
        ]
        if frame_keys and "video" not in given:
            raise ValueError(f"{', '.join(frame_keys)} given, but this side has no video")
        if self.fps is not None and self.frames is not None:
            raise ValueError("give frames or fps, not both")
        if self.max_frames is not None and self.fps is None:
            raise ValueError("max_frames goes with fps; with frames the number is fixed")
        if self.sampling == "linspace" and self.fps is not None:
            raise ValueError("sampling: linspace goes with frames, not with fps")
        return self

    @property
    def frame_policy(self) -> FramePolicy:
        order = self.order or "shown"
        if self.fps is not None:
            return FramePolicy(None, self.fps, self.max_frames or 64, self.pixels, order)
        sampling = self.sampling or "uniform"
        return FramePolicy(frames=self.frames or 8, pixels=self.pixels, order=order, sampling=sampling)

    @property
    def media_columns(self) -> tuple[str, ...]:
        return tuple(name for name in (self.image, self.video) if name is not None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the table that this side reads."""
        named = [self.id, self.text, self.image, self.video, self.start, self.end, self.published]
        named += [c.column for c in (self.modality, self.instruction) if isinstance(c, Column)]
        return tuple(name for name in named if name is not None)


class QrelsFile(Strict):
    """Judgements in a tab-separated file: BEIR (query, candidate, grade) or TREC (query, 0, candidate, grade)."""

    file: str


class PerQuery(Strict):
    """The pool of each query is a list of candidate ids in a column of its row."""

    per_query: str = Field(alias="per-query")


def _measure_name(text: str) -> str:
    return str(parse_measure(text))


class Protocol(Strict):
    """How far the protocol is known to be the published one."""

    status: Literal["verified", "reconstructed", "unverified", "own"]
    source: str | None = None


class Control(Strict):
    """What a control takes away from another task; a score that stays is not owed to it."""

    of: str = Field(description="name of the task that is scored again")
    kind: Literal["one-frame", "shuffled", "wrong-instruction"]


class Expected(Strict):
    """How many queries and candidates there are to be. Verified counts must hold; others only warn."""

    queries: int | None = None
    candidates: int | None = None
    status: Literal["verified", "unverified"] = "unverified"


class PlannedSide(Strict):
    """What is known of a side whose columns are not."""

    modality: Modality


class PlannedTask(Strict):
    """A task of which something is missing, in its place in the catalogue. It is listed, and refuses to run."""

    name: str = Field(pattern=NAME)
    version: int = Field(ge=1)
    title: str | None = None
    status: Literal["incomplete"]
    missing: Annotated[list[str], Field(min_length=1)]
    granularity: Granularity
    queries: PlannedSide
    candidates: PlannedSide
    metrics: Annotated[list[Annotated[str, AfterValidator(_measure_name)]], Field(min_length=1)]
    primary: str
    dataset: str | None = None
    expected: Expected | None = None
    trained_on: list[str] = Field(default=[])
    protocol: Protocol = Protocol(status="unverified")
    licence: str | None = None
    citation: str | None = None
    notes: str | None = None


class Task(Strict):
    """One retrieval task as data. A meaning never changes under a version."""

    name: str = Field(pattern=NAME)
    version: int = Field(ge=1)
    title: str | None = None
    granularity: Granularity
    source: Source | None = None
    queries: Side
    candidates: Side | Annotated[list[Side], Field(min_length=1)]
    qrels: Literal["by-row", "source"] | Column | QrelsFile
    pool: Literal["corpus", "union"] | PerQuery = "corpus"
    metrics: Annotated[list[Annotated[str, AfterValidator(_measure_name)]], Field(min_length=1)]
    primary: str
    captions: Literal["any-of", "first", "each", "concatenated"] | None = Field(
        default=None, description="what several captions of one medium are: see docs/captions.md"
    )
    duplicates: Literal["merge", "keep", "by-name"] = "merge"
    exclude_self: bool = False
    target_modality: Column | None = None
    quartets: Column | None = Field(
        default=None, description="column of the queries: two rows with one value are a quartet"
    )
    control: Control | None = None
    slices: list[str] = Field(default=[])
    clusters: str | None = None
    expected: Expected | None = None
    trained_on: list[str] = Field(default=[], description="training sets that make a model in-domain here")
    protocol: Protocol = Protocol(status="own")
    licence: str | None = None
    citation: str | None = None
    notes: str | None = None

    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if self.primary not in self.metrics:
            raise ValueError(f"primary {self.primary!r} is not among the metrics {self.metrics}")
        if parse_measure(self.primary).lower_is_better:
            raise ValueError(
                f"primary {self.primary!r} is better when lower, and means over tasks need higher; choose another"
            )
        if len(set(self.metrics)) != len(self.metrics):
            raise ValueError("a measure is listed twice in metrics")
        if self.pool == "union" and not isinstance(self.candidates, list):
            raise ValueError("pool: union goes with a list of corpora under candidates")
        if self.pool == "corpus" and isinstance(self.candidates, list):
            raise ValueError("a list of corpora under candidates goes with pool: union or {per-query: ...}")
        if any(m.of_forms for m in self.measures) and self.target_modality is None:
            raise ValueError("modality@k and content@k need target_modality: {column: ...}")
        if any(m.of_quartets for m in self.measures) != (self.quartets is not None):
            raise ValueError("quartets: {column: ...} goes with text_score, image_score, group_score, pairwise")
        if self.quartets is not None and not isinstance(self.pool, PerQuery):
            raise ValueError("quartets need pool: {per-query: ...} with the two candidates of the quartet")
        for side in (self.queries, *self.corpora):
            if side.source is None and self.source is None:
                raise ValueError("no source: give one for the task or one for each side")
        self._check_captions()
        return self

    def _check_captions(self) -> None:
        if self.captions is None:
            return
        texts = [side for side in (self.queries, *self.corpora) if side.modality == "text"]
        if isinstance(self.candidates, list) or self.pool != "corpus" or len(texts) != 1:
            raise ValueError("captions goes with texts on one side, media on the other, and pool: corpus")
        if self.captions == "any-of" and self.captions_ask:
            raise ValueError("captions: any-of is for texts as candidates; as queries, each one asks: captions: each")
        if self.qrels != "by-row" and self.captions != ("each" if self.captions_ask else "any-of"):
            raise ValueError(f"captions: {self.captions} needs qrels: by-row, with the captions of a medium in its row")

    @property
    def corpora(self) -> tuple[Side, ...]:
        return tuple(self.candidates) if isinstance(self.candidates, list) else (self.candidates,)

    @property
    def captions_ask(self) -> bool:
        """Whether texts are the queries, rather than the candidates."""
        return self.queries.modality == "text"

    @property
    def measures(self) -> tuple[Measure, ...]:
        return tuple(parse_measure(text) for text in self.metrics)

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the file start from."""
        return self._folder

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"

    def source_of(self, side: Side) -> AnySource:
        found = side.source or self.source
        assert found is not None  # _consistent has checked it
        return found

    @property
    def sources(self) -> tuple[AnySource, ...]:
        """The sources of both sides, each once."""
        return tuple(dict.fromkeys(self.source_of(side) for side in (self.queries, *self.corpora)))

    def in_folder(self, folder: Path) -> Task:
        """The same task, reading relative paths from `folder`."""
        self._folder = folder
        return self

    @property
    def protocol_digest(self) -> str:
        """Digest of what the file fixes about the measurement: everything but titles, notes, licence and citation.

        Keys that are not given do not count, so that a key which the schema learns later leaves older tasks as they are.
        """
        words = {"title", "notes", "licence", "citation", "protocol", "trained_on", "slices", "control", "expected"}
        return content_digest(self.model_dump_json(exclude=words, exclude_none=True))


class Variant(Strict):
    """Tasks of the procedural world drawn again: in another number, from another seed, under another name."""

    suffix: str = Field(pattern=r"^-[a-z0-9._-]+$", description="appended to the names of the tasks")
    queries: int | None = Field(default=None, gt=0, description="queries of each task, at most")
    seed: int | None = Field(default=None, ge=0)

    def of(self, task: Task) -> Task:
        """The variant of a task; a task without scenes stays as it is."""
        sides = (task.queries, *task.corpora)
        if not all(isinstance(task.source_of(side), ScenesSource) for side in sides):
            return task
        changed = {"count": self.queries, "seed": self.seed}
        fields = {name: value for name, value in changed.items() if value is not None}

        def drawn(side: Side) -> Side:
            return side.model_copy(update={"source": task.source_of(side).model_copy(update=fields)})

        candidates = [drawn(side) for side in task.corpora]
        update = {
            "name": task.name + self.suffix,
            "source": None,
            "queries": drawn(task.queries),
            "candidates": candidates if isinstance(task.candidates, list) else candidates[0],
            "expected": None,
            "control": task.control and task.control.model_copy(update={"of": task.control.of + self.suffix}),
        }
        return task.model_copy(update=update).in_folder(task.folder)


class Suite(Strict):
    """A named list of tasks and other suites."""

    name: str = Field(pattern=NAME)
    title: str | None = None
    tasks: list[str] = Field(default=[])
    suites: list[str] = Field(default=[])
    aggregate: bool = Field(default=True, description="whether one mean over the suite's tasks is meaningful")
    variant: Variant | None = Field(default=None, description="draws the scenes tasks of this suite again")

    @model_validator(mode="after")
    def _not_empty(self) -> Suite:
        if not self.tasks and not self.suites:
            raise ValueError("name at least one task or suite")
        return self


def task_schema() -> dict[str, Any]:
    """JSON Schema of a task file, for editors."""
    return Task.model_json_schema(by_alias=True)
