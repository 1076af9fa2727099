"""Visual features of banks, computed once: vision tower and projector are frozen in both of UNITE's stages.

They can be kept on disk, and then serve every epoch, stage and run whose tower, preprocessing and media are the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_model.backbone import visual_features
from reference_model.precision import fast_bf16
from reference_model.preprocess import Grid, Preprocessing
from reference_model.train.bank import Bank, Banked, BankedClip
from reference_model.train.batches import patches_of
from unite_bench.errors import UsageError
from unite_bench.items import Image, Item, Text, Video, content_digest

if TYPE_CHECKING:
    import torch

CHUNK = 128


@dataclass(frozen=True)
class Features:
    """(tokens, width) bf16 features and the grid of every medium of some banks, by folder name and number."""

    held: dict[str, list[torch.Tensor]]
    grids: dict[str, list[Grid]]

    def of(self, item: Item) -> tuple[torch.Tensor | None, list[Grid]]:
        """Features of all media of the item, in order (None without media), and their grids."""
        import torch

        media = [_medium(part) for part in item.parts if not isinstance(part, Text)]
        if not media:
            return None, []
        pieces = [self.held[bank.folder.name][number] for bank, number in media]
        grids = [self.grids[bank.folder.name][number] for bank, number in media]
        return (pieces[0] if len(pieces) == 1 else torch.cat(pieces)), grids


def _medium(part: Image | Video) -> tuple[Bank, int]:
    if not isinstance(part.medium, Banked | BankedClip):
        raise UsageError(f"{part.medium.name}: only banked media can be trained on; put it into a bank first")
    return part.medium.bank, part.medium.number


def compute_features(model: Any, banks: list[Bank], preprocessing: Preprocessing) -> Features:
    """Run the vision tower and projector over every medium of the banks, in bf16 where the device is fast at it."""
    import torch

    fast = fast_bf16(model.device)
    held: dict[str, list[torch.Tensor]] = {}
    grids: dict[str, list[Grid]] = {}
    for bank in banks:
        pieces: list[torch.Tensor] = []
        shapes: list[Grid] = []
        for start in range(0, len(bank), CHUNK):
            media = [(bank, number) for number in range(start, min(start + CHUNK, len(bank)))]
            patches, own = patches_of(media, preprocessing)
            with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, fast):
                done = visual_features(model.model.visual, patches, own)
            sizes = [grid.tokens(preprocessing.merge) for grid in own]
            pieces += done.to(torch.bfloat16).split(sizes)
            shapes += own
        held[bank.folder.name], grids[bank.folder.name] = pieces, shapes
    return Features(held, grids)


def cached_features(model: Any, banks: list[Bank], preprocessing: Preprocessing, folder: Path) -> Features:
    """The same, from `folder` where they are; each bank's features are one flat bf16 file, mapped into memory."""
    tower = tower_digest(model.model.visual) + ("" if fast_bf16(model.device) else " fp32")
    held: dict[str, list[torch.Tensor]] = {}
    grids: dict[str, list[Grid]] = {}
    for bank in banks:
        name = content_digest("features", tower, repr(preprocessing), bank.index.tobytes())[:16]
        path = folder / f"features-{bank.folder.name}-{name}"
        if not path.with_suffix(".json").exists():
            found = compute_features(model, [bank], preprocessing)
            _write(path, found.held[bank.folder.name], found.grids[bank.folder.name])
        held[bank.folder.name], grids[bank.folder.name] = _read(path, preprocessing.merge)
    return Features(held, grids)


def tower_digest(tower: Any) -> str:
    """Digest of the weights of a vision tower with its projector."""
    import torch

    def raw(value: torch.Tensor) -> bytes:  # numpy has no bf16
        return value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()

    named = sorted(tower.state_dict().items())
    return content_digest(*(field for name, value in named for field in (name, raw(value))))


def _write(path: Path, features: list[torch.Tensor], grids: list[Grid]) -> None:
    """The grids come last: they mark the features as whole."""
    import torch

    flat = torch.cat(features).view(torch.int16).numpy()
    np.save(path.with_suffix(".npy"), flat)
    sizes = [(grid.time, grid.rows, grid.columns) for grid in grids]
    path.with_suffix(".json").write_text(json.dumps(sizes), encoding="utf-8")


def _read(path: Path, merge: int) -> tuple[list[torch.Tensor], list[Grid]]:
    import torch

    grids = [Grid(*size) for size in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))]
    flat = torch.from_numpy(np.load(path.with_suffix(".npy"), mmap_mode="c")).view(torch.bfloat16)
    return list(flat.split([grid.tokens(merge) for grid in grids])), grids
