"""The embedder under check, called as the harness calls it; and the figure by which two vectors are compared."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.contract import Rows, as_rows, faults_of_items
from unite_bench.embedders.oracle import OracleEmbedder
from unite_bench.encode.run import ask, set_up, within_limits
from unite_bench.errors import ModelError, UsageError
from unite_bench.items import Item, Role
from unite_bench.testing import material

SAME = {"float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-2}  # the greatest change between vectors that count as equal


class Subject:
    """An embedder and how it is set up. It is set up at the first call, and pickled before that, while it is small."""

    def __init__(self, embedder: Embedder, device: str = "cpu", dtype: str = "float32"):
        if isinstance(embedder, OracleEmbedder):
            raise UsageError("an oracle embeds only within a task; there is nothing to check outside one")
        if embedder.card.id_matters:
            raise UsageError(
                "precomputed vectors are found by id; there is nothing to check but what `run` checks anyway"
            )
        self.embedder = embedder
        self.device, self.dtype = device, dtype
        self.pickled = _pickled(embedder)
        self._ready = False

    @property
    def card(self) -> EmbedderCard:
        return self.embedder.card

    @property
    def late(self) -> bool:
        """Whether an item has several vectors (late interaction)."""
        return self.card.similarity == "maxsim"

    @property
    def same(self) -> float:
        """The greatest change between two vectors that still count as equal, in the dtype of the model."""
        return SAME[self.dtype]

    def set_up(self) -> None:
        """Load the model, once. Raises ModelError if it cannot be."""
        if not self._ready:
            set_up(self.embedder, self.device, self.dtype)
            self._ready = True

    def shown(self, items: Sequence[Item]) -> list[Item]:
        """The items as the harness would hand them over: frames chosen, within the card's limit, no id."""
        return [within_limits(item, self.card.max_frames).bare(keep_instruction=True) for item in items]

    def raw(self, items: Sequence[Item], role: Role = "query") -> Any:
        """What the embedder returns, as it is. Raises ModelError if it raises."""
        return self.called(self.shown(items), role)

    def called(self, shown: list[Item], role: Role = "query") -> Any:
        """Like `raw`, with the very list that the embedder is to be given."""
        self.set_up()
        return ask(self.embedder, shown, role)

    def vectors(self, items: Sequence[Item], role: Role = "query") -> list[Rows]:
        """The tokens of every item, (tokens, dim) float32, copied; without late interaction a single one each.

        Raises ModelError if the embedder raises or breaks its contract.
        """
        found = as_rows(self.raw(items, role), len(items), self.card)
        bad = faults_of_items(found)
        if bad:
            row, reason = next(iter(bad.items()))
            raise ModelError(f"{reason} (item {row} of {len(items)}, {items[row].modality})")
        return [rows.copy() for rows in found]

    def alone(self, items: Sequence[Item], role: Role = "query") -> list[Rows]:
        """Like `vectors`, one call an item."""
        return [rows for item in items for rows in self.vectors([item], role)]

    def items(self) -> dict[str, list[Item]]:
        """The kit's items of every modality that the card declares."""
        return {name: material.items(name) for name in sorted(self.card.modalities)}

    def modality_with(self, kind: str) -> str | None:
        """The smallest declared modality with parts of that kind, or None."""
        with_it = [name for name in self.card.modalities if kind in name.split("+")]
        return min(with_it, key=lambda name: (name.count("+"), name), default=None)

    def change(self, one: Sequence[Rows], two: Sequence[Rows]) -> npt.NDArray[np.float64]:
        """(n,) how far items are apart: 1 - cosine. Where the card scores by dot product, length counts as well: half the
        squared difference, over the squared length of the longer vector.

        With late interaction, that of the token that changes most; 1 for another number of tokens.
        """
        return np.array([self._change(a, b) if len(a) == len(b) else 1.0 for a, b in zip(one, two, strict=True)])

    def _change(self, one: Rows, two: Rows) -> float:
        a, b = one.astype(np.float64), two.astype(np.float64)
        lengths = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
        longer = np.maximum(*lengths)
        scales = (longer, longer) if self.card.similarity == "dot" else lengths
        return float((((a / scales[0] - b / scales[1]) ** 2).sum(axis=1) / 2).max())


def _pickled(embedder: Embedder) -> bytes | str:
    """The embedder as bytes, or the reason why it cannot be pickled."""
    try:
        return pickle.dumps(embedder)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
