"""Visual features of any medium, on disk, by what they are the features of: the medium, the tower, the preprocessing.

Vision tower and projector are frozen, so that every epoch, stage and arm can read what the first one computed. A process
appends to a shard of its own: `NAME.bf16` holds the numbers, `NAME.jsonl` one line a medium, written after its numbers. A
process that is killed leaves at most one unfinished line, which is not read.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_model.preprocess import Grid
from unite_bench.errors import StoreError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Ready:
    """Features (tokens, width) bf16 of a medium, and its grid."""

    features: torch.Tensor
    grid: Grid


@dataclass(frozen=True)
class Place:
    """Where the features of a medium lie: numbers from `start` in a shard, in rows of `width`."""

    shard: Path
    start: int
    tokens: int
    width: int
    grid: Grid


@dataclass
class FeatureStore:
    """Features under `folder`. Several processes may write at once, and find what the others have written. One thread of a
    process may write; any may read meanwhile, as the one does that prepares the next batch."""

    folder: Path
    _places: dict[str, Place] = field(default_factory=dict)
    _maps: dict[Path, Any] = field(default_factory=dict)
    _read: dict[Path, int] = field(default_factory=dict)
    _own: Path | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._look()

    def _look(self) -> None:
        """Read what has been added to the indexes: whole lines only. Two threads at once read the same lines twice."""
        for index in sorted(self.folder.glob("*.jsonl")):
            begin = self._read.get(index, 0)
            with index.open("rb") as file:
                file.seek(begin)
                whole, end, _ = file.read().rpartition(b"\n")
            for line in whole.splitlines():
                row = json.loads(line)
                place = Place(index.with_suffix(".bf16"), row["start"], row["tokens"], row["width"], _grid(row["grid"]))
                self._places.setdefault(row["key"], place)
            self._read[index] = begin + len(whole) + len(end)

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Ready | None:
        """What is held under the key, mapped from disk."""
        import torch

        if key not in self._places:
            self._look()
        if (place := self._places.get(key)) is None:
            return None
        size = place.tokens * place.width
        flat = self._map(place.shard, place.start + size)[place.start : place.start + size]
        features = torch.from_numpy(np.array(flat)).view(torch.bfloat16).view(place.tokens, place.width)
        return Ready(features, place.grid)

    def put(self, key: str, ready: Ready) -> None:
        """Keep the features, unless the key is known."""
        import torch

        if key in self._places:
            return
        if self._own is None:
            self._own = self.folder / f"{uuid.uuid4().hex}.bf16"
        tokens, width = ready.features.shape
        with self._own.open("ab") as file:
            start = file.tell() // 2
            file.write(ready.features.detach().cpu().contiguous().view(torch.int16).numpy().tobytes())
        grid = ready.grid
        row = {
            "key": key,
            "start": start,
            "tokens": tokens,
            "width": width,
            "grid": asdict(grid),
        }
        with self._own.with_suffix(".jsonl").open("a", encoding="utf-8") as file_:
            file_.write(json.dumps(row) + "\n")
        self._places[key] = Place(self._own, start, tokens, width, grid)

    def _map(self, shard: Path, end: int) -> Any:
        """The shard's numbers, mapped again where it has grown."""
        held = self._maps.get(shard)
        if held is None or len(held) < end:
            held = np.memmap(shard, dtype=np.int16, mode="r")
            if len(held) < end:
                raise StoreError(f"{shard}: shorter than its index says; delete it and its .jsonl, and train again")
            self._maps[shard] = held
        return held


def _grid(row: dict[str, Any]) -> Grid:
    return Grid(**{**row, "seconds": tuple(row["seconds"])})
