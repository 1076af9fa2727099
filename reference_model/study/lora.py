"""LoRA on the linear layers of the language model.

The effective weight W + (alpha / rank) B A is formed once a step, which for a small model and many tokens is faster
than a second path through every layer; without dropout on the path it is the same function. Vision tower, projector,
norms, word embeddings and output layer stay as they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn import functional

from reference_model.train.lora_targets import TARGETS

if TYPE_CHECKING:
    import torch


class LowRankLinear(nn.Module):
    """A frozen linear layer W with trained A (`down`) and B (`up`); B = 0 at the start, so nothing changes at first."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float):
        super().__init__()
        import torch

        self.weight, self.bias = layer.weight, layer.bias
        self.down = nn.Parameter(torch.empty(rank, layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.scale = alpha / rank

    def effective(self) -> torch.Tensor:
        """(out, in): the weight that the layer acts with."""
        return self.weight + self.scale * (self.up @ self.down).to(self.weight.dtype)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return functional.linear(inputs, self.effective(), self.bias)

    def merged(self) -> nn.Linear:
        """An ordinary linear layer that does the same."""
        rows, columns = self.weight.shape
        layer = nn.Linear(columns, rows, bias=self.bias is not None, device=self.weight.device, dtype=self.weight.dtype)
        layer.weight = nn.Parameter(self.effective().detach(), requires_grad=False)
        if self.bias is not None:
            layer.bias = nn.Parameter(self.bias.detach().clone(), requires_grad=False)
        return layer


def add_lora(model: Any, rank: int, alpha: float) -> list[nn.Parameter]:
    """Freeze everything, adapt every linear layer of the language model, and return what is to be trained."""
    model.requires_grad_(False)
    trained: list[nn.Parameter] = []
    for parent, name, layer in _children(model, nn.Linear):
        adapted = LowRankLinear(layer, rank, alpha)
        setattr(parent, name, adapted)
        trained += [adapted.down, adapted.up]
    return trained


def merge_lora(model: Any) -> None:
    """Make the effective weights the weights; the model is then an ordinary Qwen2-VL again."""
    for parent, name, layer in _children(model, LowRankLinear):
        setattr(parent, name, layer.merged())


def _children(model: Any, kind: type[nn.Module]) -> list[tuple[nn.Module, str, Any]]:
    """(parent, name, layer) of the language model's target layers of that kind."""
    found = []
    for parent in model.model.language_model.modules():
        named = [(name, child) for name, child in parent.named_children() if name in TARGETS]
        found += [(parent, name, child) for name, child in named if isinstance(child, kind)]
    return found
