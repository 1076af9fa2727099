"""Modal-aware masked contrastive learning (arXiv 2505.19650, section 3.3), dense form.

    s_ij = q_i . c_j / tau
    L    = -1/N sum_i log( exp(s_ii) / sum_{j: M_ij} exp(s_ij) ),   M_ij = [modality set of c_j = modality set of c_i]

Beyond the equation: a candidate whose *content* equals the row's own target is never its negative (the published code
makes false negatives of repeated targets), extra candidates beyond the N targets serve as explicit negatives under the
same mask, and the mask can be lifted row by row (`unmasked`), because it leaves the order between modalities free.
Similarities are fp32 whatever the model's dtype.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def allowed(
    modalities: torch.Tensor, contents: torch.Tensor, rows: int, unmasked: torch.Tensor | None = None
) -> torch.Tensor:
    """(rows, candidates) bool: which candidates stand in the denominator of each row.

    `modalities` and `contents` are (candidates,) integers; candidate i < `rows` is the target of row i. `unmasked` is
    (rows,) bool: rows for which candidates of every modality count.
    """
    import torch

    same = modalities[:rows, None] == modalities[None, :]
    if unmasked is not None:
        same = same | unmasked[:, None]
    repeated = contents[:rows, None] == contents[None, :]
    own = torch.eye(rows, modalities.shape[0], dtype=torch.bool, device=modalities.device)
    return (same & ~repeated) | own


def mamcl_loss(
    queries: torch.Tensor,
    candidates: torch.Tensor,
    modalities: torch.Tensor,
    contents: torch.Tensor,
    temperature: float,
    unmasked: torch.Tensor | None = None,
    query_modalities: torch.Tensor | None = None,
    query_contents: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean loss of `queries` (rows, width) against `candidates` (candidates >= rows, width), both L2-normalised.

    With `query_modalities` and `query_contents` (rows,) the mean of both directions, each with its own mask: from a
    target back to its query, queries of another modality and repeats of the same query do not count. Explicit
    negatives have no query, so they play no part in that direction.
    """
    import torch
    from torch.nn import functional

    rows = queries.shape[0]
    with torch.autocast(queries.device.type, enabled=False):
        scores = queries.float() @ candidates.float().T / temperature
        labels = torch.arange(rows, device=queries.device)
        kept = allowed(modalities, contents, rows, unmasked)
        forward = functional.cross_entropy(scores.masked_fill(~kept, -torch.inf), labels)
        if query_modalities is None or query_contents is None:
            return forward
        kept = allowed(query_modalities, query_contents, rows, unmasked)
        kept &= ~_same_target(contents, rows) | torch.eye(rows, dtype=torch.bool, device=queries.device)
        backward = functional.cross_entropy(scores[:, :rows].T.masked_fill(~kept, -torch.inf), labels)
        return (forward + backward) / 2


def _same_target(contents: torch.Tensor, rows: int) -> torch.Tensor:
    """(rows, rows) bool: rows whose targets are equal in content, so that each one's query suits the other's target."""
    return contents[:rows, None] == contents[None, :rows]
