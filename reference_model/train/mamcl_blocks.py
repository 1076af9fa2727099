"""The masked loss in blocks: only same-modality blocks are computed, and never the matrix of all scores.

Rows are grouped by their target's modality set, columns likewise, and each group goes through its blocks with a running
log-sum-exp. The backward pass computes each block a second time, so that memory beside the inputs and their gradients
is one block. Equal to `dense_losses` under a hard mask, in value and gradient (vectors and temperature); options beyond the
equation, and further positives, are those of the dense form alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from reference_model.train.mamcl import PLAIN, Direction, Options, full_precision

if TYPE_CHECKING:
    from torch import Tensor

ROWS, COLUMNS = 1024, 2048


def blocked_losses(side: Direction, temperature: float | Tensor, options: Options = PLAIN) -> Tensor:
    """(rows,) fp32 losses. Raises ValueError for options that need every score at once."""
    if not options.hard_mask or options.repeats != "left-out":
        raise ValueError("the blocked form has a hard mask and leaves repeats out; take dense_losses for other options")
    groups = list(_groups(side))
    with full_precision(side.anchors.device.type):
        scale = torch.as_tensor(temperature, dtype=torch.float32, device=side.anchors.device)
        anchors, columns = side.anchors.float(), side.columns.vectors.float()
        losses: Tensor = _Losses.apply(anchors, columns, scale, side, groups)
        return losses


@dataclass(frozen=True)
class Group:
    """Rows and columns that meet each other: places (n,) int64 each."""

    rows: Tensor
    columns: Tensor


def _groups(side: Direction) -> Iterator[Group]:
    wanted = side.columns.sets[side.at]
    for number in wanted[~side.unmasked].unique().tolist():
        rows = ((wanted == number) & ~side.unmasked).nonzero().flatten()
        yield Group(rows, (side.columns.sets == number).nonzero().flatten())
    if side.unmasked.any():
        yield Group(side.unmasked.nonzero().flatten(), torch.arange(len(side.partners), device=side.at.device))


def _blocks(side: Direction, groups: list[Group]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(rows, columns, left out): places of a block and its (rows, columns) bool of what is not a negative."""
    for group in groups:
        for rows in group.rows.split(ROWS):
            target = side.columns.contents[side.at[rows]]
            for columns in group.columns.split(COLUMNS):
                repeated = side.columns.contents[columns] == target[:, None]
                yield rows, columns, repeated | (side.partners[columns] == side.asked[rows][:, None])


class _Losses(torch.autograd.Function):
    """log-sum-exp over the positive and the negatives, less the positive's score."""

    @staticmethod
    def forward(
        ctx: Any, anchors: Tensor, columns: Tensor, scale: Tensor, side: Direction, groups: list[Group]
    ) -> Tensor:
        everyone = torch.arange(len(side.at), device=anchors.device).split(ROWS)
        positive = torch.cat([(anchors[rows] * columns[side.at[rows]]).sum(1) for rows in everyone]) / scale
        total = positive.clone()
        for rows, places, left_out in _blocks(side, groups):
            scores = (anchors[rows] @ columns[places].T).div_(scale).masked_fill_(left_out, -torch.inf)
            total[rows] = torch.logaddexp(total[rows], scores.logsumexp(1))
        ctx.save_for_backward(anchors, columns, scale, positive, total)
        ctx.side, ctx.groups, ctx.everyone = side, groups, everyone
        return total - positive

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        with full_precision(ctx.saved_tensors[0].device.type):
            return _Losses._backward(ctx, gradients[0])

    @staticmethod
    def _backward(ctx: Any, given: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        anchors, columns, scale, positive, total = ctx.saved_tensors
        side: Direction = ctx.side
        to_anchors, to_columns = torch.zeros_like(anchors), torch.zeros_like(columns)
        pull = given * ((positive - total).exp() - 1)  # by the score of the positive
        for rows in ctx.everyone:
            to_anchors[rows] = pull[rows, None] * columns[side.at[rows]]
            to_columns.index_add_(0, side.at[rows], pull[rows, None] * anchors[rows])
        to_scale = -(pull * positive).sum()
        for rows, places, left_out in _blocks(side, ctx.groups):
            near, far = anchors[rows], columns[places]
            scores = (near @ far.T).div_(scale).masked_fill_(left_out, -torch.inf)
            push = (scores - total[rows, None]).exp_() * given[rows, None]
            to_scale -= (push * scores.masked_fill_(left_out, 0.0)).sum()
            to_anchors.index_add_(0, rows, push @ far)
            to_columns.index_add_(0, places, push.T @ near)
        return to_anchors.div_(scale), to_columns.div_(scale), to_scale / scale, None, None
