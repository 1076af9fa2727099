"""Memory of one device in training, in bytes: what stays, what is kept for the backward pass, what the loss needs.

The activations of a layer are what autograd keeps of it: per token so many bytes for each unit of the states' width, of
the MLP's inner width and of the width of keys and values. The figures are those of transformers' layers with peft's LoRA
and fused attention, which keeps no matrix of weights; a test holds them to the tensors that autograd really saves.
`precision` is that of the products: bf16 weights, fp32 weights under autocast, or fp32 throughout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from reference_model.cost.shapes import LanguageShape, ModelShape

Sharding = Literal["ddp", "zero1", "zero2", "fsdp"]
Precision = Literal["autocast", "bfloat16", "float32"]

# (width, inner, keys and values): bytes a token and layer; then what LoRA's dropout adds.
KEPT: dict[Precision, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "autocast": ((24, 8, 4), (24, 4, 0)),
    "bfloat16": ((36, 10, 4), (24, 4, 0)),
    "float32": ((24, 16, 8), (40, 4, 0)),
}
# An assumption: the runtime's context, workspaces of kernels, buffers of the collectives, fragmentation.
RESERVE = 2 * 2**30
LOGITS = 3  # fp32 matrices of a dense loss: scores, their softmax, their gradient


@dataclass(frozen=True)
class Memory:
    """Bytes on one device. `weights` are frozen; `adapters`, `gradients` and `optimizer` belong to LoRA."""

    weights: float
    adapters: float
    gradients: float
    optimizer: float
    activations: float
    similarities: float
    reserve: float = RESERVE

    @property
    def total(self) -> float:
        return float(sum(asdict(self).values()))


def standing(shape: ModelShape, rank: int, weight_bytes: int, sharding: Sharding, devices: int) -> tuple[float, ...]:
    """(weights, adapters, gradients, optimizer) of one of `devices`.

    Adapters, gradients and AdamW's two moments are fp32. ZeRO-1 divides the moments among the devices, ZeRO-2 the gradients
    too, FSDP everything, and then two layers' weights are whole at a time.
    """
    weights = float(shape.parameters * weight_bytes)
    adapters, gradients, optimizer = (float(size * shape.lora_parameters(rank)) for size in (4, 4, 8))
    if sharding != "ddp":
        optimizer /= devices
    if sharding in ("zero2", "fsdp"):
        gradients /= devices
    if sharding == "fsdp":
        adapters /= devices
        weights = weights / devices + 2 * shape.language.layer_parameters * weight_bytes
    return weights, adapters, gradients, optimizer


def activations(shape: LanguageShape, tokens: float, precision: Precision, dropout: bool, checkpointing: bool) -> float:
    """Bytes kept of a forward pass over `tokens` tokens.

    With gradient checkpointing each layer keeps its input, and one layer at a time everything.
    """
    base, dropped = KEPT[precision]
    units = (shape.width, shape.inner, shape.kv_heads * shape.head_size)
    held = [size + (more if dropout else 0) for size, more in zip(base, dropped, strict=True)]
    layer = sum(size * unit for size, unit in zip(held, units, strict=True)) * tokens
    if not checkpointing:
        return shape.layers * layer
    return shape.layers * shape.width * (4 if precision == "float32" else 2) * tokens + layer


def similarities(own: int, all_rows: int, width: int, directions: int, blocks: bool) -> float:
    """Bytes of the loss: gathered vectors and their gradients, and, unless it goes in blocks, own rows x all candidates."""
    vectors = 2 * 2 * all_rows * width * 4.0
    return vectors if blocks else vectors + LOGITS * directions * own * all_rows * 4.0


def largest(lengths: Mapping[int, float], items: int) -> float:
    """Tokens of a large batch of `items`: the mean and four standard deviations of their sum, at most all the longest."""
    count = sum(lengths.values())
    if not count:
        return 0.0
    mean = sum(length * number for length, number in lengths.items()) / count
    variance = sum((length - mean) ** 2 * number for length, number in lengths.items()) / count
    return min(float(items * max(lengths)), items * mean + 4 * math.sqrt(items * variance))
