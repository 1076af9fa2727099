"""The loss of a stage as its recipe says it: a batch and its vectors -> MAMCL, over one process or several."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist

from reference_model.train.batch import Batch
from reference_model.train.gathering import distributed_mamcl_loss, own_directions
from reference_model.train.mamcl import Direction, Options, Side, dense_losses, directions, mamcl_loss, negatives
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
        settings = self.settings
        options = Options(
            both=self.both(batch),
            repeats=settings.repeats,
            other_weight=settings.other_weight,
            other_temperature=settings.other_temperature,
            hardness=settings.hardness,
            false_above=settings.false_above,
        )
        whole = distributed_mamcl_loss if self.gathers else mamcl_loss
        one_way = blocked_losses if settings.form == "blocks" else dense_losses
        return whole(queries, candidates, at, temperature, options, unmasked, losses=one_way)

    @property
    def gathers(self) -> bool:
        """Whether negatives come from several processes."""
        return self.settings.gather and dist.is_initialized() and dist.get_world_size() > 1

    def both(self, batch: Batch) -> bool:
        """Whether this batch is trained in both directions; all processes say the same."""
        if self.settings.directions != "rows":
            return self.settings.directions == "both"
        if not self.gathers:
            return batch.both
        said = torch.tensor([int(batch.both)], device=batch.sets.device)
        dist.all_reduce(said, op=dist.ReduceOp.MIN)
        return bool(said.item())

    def describe(self, batch: Batch) -> torch.Tensor:
        """(2, 8) float64, of this process's rows in the forward direction, by their target's modality set: how many rows,
        and the sum of their negatives. Column 0 counts all rows, and those without any negative."""
        empty = torch.empty(len(batch.sets), 0, device=batch.sets.device)
        queries, candidates, at, unmasked = self._sides(empty, batch)
        if self.gathers:
            (side,) = own_directions(queries, candidates, at, False, unmasked)
        else:
            (side,) = directions(queries, candidates, at, unmasked, False)
        counts = torch.cat([negatives(_rows(side, slice(n, n + BLOCK))) for n in range(0, len(at), BLOCK)]).double()
        sets = side.columns.sets[side.at]
        found = torch.zeros(2, 8, dtype=torch.float64, device=sets.device)
        found[0] = torch.bincount(sets, minlength=8)
        found[1] = torch.bincount(sets, weights=counts, minlength=8)
        found[:, 0] = torch.stack([torch.tensor(float(len(at))), (counts == 0).sum().cpu()])
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
    """Sums of `describe` as mean negatives a row by modality set, and the number of rows without any."""
    rows, sums = described.tolist()
    means = {f"negatives {SETS[n]}": sums[n] / rows[n] for n in range(1, len(SETS)) if rows[n]}
    return {"rows": rows[0], "rows without negatives": sums[0], **means}
