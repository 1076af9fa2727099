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
from unite_bench.items import Image, Item, PairedFrames, Text, Video, content_digest

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
        rule = PairedFrames(frames=None, fps=self.frames.fps, max_frames=self.frames.most, min_frames=self.frames.least)
        asked = (part.under(rule) if isinstance(part, Video) and part.indices is None else part for part in item.parts)
        return media.resolve(replace(item, parts=tuple(asked)))

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
                cut, grid = patches(clip.pixels, self.preprocessing, times=clip.times - (part.start or 0.0))
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
