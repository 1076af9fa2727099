"""One batch over several processes: every process computes the rows of its own queries against everyone's candidates.

The gradient of the gathered vectors is summed over the processes, so that what one process's rows say of another's
vectors reaches it. With a trainer that averages gradients over W processes, the loss of the own rows is scaled by
W / rows of the whole batch: the averaged gradient is then that of one process that holds the whole batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from reference_model.train.mamcl import PLAIN, Direction, Losses, Options, Side, Ways, dense_losses, directions

if TYPE_CHECKING:
    from torch import Tensor


def distributed_mamcl_loss(
    queries: Side,
    candidates: Side,
    at: Tensor,
    temperature: float | Tensor,
    options: Options = PLAIN,
    unmasked: Tensor | None = None,
    losses: Losses = dense_losses,
) -> Tensor:
    """Scalar: this process's part of the loss, for its own queries, candidates and places of targets among them.

    Processes may hold different numbers of rows (the last batch of an epoch). The mean of the results over all
    processes is the loss of the whole batch.
    """
    world = dist.get_world_size()
    sides = own_directions(queries, candidates, at, options.ways, unmasked)
    rows = sum(_counts(len(at), at.device))
    return torch.stack([losses(side, temperature, options).sum() for side in sides]).mean() * world / rows


def own_directions(
    queries: Side, candidates: Side, at: Tensor, ways: Ways, unmasked: Tensor | None = None
) -> list[Direction]:
    """The one or two directions of this process's rows, among the candidates (or queries) of all processes."""
    rank = dist.get_rank()
    row_counts, column_counts = _counts(len(at), at.device), _counts(len(candidates.sets), at.device)
    first = sum(row_counts[:rank])
    starts = torch.tensor([0, *column_counts[:-1]], device=at.device).cumsum(0)
    offsets = torch.repeat_interleave(starts, torch.tensor(row_counts, device=at.device))
    free = torch.zeros(len(at), dtype=torch.bool, device=at.device) if unmasked is None else unmasked
    whole = directions(
        _gathered(queries, row_counts),
        _gathered(candidates, column_counts),
        _gather_plain(at, row_counts) + offsets,
        _gather_plain(free, row_counts),
        ways,
    )
    own = slice(first, first + len(at))
    anchors = [queries.vectors] * (ways != "backward") + [candidates.vectors[at]] * (ways != "forward")
    return [
        Direction(vectors, side.columns, side.at[own], side.asked[own], side.partners, side.unmasked[own])
        for side, vectors in zip(whole, anchors, strict=True)
    ]


def gather_rows(values: Tensor) -> Tensor:
    """Rows of all processes, one process after the other; each may have another number of them."""
    return _gather_plain(values, _counts(len(values), values.device))


def _counts(own: int, device: torch.device) -> list[int]:
    found = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(dist.get_world_size())]
    dist.all_gather(found, torch.tensor([own], device=device))
    return [int(count) for count in found]


def _gathered(side: Side, counts: list[int]) -> Side:
    vectors: Tensor = _Gather.apply(side.vectors, counts)
    return Side(vectors, _gather_plain(side.sets, counts), _gather_plain(side.contents, counts))


def _gather_plain(values: Tensor, counts: list[int]) -> Tensor:
    """Rows of all processes, one process after the other; shorter ones are padded for the journey."""
    padded = values.new_zeros(max(counts), *values.shape[1:])
    padded[: len(values)] = values
    found = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(found, padded)
    return torch.cat([rows[:count] for rows, count in zip(found, counts, strict=True)])


class _Gather(torch.autograd.Function):
    """Gathers rows of all processes; its gradient is the sum over processes of what each says of the own rows."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        return _gather_plain(values, counts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        rank = dist.get_rank()
        start = sum(ctx.counts[:rank])
        return total[start : start + ctx.counts[rank]], None
