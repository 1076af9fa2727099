"""What decides a vector beyond the weights: the rules for positions, sizes and frames, and the visual budget.

A checkpoint says it in `unite.json`, the constructor of the embedder can say otherwise, and what neither says is taken
from the defaults of its kind (checkpoint.py). All that is wrong with them is reported at once, before anything loads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from unite_bench.errors import ModelError

Positions = Literal["mrope", "mrope-5", "1d"]
Sizes = Literal["once", "twice"]
SETTINGS_FILE = "unite.json"
CHOICES = {"positions": ("mrope", "mrope-5", "1d"), "sizes": ("once", "twice")}
BUDGETS = (("min_pixels", "max_pixels"), ("frame_min_pixels", "frame_max_pixels"), ("min_frames", "most_frames"))


@dataclass(frozen=True)
class Settings:
    """Rules and budgets of a checkpoint (`unite.json`; the defaults are those of a plain Qwen-VL).

    `positions` must be "1d" for the released UNITE weights, which were trained without M-RoPE. Under "mrope" what follows a
    clip begins behind the clip's last position on any axis, as Qwen-VL is trained; "mrope-5" leaves time out of that, as
    transformers 5 does, and is for checkpoints that were trained under it. `sizes` says whether a
    picture is fitted to the budget once or in the two steps of the published code. Areas are in pixels: `min_pixels` and
    `max_pixels` bound an image, and with `frame_` before them a frame of a clip; None leaves them to the checkpoint's
    preprocessor_config.json. `max_frames` is the most frames that the model should ever be given. `fps`, `min_frames` and
    `most_frames` are the checkpoint's own way of choosing frames (see `PairedFrames`), used under `--frames native`.
    """

    positions: Positions = "mrope"
    max_length: int = 2048
    max_frames: int | None = None
    training_sets: tuple[str, ...] | None = None
    sizes: Sizes = "once"
    min_pixels: int | None = None
    max_pixels: int | None = None
    frame_min_pixels: int | None = None
    frame_max_pixels: int | None = None
    fps: float | None = None
    min_frames: int = 4
    most_frames: int = 32

    @classmethod
    def read(cls, folder: Path, defaults: Settings | None = None, given: Mapping[str, Any] | None = None) -> Settings:
        """Those of the folder's `unite.json` over `defaults`, and those `given` over both; None stands for not given.

        Raises ModelError with everything that is wrong with them.
        """
        path = folder / SETTINGS_FILE
        raw = read_json(path) if path.exists() else {}
        wrong = [f"{path}: {finding}" for finding in _wrong(raw)] + list(_wrong(given or {}))
        if wrong:
            raise ModelError("\n".join(wrong))
        chosen = {key: value for source in (raw, given or {}) for key, value in source.items() if value is not None}
        if "training_sets" in chosen:
            chosen["training_sets"] = tuple(chosen["training_sets"])
        settings = replace(defaults or cls(), **chosen)
        if wrong := list(settings._contradictions()):
            raise ModelError("\n".join(f"{folder.name}: {finding}" for finding in wrong))
        return settings

    def _contradictions(self) -> Iterator[str]:
        for least, most in BUDGETS:
            low, high = getattr(self, least), getattr(self, most)
            if low is not None and high is not None and low > high:
                yield f"{least} {low:,} is above {most} {high:,}; lower the one or raise the other"


def _wrong(raw: Mapping[str, Any]) -> Iterator[str]:
    known = Settings.__dataclass_fields__
    unknown = sorted(set(raw) - set(known))
    if unknown:
        yield f"unknown settings {unknown}; known are {sorted(known)}"
    for key, value in raw.items():
        if value is None or key not in known:
            continue
        if key in CHOICES:
            if value not in CHOICES[key]:
                yield f"{key} is {value!r}; it must be {' or '.join(map(repr, CHOICES[key]))}"
        elif key == "training_sets":
            if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
                yield f"{key} is {value!r}; it must be a list of names"
        elif isinstance(value, bool) or not isinstance(value, (int, float) if key == "fps" else int) or value <= 0:
            yield f"{key} is {value!r}; it must be a {'' if key == 'fps' else 'whole '}number above 0"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the checkpoint, or a `ModelError` that names the file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot read it ({error.strerror}); a checkpoint folder needs this file") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid JSON ({error}); restore it from the checkpoint") from error
    if not isinstance(raw, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return raw
