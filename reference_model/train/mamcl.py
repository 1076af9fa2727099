"""Modal-aware masked contrastive learning (arXiv 2505.19650, section 3.3).

    s_ij = q_i . c_j / tau
    L    = -1/N sum_i log( exp(s_ii) / sum_{j: M_ij} exp(s_ij) ),   M_ij = [modality set of c_j = modality set of c_i]

The same function serves the direction back, from target to query, with the mask over the queries' modality sets.
Similarities are fp32 whatever the model's dtype: bf16 has a spacing of 0.125 at a logit of 25, TF32 one of 0.016.

What the equation leaves free: adding one constant per target modality to all scores changes no term of it, so the
order between modalities in a union pool is not learned from it. Under it only `unmasked` rows, whose denominator holds
every modality, do teach it; so does an `other_weight` above 0, which is no longer the equation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Side:
    """Items of one side of a batch: vectors (n, width), L2-normalised; modality sets and contents (n,) int64.

    A modality set is the sum of its bits (text 1, image 2, video 4); equal contents have equal numbers.
    """

    vectors: torch.Tensor
    sets: torch.Tensor
    contents: torch.Tensor


@dataclass(frozen=True)
class Direction:
    """All that the loss of one direction needs. Row i looks for column `at[i]` among the columns.

    `asked` (rows,) are the contents of the anchors; `partners` (columns,) the contents at the other end of each
    column's own pair, -1 for an explicit negative, which has none. `unmasked` (rows,) bool lifts the mask.
    """

    anchors: torch.Tensor
    columns: Side
    at: torch.Tensor
    asked: torch.Tensor
    partners: torch.Tensor
    unmasked: torch.Tensor


Ways = Literal["forward", "backward", "both"]
WAYS, REPEATS = ("forward", "backward", "both"), ("left-out", "positive")


@dataclass(frozen=True)
class Options:
    """What may be chosen beside the equation; the defaults are the equation, with repeats left out.

    `ways`: from query to candidate, back, or the mean of both. `repeats`: another column with the row's own target content
    (or a column whose partner is the row's own anchor) is not a negative; it is left out of the denominator, or counts as
    a further positive (each of p positives weighs 1 / p, after Khosla et al., arXiv 2004.11362, the form with the sum
    outside).

    Beyond the paper: `other_temperature` keeps negatives of other modalities at a temperature of their own, in the
    manner of PUMA's MAC-Loss (arXiv 2507.08064), instead of masking them; `other_weight` keeps them at a weight from 0
    (the mask) to 1 (plain InfoNCE). `hardness` beta weighs negatives by exp(beta cos), without a gradient through the
    weights, normalised to a mean of 1 over the row (Robinson et al., arXiv 2010.04592; RzenEmbed, arXiv 2510.27350, uses
    such weights). `false_above` leaves out negatives whose cosine exceeds the positive's by more than this margin: likely
    positives that nobody labelled. RzenEmbed mitigates false negatives too; B3 (arXiv 2505.11293) does so by another rule,
    when it builds batches: it excludes what a teacher ranks highest. That rule is not here, since it needs a teacher.
    """

    ways: Ways = "forward"
    repeats: Literal["left-out", "positive"] = "left-out"
    other_weight: float = 0.0
    other_temperature: float | None = None
    hardness: float = 0.0
    false_above: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.other_weight <= 1.0:
            raise ValueError(f"other_weight is {self.other_weight}; it must be from 0 (masked) to 1 (not masked)")
        if self.other_temperature is not None and (not self.other_temperature > 0 or self.other_weight == 0.0):
            raise ValueError("other_temperature must be above 0 and needs an other_weight above 0, as 1.0")
        if self.ways not in WAYS or self.repeats not in REPEATS:
            raise ValueError(f"ways is one of {', '.join(WAYS)}, repeats one of {', '.join(REPEATS)}: {self}")
        if not 0.0 <= self.hardness < float("inf"):
            raise ValueError(f"hardness is {self.hardness}; it must be a number from 0 on")
        if self.false_above is not None and not self.false_above >= 0.0:
            raise ValueError(f"false_above is {self.false_above}; it must be a margin from 0 on")

    @property
    def hard_mask(self) -> bool:
        """Whether every negative either counts whole or not at all, whatever its score."""
        return self.other_weight == 0.0 and self.hardness == 0.0 and self.false_above is None


PLAIN = Options()
Losses = Callable[[Direction, Any, Options], "torch.Tensor"]  # (rows,) losses at a temperature


def directions(
    queries: Side, candidates: Side, at: torch.Tensor, unmasked: torch.Tensor | None, ways: Ways
) -> list[Direction]:
    """The one or two directions of a batch in which query i looks for candidate `at[i]`, forward before backward.

    Candidates that are no query's target are explicit negatives: they play no part in the direction back.
    """
    import torch

    free = torch.zeros(len(at), dtype=torch.bool, device=at.device) if unmasked is None else unmasked
    partners = torch.full_like(candidates.contents, -1)
    partners[at] = queries.contents
    found = []
    if ways != "backward":
        found.append(Direction(queries.vectors, candidates, at, queries.contents, partners, free))
    if ways != "forward":
        own, asked = torch.arange(len(at), device=at.device), candidates.contents[at]
        found.append(Direction(candidates.vectors[at], queries, own, asked, asked, free))
    return found


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """Products of fp32 in fp32: neither autocast nor, on a CUDA device, TF32."""
    import torch

    with torch.autocast(device, enabled=False):
        if device != "cuda":
            yield
            return
        held = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(held)


def mamcl_loss(
    queries: Side,
    candidates: Side,
    at: torch.Tensor,
    temperature: float | torch.Tensor,
    options: Options = PLAIN,
    unmasked: torch.Tensor | None = None,
    losses: Losses | None = None,
) -> torch.Tensor:
    """Scalar fp32: mean over rows, then over directions. `at` (rows,) is the place of each query's target.

    `temperature` may be a tensor that is learned. `losses` is `dense_losses` unless another form of it is given. Raises
    ValueError for a number that is not above 0.
    """
    import torch

    if isinstance(temperature, float | int) and not temperature > 0:
        raise ValueError(f"the temperature is {temperature}; it must be above 0")
    one_way = losses or dense_losses
    sides = directions(queries, candidates, at, unmasked, options.ways)
    return torch.stack([one_way(side, temperature, options).mean() for side in sides]).mean()


def dense_losses(side: Direction, temperature: float | torch.Tensor, options: Options = PLAIN) -> torch.Tensor:
    """(rows,) fp32 losses by the whole (rows, columns) matrix of scores: the form to read."""
    import torch

    with full_precision(side.anchors.device.type):
        cosines = side.anchors.float() @ side.columns.vectors.float().T
        own, repeated, same = relations(side)
        scores = cosines / temperature
        if options.other_temperature is not None:
            scores = torch.where(same | own, scores, cosines / options.other_temperature)
        weights = _weights(side, cosines.detach(), options)
        if options.hardness:
            hard = options.hardness * cosines.detach()
            hard = (hard - hard.max(1, keepdim=True).values).exp()  # the greatest goes out again with the mean
            mean = (weights * hard).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp_min(1e-30)
            weights = weights * hard / mean.clamp_min(1e-30)
        positives = own | (repeated & same) if options.repeats == "positive" else own
        logits = scores + weights.masked_fill(positives, 1.0).log()
        logs = scores - logits.logsumexp(1, keepdim=True)
        return -(logs * positives).sum(1) / positives.sum(1)


def relations(side: Direction) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(rows, columns) bool each: the row's own target; repeats of it; columns that the mask lets in."""
    import torch

    target = side.columns.contents[side.at]
    own = torch.zeros(len(side.at), len(side.partners), dtype=torch.bool, device=side.at.device)
    own.scatter_(1, side.at[:, None], True)
    repeated = (side.columns.contents == target[:, None]) | (side.partners == side.asked[:, None])
    same = (side.columns.sets == side.columns.sets[side.at][:, None]) | side.unmasked[:, None]
    return own, repeated & ~own, same


def _weights(side: Direction, cosines: torch.Tensor | None, options: Options) -> torch.Tensor:
    """(rows, columns) fp32: what each negative weighs in its row's denominator, before hardness; 0 for the positive, and
    for what is left out."""
    import torch

    own, repeated, same = relations(side)
    weights = torch.where(same, 1.0, options.other_weight).masked_fill(repeated | own, 0.0)
    if options.false_above is None or cosines is None:
        return weights
    positive = cosines.gather(1, side.at[:, None])
    return weights.masked_fill(cosines > positive + options.false_above, 0.0)


def negatives(side: Direction, options: Options = PLAIN) -> torch.Tensor:
    """(rows,) fp32: the weights of all negatives of each row, added up: their number, where each counts whole. Vectors are
    looked at for `false_above` alone."""
    cosines = None
    if options.false_above is not None:
        with full_precision(side.anchors.device.type):
            cosines = side.anchors.detach().float() @ side.columns.vectors.detach().float().T
    return _weights(side, cosines, options).sum(1)
