"""What an embedder may return, checked: the contract of `Embedder.embed`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.embedders.base import EmbedderCard
from unite_bench.errors import ModelError

SHORTEST, LONGEST = 1e-30, 1e30  # beyond these, single precision can no longer scale a vector to length 1
Rows = npt.NDArray[np.float32]


def as_rows(output: Any, count: int, card: EmbedderCard) -> list[Rows]:
    """What an embedder returned, one float32 array (tokens, dim) an item; without late interaction each has one row.

    Raises ModelError if the output breaks the contract.
    """
    if card.similarity != "maxsim":
        vectors = as_vectors(output, count, card.dim, card.name)
        return [vectors[n : n + 1] for n in range(count)]
    if not isinstance(output, list | tuple) or len(output) != count:
        found = f"{len(output)} of them" if isinstance(output, list | tuple) else type(output).__name__
        raise ModelError(
            f"{card.name}: the card says maxsim, so embed must return a list of {count} arrays (tokens, dim), not {found}"
        )
    return [as_vectors(rows, _tokens(rows, card), card.dim, card.name, "tokens") for rows in output]


def _tokens(rows: Any, card: EmbedderCard) -> int:
    """How many tokens an item has. Raises ModelError if there are none, or if it is no array of them."""
    shape = tuple(getattr(rows, "shape", ()))
    if len(shape) != 2 or shape[0] == 0:
        raise ModelError(
            f"{card.name}: embed returned {type(rows).__name__} of shape {shape} for an item, not (tokens, dim)"
        )
    return int(shape[0])


def as_vectors(output: Any, count: int, dim: int, name: str, of: str = "items") -> Rows:
    """What an embedder returned as a (count, dim) float32 array. Raises ModelError if it breaks the contract."""
    if type(output).__module__.split(".")[0] == "torch" and output.is_floating_point():
        output = output.detach().float().cpu().numpy()
    if not isinstance(output, np.ndarray) or not np.issubdtype(output.dtype, np.floating):
        kind = getattr(output, "dtype", type(output).__name__)
        raise ModelError(f"{name}: embed must return a float array or tensor, not {kind}")
    if output.shape != (count, dim):
        raise ModelError(f"{name}: embed returned shape {output.shape} for {count} {of}, the card says dim={dim}")
    return np.asarray(output, dtype=np.float32)


def faults(vectors: Rows) -> dict[int, str]:
    """Rows that cannot be ranked, with the reason: not finite, of zero or of extreme length."""
    finite = np.isfinite(vectors).all(axis=1)
    zero = finite & ~vectors.any(axis=1)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    extreme = finite & ~zero & ~((lengths > SHORTEST) & (lengths < LONGEST))
    reasons = {int(n): "the model returned a vector with NaN or infinity" for n in np.flatnonzero(~finite)}
    reasons |= {int(n): "the model returned a zero vector, which has no direction" for n in np.flatnonzero(zero)}
    return reasons | {int(n): f"the model returned a vector of length {lengths[n]:g}" for n in np.flatnonzero(extreme)}


def faults_of_items(rows: Sequence[Rows]) -> dict[int, str]:
    """Items with a vector that cannot be ranked, with the reason of the first such vector."""
    if not rows:
        return {}
    item = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
    found = faults(np.concatenate(list(rows)))
    return {int(item[n]): found[n] for n in sorted(found, reverse=True)}
