"""From the segments of a prompt and the grids of its media to token ids, positions and places of visual features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reference_model.families import Clock
from reference_model.preprocess import Grid
from reference_model.prompt import IMAGE_PAD, PLACEHOLDER, SPECIAL_TOKENS, VIDEO_PAD, Segment, joined, timed
from reference_model.settings import Positions, Settings, read_json
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Prepared:
    """One prompt, ready for the language model: token ids (n,), positions (3, n), and the ids' visual placeholders."""

    ids: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    visual: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The folder's tokenizer; every special token of the prompt must be in it."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.exists():
        raise ModelError(
            f"{path}: no such file; a checkpoint folder needs the tokenizer in this form, which transformers writes: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    if "vocab" not in (read_json(path).get("model") or {}):
        raise ModelError(f"{path}: not a tokenizer, for it has no vocabulary; restore it from the checkpoint")
    tokenizer = Tokenizer.from_file(str(path))
    missing = [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
    if missing:
        raise ModelError(f"{path}: lacks {', '.join(missing)}; use the tokenizer of a Qwen2-VL checkpoint")
    return tokenizer


def prepare(
    segments: tuple[Segment, ...],
    grids: Sequence[Grid],
    tokenizer: Tokenizer,
    merge: int,
    settings: Settings,
    clock: Clock = Clock(),  # noqa: B008 frozen
) -> Prepared:
    """Tokens and positions of one prompt whose media, in order, have these grids.

    A prompt longer than `settings.max_length` loses tokens of its text parts from the left, then of its instruction;
    never a visual placeholder, and never the template. If that is not enough, a `ModelError` says so.
    """
    if clock.in_words:
        segments, grids = _in_words(segments, grids)
    encoding = tokenizer.encode(joined(segments), add_special_tokens=False)
    ids = np.asarray(encoding.ids, dtype=np.int64)
    clips = ids == tokenizer.token_to_id(VIDEO_PAD)
    pads = (ids == tokenizer.token_to_id(IMAGE_PAD)) | clips
    if int(pads.sum()) != len(grids):
        raise _mismatch(int(pads.sum()), len(grids))
    repeats = np.ones(len(ids), dtype=np.int64)
    repeats[pads] = [grid.tokens(merge) for grid in grids]
    of_clips = clips[pads].tolist()
    surplus = int(repeats.sum()) - settings.max_length
    if surplus > 0:
        keep = _without_leftmost_words(encoding.offsets, segments, surplus, settings.max_length)
        ids, pads, repeats = ids[keep], pads[keep], repeats[keep]
    visual = np.repeat(pads, repeats)
    rate = clock.per_second
    steps = [None if rate is None or not clip else rate * grid.step for grid, clip in zip(grids, of_clips, strict=True)]
    return Prepared(np.repeat(ids, repeats), _positions(pads, grids, merge, settings.positions, steps), visual)


def _mismatch(placeholders: int, media: int) -> ModelError:
    return ModelError(
        f"the prompt has {placeholders} visual placeholders for {media} media; "
        f"take {IMAGE_PAD} and {VIDEO_PAD} out of the item's texts"
    )


def _in_words(segments: tuple[Segment, ...], grids: Sequence[Grid]) -> tuple[tuple[Segment, ...], list[Grid]]:
    """The prompt with times as text, and one grid a placeholder: a clip has one for every frame group."""
    kinds = [segment.origin for segment in segments if segment.origin in PLACEHOLDER]
    if len(kinds) != len(grids):
        raise _mismatch(len(kinds), len(grids))
    for kind, grid in zip(kinds, grids, strict=True):
        if kind == "video" and len(grid.seconds) != grid.time:
            raise ModelError(
                f"a clip of {grid.time} frame groups has {len(grid.seconds)} times; give those of its frames"
            )
    groups = [replace(grid, time=1, seconds=()) for grid in grids for _ in range(grid.time)]  # a picture has one group
    return timed(segments, [grid.seconds for grid in grids]), groups


def _without_leftmost_words(
    offsets: list[tuple[int, int]], segments: tuple[Segment, ...], surplus: int, limit: int
) -> npt.NDArray[np.bool_]:
    origins: list[str] = []
    for segment in segments:
        origins.extend([segment.origin] * len(segment.text))
    kinds = np.array(["template" if end <= start else origins[start] for start, end in offsets])
    removable = np.concatenate([np.flatnonzero(kinds == "text"), np.flatnonzero(kinds == "instruction")])
    if len(removable) < surplus:
        raise ModelError(
            f"visual and template tokens alone exceed max_length {limit} by {surplus - len(removable)}; "
            "give fewer frames or a smaller visual budget, or raise max_length"
        )
    keep = np.ones(len(offsets), dtype=np.bool_)
    keep[removable[:surplus]] = False
    return keep


def _positions(
    pads: npt.NDArray[np.bool_], grids: Sequence[Grid], merge: int, rule: Positions, steps: Sequence[float | None]
) -> npt.NDArray[np.int64]:
    """(3, n) positions: time, row, column for visual tokens (M-RoPE), else one running number, or that throughout ("1d"; see
    `Settings` for the rules).

    `steps[i]` is what the time position grows by from one frame group of medium i to the next; None stands for 1.
    """
    if rule == "1d":
        count = int((~pads).sum()) + sum(grid.tokens(merge) for grid in grids)
        return np.tile(np.arange(count, dtype=np.int64), (3, 1))
    blocks: list[npt.NDArray[np.int64]] = []
    start, previous = 0, 0
    for place, grid, step in zip(np.flatnonzero(pads).tolist(), grids, steps, strict=True):
        blocks.append(np.tile(np.arange(place - previous, dtype=np.int64) + start, (3, 1)))
        start += place - previous
        shape = (grid.time, grid.rows // merge, grid.columns // merge)
        block = np.indices(shape, dtype=np.int64).reshape(3, -1)
        if step is not None:
            block[0] = block[0].astype(np.float32) * np.float32(step)  # rounded down, in fp32, as transformers does
        blocks.append(block + start)
        start += max(shape[1:]) if rule == "mrope-5" else int(block.max()) + 1
        previous = place + 1
    blocks.append(np.tile(np.arange(len(pads) - previous, dtype=np.int64) + start, (3, 1)))
    return np.concatenate(blocks, axis=1)
