"""Visual features by part digest: every distinct picture and clip goes through the vision tower once a run.

Features lie in main memory, so that all devices share them, and the least recently used ones go when the limit is reached.
An entry exists from the moment that its frames are handed to a lane; who else needs it waits for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reference_model.preprocess import Grid
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch


@dataclass(eq=False)
class Entry:
    """The features of one part, (tokens, width) in main memory, when `features` is done; their grid and size in bytes."""

    digest: str
    grid: Grid
    bytes: int
    features: Future[torch.Tensor] = field(default_factory=Future)


class FeatureCache:
    """At most `limit` bytes of features. Used by one thread; the futures are set by others."""

    def __init__(self, limit: int):
        self.limit = limit
        self.bytes = 0
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def __contains__(self, digest: str) -> bool:
        return digest in self._entries

    def get(self, digest: str) -> Entry | None:
        """The entry, which becomes the most recently used one. One whose computation failed is forgotten."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if entry.features.done() and entry.features.exception() is not None:
            self._drop(digest)
            return None
        self._entries.move_to_end(digest)
        return entry

    def add(self, digest: str, grid: Grid, size: int) -> Entry:
        """A new entry, in place of the least recently used ones. Whoever holds an entry keeps its features."""
        entry = self._entries[digest] = Entry(digest, grid, size)
        self.bytes += size
        while self.bytes > self.limit and len(self._entries) > 1:
            self._drop(next(iter(self._entries)))
        return entry

    def _drop(self, digest: str) -> None:
        self.bytes -= self._entries.pop(digest).bytes


def abandon(entries: Iterable[Entry]) -> None:
    """Whoever waits for features that will never come is told so."""
    for entry in entries:
        if not entry.features.done():
            entry.features.set_exception(ModelError("another item's failure ended this pass; ask again"))
