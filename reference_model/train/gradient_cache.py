"""Exact gradients of batches far beyond memory (Gao et al., arXiv 2101.06983).

The loss needs every vector of the batch at once, but the model does not: the vectors are computed in chunks without a
graph, the loss gives the gradient of each vector, and every chunk is computed a second time, with a graph, to carry its
gradients into the weights. Dropout must fall alike in both passes, so each chunk starts from the same random state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from torch import Tensor

Chunk = TypeVar("Chunk")


def cached_step(
    embed: Callable[[Chunk], Tensor], chunks: Sequence[Chunk], loss_of: Callable[[Tensor], Tensor]
) -> Tensor:
    """The loss, detached; gradients are added to whatever `embed` and `loss_of` depend on, as by one backward pass.

    `embed` gives (n, width) vectors of a chunk; `loss_of` gets those of all chunks, in order, and gives a scalar.
    """
    states, pieces = [], []
    with torch.no_grad():
        for chunk in chunks:
            states.append(RandomState.now())
            pieces.append(embed(chunk))
    vectors = torch.cat(pieces).requires_grad_()
    loss = loss_of(vectors)
    loss.backward()
    if vectors.grad is None:
        raise ValueError("the loss does not depend on the vectors")
    after = RandomState.now()
    for chunk, state, gradient in zip(chunks, states, vectors.grad.split([len(p) for p in pieces]), strict=True):
        state.restore()
        embed(chunk).backward(gradient)
    after.restore()
    return loss.detach()


@dataclass(frozen=True)
class RandomState:
    """States of torch's generators: the CPU's and, where there are any, every CUDA device's."""

    cpu: Tensor
    cuda: list[Tensor]

    @classmethod
    def now(cls) -> RandomState:
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])

    def restore(self) -> None:
        torch.set_rng_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(self.cuda)
