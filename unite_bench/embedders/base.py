"""The one class a model implements, and the card on which it says what it can do."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from unite_bench.items import KINDS, File, FramePolicy, Item, Role, modality

if TYPE_CHECKING:
    import torch

Vectors = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class EmbedderCard:
    """What an embedder declares about itself. What it does not declare, it is never asked for.

    `similarity="maxsim"` declares late interaction: several vectors an item, scored by MaxSim (rank/maxsim.py).
    `role_matters` and `instruction_matters` say whether role and instruction can change a vector. Where they cannot,
    they leave the key under which a vector is stored, and they are not given to the model either: a wrong card costs
    accuracy, never truth. `frames` is how the model's own paper chooses them, used under `--frames native` alone.
    `training_sets=None` means unknown, which is not the same as none. `normalised` declares vectors of length 1, and
    `frame_order_matters` that the order of a clip's frames can (True) or cannot (False) change its vector; None declares
    nothing. Neither changes a number: `unite-bench check` holds the model to them. With `id_matters` the item's id is
    given to the model and belongs to the key (precomputed vectors); ids mean something only within `tasks`, the names of
    the only tasks that the model may then be run on (None: any). `backbone` (as in "Qwen2-VL") and `size` (as in "2B") are
    for tables that group their rows. `instructions` are the model's own wordings for queries, by the name of a task or by
    what is asked for what (`text>image`, `image+text>image`), used under `--instructions model` alone. `settings` are what
    the adapter chose for this checkpoint and why (a position rule, a visual budget), as text for the record; what decides
    them must be among the arguments or the `weights()`.
    """

    name: str
    modalities: AbstractSet[str]
    dim: int
    similarity: Literal["cosine", "dot", "maxsim"] = "cosine"
    revision: str = "unversioned"
    role_matters: bool = True
    instruction_matters: bool = True
    prompt: str = "native"
    max_frames: int | None = None
    frames: FramePolicy | None = None
    training_sets: AbstractSet[str] | None = None
    fusion: str | None = None
    normalised: bool | None = None
    frame_order_matters: bool | None = None
    backbone: str | None = None
    size: str | None = None
    id_matters: bool = False
    tasks: AbstractSet[str] | None = None
    instructions: Mapping[str, str] = field(default_factory=dict, hash=False)
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        given: object = self.modalities
        if isinstance(given, str):
            raise TypeError(f"modalities is a set of names, as in {{{given!r}}}, not one string")
        unknown = {kind for name in self.modalities for kind in name.split("+")} - set(KINDS)
        if unknown:
            raise ValueError(
                f"unknown modality {', '.join(sorted(unknown))}: a modality joins {', '.join(KINDS)} by '+'"
            )
        if self.similarity not in ("cosine", "dot", "maxsim"):
            raise ValueError(f"similarity is 'cosine', 'dot' or 'maxsim', not {self.similarity!r}")
        object.__setattr__(self, "modalities", frozenset(modality(m.split("+")) for m in self.modalities))
        if self.training_sets is not None:
            object.__setattr__(self, "training_sets", frozenset(self.training_sets))


def _noted(value: Any, instance: str) -> str:
    if isinstance(value, Embedder):
        return "embedder"  # its own fingerprint is part of the wrapper's
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str | Path):
        path = Path(value)
        return f"{str(value)!r} {File(path).digest}" if path.is_file() else repr(str(value))
    if isinstance(value, tuple | list):
        return f"[{', '.join(_noted(inner, instance) for inner in value)}]"
    return f"{type(value).__qualname__} of instance {instance}"


class Embedder(ABC):
    """A model behind the one door. Subclasses set `card` and write `embed`; the rest is optional.

    Constructors are cheap and picklable; `setup` loads weights. The constructor's arguments belong to the fingerprint:
    plain values as they are, a path with the digest of its file. Anything else (an array, a module with weights) cannot
    be told apart by looking, so vectors of such an instance are reused only by itself.

    `expected_failures` maps checks of the conformance kit (`unite-bench check`) that this model is known to fail to the
    reason. A check that is declared so and passes is a failure of its own.
    """

    card: EmbedderCard
    expected_failures: Mapping[str, str] = MappingProxyType({})
    _given: tuple[tuple[str, Any], ...] = ()
    _instance: str = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if (args or kwargs) and cls.__init__ is object.__init__:  # else object would swallow them in silence
            raise TypeError(f"{cls.__name__}() takes no arguments")
        instance = super().__new__(cls)
        instance._given = (*((str(n), value) for n, value in enumerate(args)), *sorted(kwargs.items()))
        instance._instance = uuid.uuid4().hex
        return instance

    @property
    def arguments(self) -> tuple[tuple[str, str], ...]:
        """The constructor's arguments as (name or position, text), for the fingerprint and the record."""
        return tuple((name, _noted(value, self._instance)) for name, value in self._given)

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

    def upcoming(self, items: Sequence[Item], role: Role) -> None:
        """The items that `embed` will be asked for next, in order, though not in which batches. A hint, to be ignored or
        used: files can be decoded while the model runs. Nothing needs to be done here, and nothing is called twice."""

    @abstractmethod
    def embed(self, items: Sequence[Item], role: Role) -> Vectors | torch.Tensor | Sequence[Vectors | torch.Tensor]:
        """Vectors of shape (len(items), card.dim), any float dtype, finite, not zero; row i belongs to items[i].

        With `similarity="maxsim"`, one array (tokens_i, card.dim) an item, of at least one token and without padding.
        """
