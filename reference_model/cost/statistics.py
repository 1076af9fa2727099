"""What a stage's pairs amount to: tokens of their items and patch grids of their media, in one streamed pass.

Text is counted by a tokenizer where one is given, else estimated from its characters; visual tokens follow from the size of
a picture, read from its header, and the visual budget.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reference_model.cost.media_size import Size, medium_size
from reference_model.preprocess import Grid, Preprocessing, fitted_size
from reference_model.prompt import IMAGE_PAD, SPECIAL_TOKENS, VIDEO_PAD, joined, render
from unite_bench.errors import MediaError, ModelError
from unite_bench.items import Image, Item, Text, Video

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from reference_model.curation.rows import Row

# An assumption, for English under Qwen's vocabulary of 152,000; other languages need more tokens. Give a tokenizer to know.
CHARACTERS_PER_TOKEN = 4.0
SPECIAL = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))
Counting = Callable[[str], float]


@dataclass(frozen=True)
class Reading:
    """How items are read: `tokens` counts those of a prompt; budgets of an image and of a pair of frames; frames of a clip
    (`fps` a second, from `least` to `most`); `max_length` of a prompt. `every` n-th row is measured, and stands for the
    others."""

    tokens: Counting
    image: Preprocessing = Preprocessing()
    frames: Preprocessing = Preprocessing()
    fps: float = 1.0
    least: int = 4
    most: int = 12
    max_length: int = 2048
    every: int = 1


@dataclass(frozen=True)
class Statistics:
    """Of one stage, for one pass over its pairs (an epoch).

    `pairs` counts rows by their weights; `lengths` maps tokens of an item, its visual ones included, to the number of such
    items (queries, targets, explicit negatives). `distinct` maps patch grids to the number of different media of that
    grid, `used` to the number of times that they are shown. `measured` rows were looked at, of `rows`; `unreadable` media
    could not be opened, or are too long and thin: their visual tokens are missing.
    """

    rows: int
    pairs: float
    lengths: Mapping[int, float]
    text_tokens: float
    visual_tokens: float
    distinct: Mapping[Grid, float]
    used: Mapping[Grid, float]
    measured: int
    unreadable: int = 0

    @property
    def items(self) -> float:
        return sum(self.lengths.values())

    @property
    def tokens(self) -> float:
        return self.text_tokens + self.visual_tokens


def by_characters(prompt: str) -> float:
    """Tokens of a prompt: one for each special token, and one for every `CHARACTERS_PER_TOKEN` of the rest."""
    rest, special = SPECIAL.subn("", prompt)
    return special + len(rest) / CHARACTERS_PER_TOKEN


def by_tokenizer(tokenizer: Tokenizer) -> Counting:
    """Exact tokens of a prompt."""
    return lambda prompt: len(tokenizer.encode(prompt, add_special_tokens=False).ids)


def item_tokens(item: Item, grids: Iterable[Grid], reading: Reading) -> tuple[float, int]:
    """(text, visual) tokens of an item whose media have these grids; text is cut where both are too long together."""
    prompt = joined(render(item))
    pads = prompt.count(IMAGE_PAD) + prompt.count(VIDEO_PAD)
    visual = sum(grid.tokens(reading.image.merge) for grid in grids)
    return min(reading.tokens(prompt) - pads, max(0, reading.max_length - visual)), visual


def grid_of(part: Image | Video, size: Size, reading: Reading) -> Grid:
    """The patch grid of a medium of this size under the budgets. Raises ModelError if it is too long and thin."""
    settings = reading.frames if isinstance(part, Video) else reading.image
    height, width = fitted_size(size.height, size.width, settings)
    shown = frames_shown(part, size, reading) if isinstance(part, Video) else 1
    return Grid(-(-shown // settings.temporal_patch), height // settings.patch, width // settings.patch)


def frames_shown(part: Video, size: Size, reading: Reading) -> int:
    """Frames of a clip that a model is given: `fps` of them a second within [least, most], an even number, as published.

    A clip whose frames are chosen already keeps them.
    """
    if part.indices is not None:
        return len(part.indices)
    wanted = min(max(size.seconds * reading.fps, reading.least), reading.most)
    return min(2 * max(1, round(wanted / 2)), size.frames)


def measure(rows: Iterable[Row], reading: Reading) -> Statistics:
    """One pass over rows, as `Manifest.rows(stage)` gives them; 8 bytes are kept for each medium that is shown.

    Media of the same name are one. Their sizes are read from headers, of every `reading.every`-th row.
    """
    total, measured, unreadable, pairs, measured_pairs = 0, 0, 0, 0.0, 0.0
    lengths: defaultdict[int, float] = defaultdict(float)
    text, visual = 0.0, 0.0
    names = {"image": array("Q"), "video": array("Q")}
    found: dict[tuple[str, str], Grid] = {}
    used: defaultdict[Grid, float] = defaultdict(float)
    for number, row in enumerate(rows):
        total, pairs = total + 1, pairs + row.weight
        items = (row.query, row.target, *row.negatives)
        for part in _media(items):
            names[part.kind].append(_number(_name(part)))
        if number % reading.every:
            continue
        measured, measured_pairs = measured + 1, measured_pairs + row.weight
        for item in items:
            grids = []
            for part in _media((item,)):
                name = (part.kind, _name(part))
                try:
                    grid = found[name] if name in found else grid_of(part, medium_size(part), reading)
                except (MediaError, ModelError):
                    unreadable += 1
                    continue
                found[name] = grid
                grids.append(grid)
                used[grid] += row.weight
            words, seen = item_tokens(item, grids, reading)
            lengths[round(words) + seen] += row.weight
            text, visual = text + words * row.weight, visual + seen * row.weight
    scale = pairs / measured_pairs if measured_pairs else 0.0
    return Statistics(
        rows=total,
        pairs=pairs,
        lengths={length: count * scale for length, count in sorted(lengths.items())},
        text_tokens=text * scale,
        visual_tokens=visual * scale,
        distinct=_distinct(found, names),
        used={grid: count * scale for grid, count in used.items()},
        measured=measured,
        unreadable=unreadable,
    )


def _distinct(found: Mapping[tuple[str, str], Grid], names: Mapping[str, array[int]]) -> dict[Grid, float]:
    """Media by grid: those measured, scaled to the number of different names of their kind."""
    scaled: defaultdict[Grid, float] = defaultdict(float)
    for kind, hashed in names.items():
        grids = Counter(grid for (own, _), grid in found.items() if own == kind)
        different = len(np.unique(np.frombuffer(hashed, dtype=np.uint64)))
        for grid, count in grids.items():
            scaled[grid] += count * different / grids.total()
    return dict(scaled)


def _media(items: Iterable[Item]) -> Iterator[Image | Video]:
    for item in items:
        for part in item.parts:
            if not isinstance(part, Text):
                yield part


def _name(part: Image | Video) -> str:
    span = f" {part.start} {part.end}" if isinstance(part, Video) else ""
    return part.medium.name + span


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
