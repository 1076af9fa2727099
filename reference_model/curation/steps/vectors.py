"""Vectors of a pool's items by any embedder of the harness, through its encoder and its store, so that they are kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from reference_model.curation.pool import Numbers, Pool, Side
from reference_model.curation.step import Context
from unite_bench.errors import UsageError

if TYPE_CHECKING:
    from unite_bench.encode.run import Encoder
    from unite_bench.items import Item

MESSAGES = 8  # told of items that could not be encoded, a side
FILES = (".py", ".yaml", ".yml")
CHUNK = 4096  # items given to the encoder at a time; fixed, because batches, and so last bits, follow from it


@dataclass(frozen=True)
class SideVectors:
    """`vectors` (n, dim) float32 on disk, NaN where there is none; `undeclared` counts items of a modality that the embedder
    does not declare, `failed` holds the reason by row id of items that it could not encode."""

    vectors: npt.NDArray[np.float32]
    undeclared: int
    failed: dict[str, str]

    @property
    def messages(self) -> list[str]:
        """The first of the reasons, with their rows."""
        return [f"{row}: {reason}" for row, reason in islice(self.failed.items(), MESSAGES)]

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which rows have a vector, (n,)."""
        return np.asarray(np.isfinite(self.vectors[:, 0]))


def misnamed(name: str, folder: Path) -> Iterator[str]:
    """What is wrong with an embedder's name, as far as it can be known before anything is loaded."""
    from unite_bench.registry import registered

    place, _, argument = name.partition(":")
    known = registered()
    if place in known:
        return
    if place.endswith(FILES):
        if not (folder / place).is_file():
            yield f"no file {folder / place}"
    elif not argument:
        near = difflib.get_close_matches(place, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        yield f"unknown embedder {name!r}; {hint}"


def open_encoder(name: str, context: Context) -> Encoder:
    """The embedder behind the harness's door; a file in its name starts at the recipe's folder.

    Raises UsageError for late interaction, which has no single vector.
    """
    from unite_bench.encode.run import Encoder
    from unite_bench.registry import load_embedder

    if name.partition(":")[0].endswith(FILES) and not Path(name).is_absolute():
        name = str(context.folder / name)
    embedder = load_embedder(name)
    if embedder.card.similarity == "maxsim":
        raise UsageError(f"{name}: late interaction gives many vectors an item; curation needs an embedder of one")
    return Encoder(embedder)


def side_vectors(encoder: Encoder, pool: Pool, rows: Numbers, side: Side, context: Context) -> SideVectors:
    """One vector for each of `rows` (ascending), in order."""
    card = encoder.embedder.card
    context.work.mkdir(parents=True, exist_ok=True)
    held = open_memmap(context.work / f"{side}-vectors.npy", "w+", np.float32, (rows.size, card.dim))
    undeclared = 0
    failed: dict[str, str] = {}
    for start in range(0, rows.size, CHUNK):
        items = list(pool.items(rows[start : start + CHUNK], side))
        held[start : start + len(items)] = np.nan
        able = [number for number, item in enumerate(items) if item.modality in card.modalities]
        undeclared += len(items) - len(able)
        if able:
            held[start + np.array(able)] = _encoded(encoder, [items[n] for n in able], side, failed)
        context.note(f"{card.name}: {start + len(items):,} of {rows.size:,} items of side {side}")
    return SideVectors(held, undeclared, failed)


def _encoded(encoder: Encoder, items: list[Item], side: Side, failed: dict[str, str]) -> npt.NDArray[np.float32]:
    found = encoder.encode(items, "query" if side == "query" else "candidate", on_error="skip")
    failed.update(found.failed)
    assert isinstance(found.vectors, np.ndarray)
    return found.vectors


def no_vector(embedder: str, sides: Sequence[SideVectors]) -> str:
    """Why not one row has vectors of all these sides, and what to do."""
    failed = {row: reason for side in sides for row, reason in side.failed.items()}
    if not failed:
        return f"{embedder} does not declare their modalities; name an embedder that does"
    row, reason = next(iter(failed.items()))
    return f"{embedder} failed on {len(failed):,} of them, first on row {row}: {reason}"


def grid(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Vectors of length 1 on the harness's grid (unite_bench/rank/grid.py): dot products of them are exact."""
    from unite_bench.rank.grid import on_grid, scales

    return on_grid(vectors, scales(vectors, "cosine"))
