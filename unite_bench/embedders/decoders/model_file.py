"""Model files: what a decoder embedder needs said of it (prompt, pooling, budgets, revision) as data, never as code.

Shipped files lie in `unite_bench/models`; one of your own is given by its path. What nobody has published is written
`unknown`, and a file with an `unknown` in it names what is missing and does not run. docs/adapters.md tells every key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from unite_bench.embedders.decoders.template import placeholders
from unite_bench.errors import UsageError
from unite_bench.items import FramePolicy
from unite_bench.spec.model import NAME, Modality
from unite_bench.spec.reader import checked
from unite_bench.spec.source_kinds import Strict
from unite_bench.spec.yaml_reader import read

UNKNOWN = "unknown"
Unknown = Literal["unknown"]
Text = Annotated[str, Field(min_length=1)]


class Turn(Strict):
    """The prompt of one role: `template`, and the `instruction` that an item without one is given."""

    template: Text
    instruction: str | None = None

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Turn:
        if self.template != UNKNOWN:
            names = placeholders(self.template)
            if "text" not in names or "media" not in names:
                raise ValueError("a template has a place for {media} and one for {text}")
            if self.instruction is not None and "instruction" not in names:
                raise ValueError("an instruction is given, but the template has no place {instruction}")
        return self


class Prompt(Strict):
    """How an item becomes a text. `image` and `video` stand for a medium and hold the token that its features replace.

    `frames_at` (Qwen3-VL) is a stretch of a clip with its time, as in `<{seconds} seconds>...`, in place of `video`.
    `punctuated` ends an instruction with a full stop if it ends with no punctuation. `names` are the words for the kinds
    of parts that `{modalities}` joins by `and`, in their order.
    """

    query: Turn | Unknown
    candidate: Turn | Unknown
    image: Text | None = None
    video: Text | None = None
    frames_at: Text | None = None
    punctuated: bool = False
    names: dict[Literal["image", "video", "text"], str] | None = None


class Pixels(Strict):
    """The area (width x height) that a picture or frame is fitted into; `clip` is that of all frames of a clip."""

    min: int = Field(gt=0)
    max: int = Field(gt=0)
    clip: int | None = Field(default=None, gt=0)


class Frames(Strict):
    """Which frames the authors show: so many, or `fps` up to `max`. Used under `--frames native`."""

    frames: int | None = Field(default=None, gt=0)
    fps: float | None = Field(default=None, gt=0, strict=False)
    max: int = Field(default=64, gt=0)

    @property
    def policy(self) -> FramePolicy:
        return FramePolicy(frames=self.frames, fps=self.fps, max_frames=self.max)


class ModelFile(Strict):
    """A decoder embedder. `weights` is a name on the hub, or a folder (absolute, or from the file on with `./`).

    `adapter_of` names the base of weights that are an adapter only. `positions: 1d` are running numbers for media as well,
    as some models were trained with; `rope` those of the architecture. `special_tokens` says whether the tokenizer adds
    its own at the ends. `most_media` is the greatest number of media an item may have.
    """

    name: str = Field(pattern=NAME)
    title: str
    architecture: Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "mllama", "unknown"]
    weights: Text
    revision: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|unknown|local)$")]
    adapter_of: str | None = None
    dtype: Literal["float32", "float16", "bfloat16", "unknown"]
    modalities: list[Modality] | Unknown
    dim: Annotated[int, Field(gt=0)] | Unknown
    prompt: Prompt | Unknown
    special_tokens: bool | Unknown = True
    pooling: Literal["last", "mean", "unknown"]
    normalise: bool | Unknown
    padding: Literal["left", "right", "unknown"]
    positions: Literal["rope", "1d", "unknown"]
    max_length: Annotated[int, Field(gt=0)] | Unknown
    image_pixels: Pixels | Unknown | None = None
    frame_pixels: Pixels | Unknown | None = None
    frames: Frames | Unknown | None = None
    most_media: int | None = Field(default=None, gt=0)
    sources: list[str] = Field(min_length=1)
    notes: list[str] = []

    @model_validator(mode="after")
    def _modalities_have_their_keys(self) -> ModelFile:
        if isinstance(self.modalities, str) or isinstance(self.prompt, str):
            return self
        kinds = {kind for name in self.modalities for kind in name.split("+")}
        if self.architecture == "mllama":
            if "video" in kinds or self.most_media != 1 or self.image_pixels is not None:
                raise ValueError(
                    "mllama takes one picture an item (most_media: 1), no clips, and has its own image_pixels"
                )
        elif "image" in kinds and (self.prompt.image is None or self.image_pixels is None):
            raise ValueError("a model of pictures needs prompt.image and image_pixels")
        if "video" in kinds and (self.frame_pixels is None or (self.prompt.video or self.prompt.frames_at) is None):
            raise ValueError("a model of clips needs prompt.video (or prompt.frames_at) and frame_pixels")
        if "video" in kinds and self.architecture == "qwen3_vl" and self.prompt.frames_at is None:
            raise ValueError(
                "qwen3_vl tells the time of each stretch of a clip: give prompt.frames_at, not prompt.video"
            )
        return self

    @property
    def unknown(self) -> tuple[str, ...]:
        """Dotted names of all keys whose value is `unknown`."""
        return tuple(_unknown(self.model_dump(), ""))

    @property
    def obstacle(self) -> str:
        """Why the model cannot be run by its name alone, in few words, or ""."""
        if self.unknown:
            return f"unknown: {', '.join(self.unknown)}"
        return f"an adapter of {self.adapter_of}" if self.adapter_of else ""


def model_files() -> dict[str, Path]:
    """Name to file of every shipped model."""
    folder = Path(str(files("unite_bench"))) / "models"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def file_of(name: str) -> Path:
    """The file of a shipped model, or the file itself. Raises UsageError with the nearest name."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    known = model_files()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise UsageError(f"unknown model {name!r}; {hint} Or give a model file of your own, FILE.yaml")
    return known[name]


def load_model_file(path: Path) -> ModelFile:
    """Read and check a model file. Raises SpecError with every finding, file:line:column each."""
    return checked(ModelFile, read(path))


def _unknown(value: Any, at: str) -> Iterator[str]:
    if value == UNKNOWN:
        yield at
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _unknown(inner, f"{at}.{key}" if at else str(key))
