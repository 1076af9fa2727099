"""The one class a model implements, and the card on which it says what it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from unite_bench.items import Item, Role, modality

if TYPE_CHECKING:
    import torch

Vectors = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class EmbedderCard:
    """What an embedder declares about itself. What it does not declare, it is never asked for.

    `role_matters` and `instruction_matters` say whether role and instruction can change a vector. Where they cannot,
    they leave the key under which a vector is stored, and they are not given to the model either: a wrong card costs
    accuracy, never truth. `training_sets=None` means unknown, which is not the same as none.
    """

    name: str
    modalities: AbstractSet[str]
    dim: int
    similarity: Literal["cosine", "dot"] = "cosine"
    revision: str = "unversioned"
    role_matters: bool = True
    instruction_matters: bool = True
    prompt: str = "native"
    max_frames: int | None = None
    training_sets: AbstractSet[str] | None = None
    fusion: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "modalities", frozenset(modality(m.split("+")) for m in self.modalities))
        if self.training_sets is not None:
            object.__setattr__(self, "training_sets", frozenset(self.training_sets))


class Embedder(ABC):
    """A model behind the one door. Subclasses set `card` and write `embed`; the rest is optional.

    Constructors are cheap and picklable; `setup` loads weights. The constructor's arguments are noted on the instance
    as `arguments` (name, repr) and belong to the fingerprint.
    """

    card: EmbedderCard
    arguments: tuple[tuple[str, str], ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if (args or kwargs) and cls.__init__ is object.__init__:  # else object would swallow them in silence
            raise TypeError(f"{cls.__name__}() takes no arguments")
        instance = super().__new__(cls)
        given = [(str(n), repr(value)) for n, value in enumerate(args)]
        instance.arguments = tuple(given + [(name, repr(value)) for name, value in sorted(kwargs.items())])
        return instance

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        """Load weights onto `device` in `dtype`. Called once, before the first `embed`, and not at all on a warm run."""

    def cost(self, item: Item) -> float:
        """Relative cost of one item, for batching; about the number of tokens."""
        text = (item.text or "") + (item.instruction or "")
        weights = {"text": 0.0, "image": 64.0, "video": 256.0}
        return 1.0 + len(text) / 4 + sum(weights[part.kind] for part in item.parts)

    def weights(self) -> Sequence[Path]:
        """The files that decide the vectors (weights, configuration, vocabulary); their digest is in the fingerprint."""
        return ()

    @abstractmethod
    def embed(self, items: Sequence[Item], role: Role) -> Vectors | torch.Tensor:
        """Vectors of shape (len(items), card.dim), any float dtype, finite, not zero; row i belongs to items[i]."""
