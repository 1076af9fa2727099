"""What a tokenizer.json must hold, checked before the tokenizers library reads it.

The library raises a bare `Exception` for a file that is JSON but no tokenizer. So its structure is checked here, as deep as
the tokenizers of the Qwen families go; of a component of another kind only the name is.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from unite_bench.errors import ModelError

Number = Annotated[int, Field(ge=0, lt=2**32)]
Direction = Literal["Left", "Right"]


def check_tokenizer(folder: Path) -> None:
    """Raises ModelError, with the place, for a tokenizer.json that the library cannot read. A folder without one passes."""
    path = folder / "tokenizer.json"
    if not path.exists():
        return
    try:
        _File.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ModelError(
            f"{path}: not a tokenizer ({place}: {first['msg']}); restore it from the checkpoint"
        ) from error


def _compiled(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"not a regular expression, {error}") from error
    return pattern


def _among(module: str) -> Callable[[str], str]:
    def known(name: str) -> str:
        if not hasattr(import_module(f"tokenizers.{module}"), name):
            raise ValueError(f"{name!r} is none of the tokenizers library's {module}")
        return name

    return known


def _kind(component: Any) -> str:
    kind = component.get("type") if isinstance(component, dict) else None
    return kind if kind in ("ByteLevel", "Split", "Sequence") else "other"


class _Shape(BaseModel):
    """Types exactly as written; further keys are allowed."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _AddedToken(_Shape):
    id: Number
    content: str
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


class _Model(_Shape):
    type: Literal["BPE"] = "BPE"
    vocab: dict[str, Number]
    merges: list[tuple[str, str]] | list[str]
    dropout: Annotated[float, Field(ge=0, le=1)] | None = None
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    fuse_unk: bool | None = None
    byte_fallback: bool | None = None
    ignore_merges: bool | None = None

    @model_validator(mode="after")
    def _merges_are_words(self) -> _Model:
        prefix = len(self.continuing_subword_prefix or "")
        for number, merge in enumerate(self.merges):
            pair = merge.split(" ") if isinstance(merge, str) else merge
            if len(pair) != 2 or not {*pair, pair[0] + pair[1][prefix:]} <= self.vocab.keys():
                raise ValueError(f"merge {number} ({merge}) is not of two words of the vocabulary to a third")
        return self


class _ByteLevel(_Shape):
    add_prefix_space: bool
    trim_offsets: bool
    use_regex: bool = True


class _Regex(_Shape):
    Regex: Annotated[str, AfterValidator(_compiled)]


class _String(_Shape):
    String: str


class _Split(_Shape):
    pattern: _Regex | _String
    behavior: Literal["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    invert: bool


class _Sequence(_Shape):
    pretokenizers: list[_PreTokenizer]


class _Normalizer(_Shape):
    type: Annotated[str, AfterValidator(_among("normalizers"))]


class _OtherPreTokenizer(_Shape):
    type: Annotated[str, AfterValidator(_among("pre_tokenizers"))]


class _OtherProcessor(_Shape):
    type: Annotated[str, AfterValidator(_among("processors"))]


class _OtherDecoder(_Shape):
    type: Annotated[str, AfterValidator(_among("decoders"))]


_PreTokenizer = Annotated[
    Annotated[_ByteLevel, Tag("ByteLevel")]
    | Annotated[_Split, Tag("Split")]
    | Annotated[_Sequence, Tag("Sequence")]
    | Annotated[_OtherPreTokenizer, Tag("other")],
    Discriminator(_kind),
]

_Processor = Annotated[
    Annotated[_ByteLevel, Tag("ByteLevel")] | Annotated[_OtherProcessor, Tag("other")], Discriminator(_kind)
]
_Decoder = Annotated[
    Annotated[_ByteLevel, Tag("ByteLevel")] | Annotated[_OtherDecoder, Tag("other")], Discriminator(_kind)
]


class _Truncation(_Shape):
    direction: Direction = "Right"
    max_length: Number
    strategy: Literal["LongestFirst", "OnlyFirst", "OnlySecond"]
    stride: Number


class _Fixed(_Shape):
    Fixed: Number


class _Padding(_Shape):
    strategy: Literal["BatchLongest"] | _Fixed
    direction: Direction
    pad_to_multiple_of: Number | None = None
    pad_id: Number
    pad_type_id: Number
    pad_token: str


class _File(_Shape):
    version: Literal["1.0"] = "1.0"
    truncation: _Truncation | None = None
    padding: _Padding | None = None
    added_tokens: list[_AddedToken] = []
    normalizer: _Normalizer | None = None
    pre_tokenizer: _PreTokenizer | None = None
    post_processor: _Processor | None = None
    decoder: _Decoder | None = None
    model: _Model
