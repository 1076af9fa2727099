"""What a stage's pairs amount to: tokens of their items and patch grids of their media, in one streamed pass.

Text is counted by a tokenizer where one is given, else estimated from its characters; visual tokens follow from the size of
a picture, read from its header, and the visual budget.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from reference_model.cost.media_size import Size, medium_size
from reference_model.preprocess import Grid, Preprocessing, fitted_size
from reference_model.prompt import PLACEHOLDER, SPECIAL_TOKENS, joined, render, timed
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
    """How items are read: `tokens` counts those of a prompt; `preprocessing` has the visual budgets; `in_words` where the
    times of frames stand in the prompt; frames of a clip (`fps` a second, from `least` to `most`); `max_length` of a prompt.
    Every `every`-th row is measured, and stands for the others."""

    tokens: Counting
    preprocessing: Preprocessing = Preprocessing()
    in_words: bool = False
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
    grid, `used` to the number of times that they are shown. `measured` rows were looked at, of `rows`; `unreadable` ones
    have a medium that cannot be opened or is too long and thin, and the measured ones stand for them too. `too_long`
    items have more visual and template tokens than `max_length`: training leaves their rows out, as it does unreadable ones.
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
    too_long: float = 0.0

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


def item_tokens(item: Item, grids: Sequence[Grid], reading: Reading) -> tuple[float, int, bool]:
    """(text, visual) tokens of an item whose media have these grids, and whether it is too long.

    A prompt that is longer than `max_length` loses tokens of its texts, never of its media and template.
    """
    segments = render(item)
    if reading.in_words:
        segments = timed(segments, [grid.seconds for grid in grids])
    visual = sum(grid.tokens(reading.preprocessing.merge) for grid in grids)
    words, rest = reading.tokens(joined(segments)), reading.max_length - visual
    pads = sum(segment.origin in PLACEHOLDER for segment in segments)
    if words - pads <= rest:
        return words - pads, visual, False
    template = tuple(segment for segment in segments if segment.origin not in ("text", "instruction"))
    return max(rest, 0), visual, reading.tokens(joined(template)) - pads > rest


def grid_of(part: Image | Video, size: Size, reading: Reading) -> Grid:
    """The patch grid of a medium of this size under the budgets. Raises ModelError if it is too long and thin."""
    settings, clip = reading.preprocessing, isinstance(part, Video)
    height, width = fitted_size(size.height, size.width, settings, clip)
    rows, columns = height // settings.patch, width // settings.patch
    if not isinstance(part, Video):
        return Grid(1, rows, columns)
    groups = -(-frames_shown(part, size, reading) // settings.temporal_patch)
    if not reading.in_words:
        return Grid(groups, rows, columns)
    return Grid(groups, rows, columns, tuple(round(size.seconds * n / groups, 1) for n in range(groups)))


def frames_shown(part: Video, size: Size, reading: Reading) -> int:
    """Frames of a clip that a model is given: `fps` of them a second within [least, most], an even number, as published.

    A clip whose frames are chosen already keeps them.
    """
    if part.indices is not None:
        return len(part.indices)
    wanted = min(max(size.seconds * reading.fps, reading.least), reading.most)
    return min(max(2 * round(wanted / 2), 1), size.frames)


def measure(rows: Iterable[Row], reading: Reading) -> Statistics:
    """One pass over rows, as `Manifest.rows(stage)` gives them; 8 bytes are kept for each medium that is shown.

    Media of the same name are one. Their sizes are read from headers, of every `reading.every`-th row; each of those is
    kept, so for millions of rows let `every` be more than 1.
    """
    total, measured, unreadable, pairs, measured_pairs = 0, 0, 0, 0.0, 0.0
    lengths: defaultdict[int, float] = defaultdict(float)
    text, visual, too_long = 0.0, 0.0, 0.0
    names = {"image": array("Q"), "video": array("Q")}
    found: dict[tuple[str, str], Grid] = {}
    used: defaultdict[Grid, float] = defaultdict(float)
    for number, row in enumerate(rows):
        items = (row.query, row.target, *row.negatives)
        total, pairs = total + 1, pairs + row.weight
        for part in _media(items):
            names[part.kind].append(_number(_name(part)))
        if number % reading.every:
            continue
        try:
            grids = [[_grid(part, found, reading) for part in _media((item,))] for item in items]
        except (MediaError, ModelError):
            unreadable += 1
            continue
        measured, measured_pairs = measured + 1, measured_pairs + row.weight
        for item, own in zip(items, grids, strict=True):
            words, seen, refused = item_tokens(item, own, reading)
            lengths[round(words) + seen] += row.weight
            text, visual, too_long = (
                text + words * row.weight,
                visual + seen * row.weight,
                too_long + refused * row.weight,
            )
            for grid in own:
                used[replace(grid, seconds=())] += row.weight
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
        too_long=too_long * scale,
    )


def _grid(part: Image | Video, found: dict[tuple[str, str], Grid], reading: Reading) -> Grid:
    name = (part.kind, _name(part))
    if name not in found:
        found[name] = grid_of(part, medium_size(part), reading)
    return found[name]


def _distinct(found: Mapping[tuple[str, str], Grid], names: Mapping[str, array[int]]) -> dict[Grid, float]:
    """Media by grid: those measured, scaled to the number of different names of their kind."""
    scaled: defaultdict[Grid, float] = defaultdict(float)
    for kind, hashed in names.items():
        grids = Counter(replace(grid, seconds=()) for (own, _), grid in found.items() if own == kind)
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
