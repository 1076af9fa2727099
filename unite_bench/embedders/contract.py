"""What an embedder may return, checked: the contract of `Embedder.embed`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.errors import ModelError

SHORTEST, LONGEST = 1e-30, 1e30  # beyond these, single precision can no longer scale a vector to length 1


def as_vectors(output: Any, count: int, dim: int, name: str) -> npt.NDArray[np.float32]:
    """What an embedder returned as a (count, dim) float32 array. Raises ModelError if it breaks the contract."""
    if type(output).__module__.split(".")[0] == "torch" and output.is_floating_point():
        output = output.detach().float().cpu().numpy()
    if not isinstance(output, np.ndarray) or not np.issubdtype(output.dtype, np.floating):
        kind = getattr(output, "dtype", type(output).__name__)
        raise ModelError(f"{name}: embed must return a float array or tensor, not {kind}")
    if output.shape != (count, dim):
        raise ModelError(f"{name}: embed returned shape {output.shape} for {count} items, the card says dim={dim}")
    return np.asarray(output, dtype=np.float32)


def faults(vectors: npt.NDArray[np.float32]) -> dict[int, str]:
    """Rows that cannot be ranked, with the reason: not finite, of zero or of extreme length."""
    finite = np.isfinite(vectors).all(axis=1)
    zero = finite & ~vectors.any(axis=1)
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    extreme = finite & ~zero & ~((lengths > SHORTEST) & (lengths < LONGEST))
    reasons = {int(n): "the model returned a vector with NaN or infinity" for n in np.flatnonzero(~finite)}
    reasons |= {int(n): "the model returned a zero vector, which has no direction" for n in np.flatnonzero(zero)}
    return reasons | {int(n): f"the model returned a vector of length {lengths[n]:g}" for n in np.flatnonzero(extreme)}
