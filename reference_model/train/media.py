"""From the media of an item to visual features: found, or pixels that are still to go through the tower.

A medium that cannot be opened raises `MediaError`; the batch then lacks its row (train/batch.py), and no other sample takes
its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from reference_model.preprocess import Grid, Preprocessing, patches
from reference_model.train.bank import Banked, BankedClip
from reference_model.train.feature_store import FeatureStore, Ready
from reference_model.train.features import Features
from reference_model.train.recipe import Frames
from unite_bench import media
from unite_bench.errors import MediaError, ModelError
from unite_bench.items import Image, Item, Text, Video, content_digest

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Pending:
    """Patches of a medium that is to go through the tower, its grid, and the key to keep its features under."""

    patches: torch.Tensor
    grid: Grid
    key: str


Medium = Ready | Pending


class MediaSource(Protocol):
    """Gives an item its media, in order; raises MediaError for one that cannot be opened."""

    def resolved(self, item: Item) -> Item:
        """The item with the frames of its clips chosen."""
        ...

    def of(self, item: Item) -> list[Medium]: ...


@dataclass(frozen=True)
class BankedMedia:
    """Features of banks that were computed beforehand, all of them."""

    features: Features

    def resolved(self, item: Item) -> Item:
        return item

    def of(self, item: Item) -> list[Medium]:
        found, grids = self.features.of(item)
        if found is None:
            return []
        if len(grids) == 1:
            return [Ready(found, grids[0])]
        merged = sum(grid.patches for grid in grids) // len(found)
        pieces = found.split([grid.patches // merged for grid in grids])
        return [Ready(piece, grid) for piece, grid in zip(pieces, grids, strict=True)]


@dataclass(frozen=True)
class AnyMedia:
    """Media of any kind: from the store where it has them, else decoded here."""

    preprocessing: Preprocessing
    frames: Frames
    store: FeatureStore | None

    def resolved(self, item: Item) -> Item:
        parts = tuple(_with_frames(part, self.frames) if isinstance(part, Video) else part for part in item.parts)
        return replace(item, parts=parts)

    def of(self, item: Item) -> list[Medium]:
        return [self._medium(part) for part in item.parts if not isinstance(part, Text)]

    def _medium(self, part: Image | Video) -> Medium:
        key = content_digest("features", _identity(part), repr(self.preprocessing))
        held = self.store.get(key) if self.store is not None else None
        if held is not None:
            return held
        try:
            if isinstance(part, Image):
                cut, grid = patches(media.pixels(part)[np.newaxis], self.preprocessing)
            else:
                clip = media.frames(part)
                cut, grid = patches(clip.pixels, self.preprocessing, times=clip.times)
        except ModelError as error:
            raise MediaError(f"{part.medium.name}: {error}") from error
        return Pending(cut, grid, key)


def _identity(part: Image | Video) -> str:
    """The digest of what is shown. A bank is named by its folder alone, so its pixels are what tells it from others."""
    medium = part.medium
    if isinstance(medium, Banked | BankedClip):
        frames = medium.bank.frames(medium.number)
        return content_digest("banked", part.kind, repr(frames.shape), frames.tobytes())
    return part.digest


def _with_frames(part: Video, frames: Frames) -> Video:
    """The clip with its frames chosen by the published rule: `fps` a second, from `least` to `most`, an even number of them,
    spread from the first frame to the last. A clip that has fewer gives each once."""
    if part.indices is not None:
        return part
    times = media.frame_times(part.medium)
    start = part.start if part.start is not None else -np.inf
    end = part.end if part.end is not None else np.inf
    span = np.flatnonzero((times >= start) & (times <= end))
    if span.size == 0:
        raise MediaError(f"{part.medium.name}: no frame between {part.start} s and {part.end} s")
    spacing = (times[span[-1]] - times[span[0]]) / max(span.size - 1, 1)
    wanted = min(max(spacing * span.size * frames.fps, frames.least), frames.most)
    count = min(max(2 * round(wanted / 2), 1), span.size)
    at = np.linspace(0, span.size - 1, count).round().astype(np.int64)
    return replace(part, indices=tuple(int(i) for i in span[at]))
