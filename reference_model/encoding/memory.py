"""Work in pieces that fit: a budget a pass, halved when memory runs out. What is done stays done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from unite_bench.errors import ModelError

Result = TypeVar("Result")
# by MPS, by the CPU, and by CUDA where a library finds no room for what it needs itself, in a plain RuntimeError
SAID = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


@dataclass
class Limit:
    """How much one pass may hold: patches or tokens. It only ever shrinks, and is shared by the lanes of a device."""

    size: int
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def halve(self, held: int) -> None:
        """From now on at most half of what a pass `held` that ran out of memory."""
        with self._lock:  # else a lane that has read the size undoes what another then makes of it
            self.size = max(1, min(self.size, held // 2))


class OutOfMemory(ModelError):
    """One piece that cannot be divided does not fit the device."""


def in_pieces(
    sizes: Sequence[int],
    limit: Limit,
    run: Callable[[int, int], Result],
    padded: bool = False,
) -> list[tuple[int, Result | OutOfMemory]]:
    """`run(start, stop)` over neighbours of at most `limit` together; (stop, result) of each piece, in order.

    A piece holds the sum of its sizes, or with `padded` as many times its largest. One that runs out of memory halves
    the limit and is divided; a single one that still does is an `OutOfMemory`, given in place of a result.
    """
    done: list[tuple[int, Result | OutOfMemory]] = []
    start = 0
    while start < len(sizes):
        stop, held = _piece(sizes, start, limit.size, padded)
        try:
            done.append((stop, run(start, stop)))
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
        else:
            start = stop
            continue
        _free()  # outside of the handler: its traceback holds what the failed pass has allocated
        if stop - start > 1:
            limit.halve(held)
            continue
        done.append((stop, OutOfMemory(f"{held} tokens or patches of one item do not fit into memory ({reason})")))
        start = stop
    return done


def _piece(sizes: Sequence[int], start: int, limit: int, padded: bool) -> tuple[int, int]:
    """Where the piece that begins at `start` stops, and what it holds; at least one is taken."""
    stop, held, largest = start, 0, 0
    while stop < len(sizes):
        largest = max(largest, sizes[stop])
        more = largest * (stop + 1 - start) if padded else held + sizes[stop]
        if stop > start and more > limit:
            break
        stop, held = stop + 1, more
    return stop, held


def _out_of_memory(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in SAID)


def _free() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
