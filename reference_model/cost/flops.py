"""FLOPs of UNITE's training: multiplications and additions of matrix products, each counted as one.

Counted as `torch.utils.flop_counter` counts them: attention in full, causal or not. Not counted, because they are small
beside the rest: norms, activation functions, rotations, and the similarities (2 N^2 D for N pairs of width D, against
about 10^5 N D or more for the models).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reference_model.cost.shapes import LanguageShape, VisionShape
from reference_model.preprocess import Grid


@dataclass(frozen=True)
class Adapters:
    """LoRA of one rank on all linear layers of the language model.

    With `effective` the weights W + BA are formed once a pass and all gradients of W are computed for it (nano); the
    forming itself, rank over tokens of the rest, is not counted.
    """

    rank: int
    effective: bool = False


def language_forward(shape: LanguageShape, lengths: Mapping[int, float], adapters: Adapters | None) -> float:
    """One forward pass over items: `lengths` maps tokens of an item to the number of such items."""
    tokens, squares = _sums(lengths)
    linear = sum(linear.flops for linear in shape.linears)
    if adapters and not adapters.effective:
        linear += _low_rank(shape, adapters.rank)
    return shape.layers * (linear * tokens + _attention(shape) * squares)


def language_backward(shape: LanguageShape, lengths: Mapping[int, float], adapters: Adapters) -> float:
    """The backward pass: gradients of states and of the adapters, none of the frozen weights.

    The first layer's queries, keys and values pass no gradient on, for what lies before them is frozen too.
    """
    tokens, squares = _sums(lengths)
    frozen = sum(linear.flops for linear in shape.linears)
    first = sum(linear.flops for linear in shape.attention[:3])
    if adapters.effective:
        trained, first_trained = frozen, 0
    else:
        trained = 2 * _low_rank(shape, adapters.rank)
        first_trained = 3 * 2 * adapters.rank * shape.width
    layers = shape.layers * ((frozen + trained) * tokens + 2 * _attention(shape) * squares)
    return layers - (first + first_trained) * tokens


def vision_forward(shape: VisionShape, grid: Grid) -> float:
    """Features of one medium: patches of `grid` through the tower, frame group by frame group, and the projectors."""
    layer = sum(linear.flops for linear in shape.linears)
    projector = sum(linear.flops for linear in shape.projector) * (1 + shape.deepstack)
    linear = grid.patches * (shape.patches.flops + shape.layers * layer) + grid.tokens(shape.merge) * projector
    whole = grid.time * (grid.rows * grid.columns) ** 2
    full = shape.layers if shape.window is None else len(set(shape.full) & set(range(shape.layers)))
    attended = full * whole + (shape.layers - full) * _windowed(shape, grid)
    return linear + 4 * shape.width * attended


def _windowed(shape: VisionShape, grid: Grid) -> int:
    """Pairs of patches that see one another within windows, those at the right and lower edge being smaller."""
    if shape.window is None:
        return 0
    side = shape.window // shape.patch // shape.merge * shape.merge
    return grid.time * _squares(grid.rows, side) * _squares(grid.columns, side)


def _squares(length: int, side: int) -> int:
    whole, rest = divmod(length, side)
    return whole * side**2 + rest**2


def _low_rank(shape: LanguageShape, rank: int) -> int:
    return sum(2 * rank * (linear.inputs + linear.outputs) for linear in shape.linears)


def _attention(shape: LanguageShape) -> int:
    """Of one layer, a pair of tokens: the product of queries and keys, and that of weights and values."""
    return 4 * shape.heads * shape.head_size


def _sums(lengths: Mapping[int, float]) -> tuple[float, float]:
    tokens = sum(length * count for length, count in lengths.items())
    return tokens, sum(length**2 * count for length, count in lengths.items())
