"""The loss of a stage as its recipe says it: a batch and its vectors -> MAMCL, over one process or several."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist

from reference_model.train.batch import Batch
from reference_model.train.gathering import distributed_mamcl_loss, own_directions
from reference_model.train.mamcl import Direction, Options, Side, Ways, dense_losses, directions, mamcl_loss, negatives
from reference_model.train.mamcl_blocks import blocked_losses
from reference_model.train.recipe import Loss

BLOCK = 1024  # rows whose negatives are counted at a time
SETS = ("all", "text", "image", "image+text", "video", "text+video", "image+video", "image+text+video")


@dataclass(frozen=True)
class Objective:
    """`loss` of a recipe's stage."""

    settings: Loss

    def loss(self, vectors: torch.Tensor, temperature: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Scalar fp32. With several processes, this one's part: the mean over processes is the loss of the whole batch."""
        queries, candidates, at, unmasked = self._sides(vectors, batch)
        whole = distributed_mamcl_loss if self.gathers else mamcl_loss
        one_way = blocked_losses if self.settings.form == "blocks" else dense_losses
        return whole(queries, candidates, at, temperature, self.options(batch), unmasked, losses=one_way)

    def options(self, batch: Batch) -> Options:
        """Those of the loss for this batch."""
        settings = self.settings
        return Options(
            ways=self.ways(batch),
            repeats=settings.repeats,
            other_weight=settings.other_weight,
            other_temperature=settings.other_temperature,
            hardness=settings.hardness,
            false_above=settings.false_above,
        )

    @property
    def gathers(self) -> bool:
        """Whether negatives come from several processes."""
        return self.settings.gather and dist.is_initialized() and dist.get_world_size() > 1

    def ways(self, batch: Batch) -> Ways:
        """The directions that this batch is trained in; all processes say the same."""
        if self.settings.directions != "rows":
            return self.settings.directions
        both = batch.both
        if self.gathers:
            said = torch.tensor([int(both)], device=batch.sets.device)
            dist.all_reduce(said, op=dist.ReduceOp.MIN)
            both = bool(said.item())
        return "both" if both else "forward"

    def describe(self, vectors: torch.Tensor, batch: Batch) -> torch.Tensor:
        """(2, 2, 8) float64, of this process's rows, forward and backward, by the modality set of what they look for: how
        many rows, and the sum of their effective negatives. Column 0 counts all rows, and those without any negative."""
        options = self.options(batch)
        seen = vectors.detach() if options.false_above is not None else vectors.new_empty(len(vectors), 0)
        queries, candidates, at, unmasked = self._sides(seen, batch)
        whole = own_directions(queries, candidates, at, options.ways, unmasked) if self.gathers else None
        sides = whole or directions(queries, candidates, at, unmasked, options.ways)
        found = torch.zeros(2, 2, 8, dtype=torch.float64, device=at.device)
        for side, own in zip(sides, found[1:] if options.ways == "backward" else found, strict=False):
            blocks = (_rows(side, slice(n, n + BLOCK)) for n in range(0, len(at), BLOCK))
            counts = torch.cat([negatives(block, options) for block in blocks]).double()
            sets = side.columns.sets[side.at]
            own[0] = torch.bincount(sets, minlength=8)
            own[1] = torch.bincount(sets, weights=counts, minlength=8)
            own[:, 0] = torch.stack([torch.tensor(float(len(at))), (counts == 0).sum().cpu()])
        return found

    def _sides(self, vectors: torch.Tensor, batch: Batch) -> tuple[Side, Side, torch.Tensor, torch.Tensor]:
        def side(at: torch.Tensor) -> Side:
            return Side(vectors[at], batch.sets[at], batch.contents[at])

        free = batch.unmasked if self.settings.mask else torch.ones_like(batch.unmasked)
        at = torch.arange(len(batch), device=vectors.device)
        return side(batch.queries), side(batch.candidates), at, free


def _rows(side: Direction, rows: slice) -> Direction:
    return Direction(
        side.anchors[rows], side.columns, side.at[rows], side.asked[rows], side.partners, side.unmasked[rows]
    )


def summary(described: torch.Tensor) -> dict[str, float]:
    """Sums of `describe` as mean effective negatives a row by modality set, and the number of rows without any; of the way
    back under names of its own, where it was trained."""
    found: dict[str, float] = {}
    for (rows, sums), way in zip(described.tolist(), ("", "back: "), strict=True):
        if rows[0]:
            found |= {f"{way}rows": rows[0], f"{way}rows without negatives": sums[0]}
            found |= {f"{way}negatives {SETS[n]}": sums[n] / rows[n] for n in range(1, len(SETS)) if rows[n]}
    return found
