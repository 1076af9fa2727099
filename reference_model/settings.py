"""What a checkpoint says about itself beyond transformers' files: `unite.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unite_bench.errors import ModelError

Positions = Literal["mrope", "1d"]
SETTINGS_FILE = "unite.json"


@dataclass(frozen=True)
class Settings:
    """What a checkpoint says about itself beyond transformers' files (`unite.json`; defaults for a plain Qwen2-VL).

    `positions` must be "1d" for the released UNITE weights, which were trained without M-RoPE.
    """

    positions: Positions = "mrope"
    max_length: int = 2048
    max_frames: int | None = None
    training_sets: tuple[str, ...] | None = None

    @classmethod
    def read(cls, folder: Path) -> Settings:
        path = folder / SETTINGS_FILE
        if not path.exists():
            return cls()
        raw = read_json(path)
        unknown = sorted(set(raw) - set(cls.__dataclass_fields__))
        if unknown:
            raise ModelError(f"{path}: unknown settings {unknown}; known are {sorted(cls.__dataclass_fields__)}")
        if raw.get("positions", "mrope") not in ("mrope", "1d"):
            raise ModelError(f"{path}: positions is {raw['positions']!r}; it must be 'mrope' or '1d'")
        sets = raw.get("training_sets")
        return cls(**{**raw, "training_sets": None if sets is None else tuple(sets)})


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the checkpoint, or a `ModelError` that names the file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot read it ({error.strerror}); a checkpoint folder needs this file") from error
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); restore it from the checkpoint") from error
    if not isinstance(raw, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return raw
