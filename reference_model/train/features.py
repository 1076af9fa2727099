"""Visual features of a bank, computed once: vision tower and projector are frozen in both of UNITE's stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_model.backbone import visual_features
from reference_model.preprocess import Grid, Preprocessing
from reference_model.train.bank import Bank, Banked, BankedClip
from reference_model.train.batches import patches_of
from unite_bench.errors import UsageError
from unite_bench.items import Image, Item, Text, Video

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
    """Run the vision tower and projector over every medium of the banks."""
    import torch

    held: dict[str, list[torch.Tensor]] = {}
    grids: dict[str, list[Grid]] = {}
    for bank in banks:
        pieces: list[torch.Tensor] = []
        shapes: list[Grid] = []
        for start in range(0, len(bank), CHUNK):
            media = [(bank, number) for number in range(start, min(start + CHUNK, len(bank)))]
            patches, own = patches_of(media, preprocessing)
            with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16):
                done = visual_features(model.model.visual, patches, own)
            sizes = [grid.tokens(preprocessing.merge) for grid in own]
            pieces += done.to(torch.bfloat16).split(sizes)
            shapes += own
        held[bank.folder.name], grids[bank.folder.name] = pieces, shapes
    return Features(held, grids)
