"""`mteb:NAME`: a model of mteb's registry, asked as mteb asks it; and `as_mteb_model`, an embedder for `mteb.evaluate`.

mteb has no instruction of an item: a model is given a role (`query` or `document`) and the description of a task, and
looks for its prompt under the task's name, its type and the role among its own, and last in the task's `prompt`. Here an
instruction becomes the prompt of such a task, so it reaches exactly those models that would use it in mteb; models of the
sentence-transformers kind use their own prompts alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from typing import Any, Literal

import numpy as np

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.checkpoint import Trust
from unite_bench.embedders.contract import as_vectors
from unite_bench.errors import ModelError
from unite_bench.items import Image, Item, Role

CATEGORIES = {"text": ("t", "Retrieval"), "image": ("i", "Any2AnyRetrieval"), "image+text": ("it", "Any2AnyRetrieval")}
ROLES: dict[Role, str] = {"query": "query", "candidate": "document"}


class MtebEmbedder(Embedder):
    """Texts, pictures, and both together if mteb says that the model takes both: mteb declares no more than that.

    `dim` is needed where mteb does not know the size of the vectors. mteb's names of training sets are not those of
    tasks here, so contamination is unknown. A model without a pinned revision gives vectors to this run only.
    """

    def __init__(
        self, name: str, dim: int | None = None, trust_remote_code: bool = False, pickle_weights: bool = False
    ):
        self.name, self.dim, self.trust = name, dim, Trust(trust_remote_code, pickle_weights)
        self._unpinned = f"unpinned, run {uuid.uuid4().hex[:12]}"
        self._model: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**{name: value for name, value in self.__dict__.items() if name != "_meta"}, "_model": None}

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        meta = self._meta
        modalities = {"text", "image"} & set(meta.modalities)
        return EmbedderCard(
            name=f"mteb:{self.name}",
            modalities=frozenset(modalities | ({"image+text"} if len(modalities) == 2 else set())),
            dim=self.dim or _size(meta),
            similarity=_similarity(meta),
            revision=meta.revision or self._unpinned,
            role_matters=True,
            instruction_matters=meta.use_instructions is not False,
            prompt=f"mteb {metadata.version('mteb')}: its own for type and role, else the instruction as the task's prompt",
        )

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        """Load the model as mteb does. The dtype is that of mteb's loader, which has no argument for it."""
        if dtype != "float32":
            raise ModelError(f"mteb:{self.name}: mteb chooses the dtype itself; run it without --dtype")
        try:
            with self.trust.loading(f"mteb:{self.name}"):
                self._model = self._meta.load_model(device=device)
        except ImportError as error:  # mteb names the extra of its own that the model needs
            raise ModelError(f"mteb:{self.name}: {error}") from error

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        """(len(items), dim) float32. One call of the model for each modality and wording of the instruction."""
        if self._model is None:
            self.setup()
        rows = np.empty((len(items), self.card.dim), dtype=np.float32)
        groups: dict[tuple[str, str | None], list[int]] = {}
        for n, item in enumerate(items):
            groups.setdefault((item.modality, item.instruction), []).append(n)
        for (modality, instruction), at in groups.items():
            if modality not in self.card.modalities:
                raise ModelError(f"{self.card.name} does not take {modality}")
            found = self._encoded([items[n] for n in at], modality, instruction, role)
            rows[at] = as_vectors(found, len(at), self.card.dim, self.card.name)
        return rows

    def _encoded(self, items: Sequence[Item], modality: str, instruction: str | None, role: Role) -> Any:
        from datasets import Dataset
        from mteb._create_dataloaders import create_dataloader
        from mteb.types import PromptType

        columns: dict[str, list[Any]] = {"id": [str(n) for n in range(len(items))]}
        if "text" in modality:
            columns["text"] = [item.text for item in items]
        if "image" in modality:
            columns["image"] = [_picture(item) for item in items]
        task, prompt_type = _task(modality, instruction, role), PromptType(ROLES[role])
        loader = create_dataloader(
            Dataset.from_dict(columns), task_metadata=task, prompt_type=prompt_type, batch_size=len(items)
        )
        return self._model.encode(
            loader,
            task_metadata=task,
            hf_split="test",
            hf_subset="default",
            prompt_type=prompt_type,
            batch_size=len(items),
            show_progress_bar=False,
        )

    @cached_property
    def _meta(self) -> Any:
        """What the registry says of the model. Raises ModelError if mteb is missing or knows no such dense model."""
        mteb = needed()
        try:
            meta = mteb.get_model_meta(self.name)
        except KeyError as error:
            raise ModelError(f"mteb:{self.name}: {error.args[0]}") from error
        if set(meta.model_type) != {"dense"}:
            raise ModelError(f"mteb:{self.name} is a {', '.join(meta.model_type)} model, which gives no single vectors")
        return meta


def as_mteb_model(embedder: Embedder, device: str = "cpu", dtype: str = "float32") -> Any:
    """The embedder, set up, as a model for `mteb.evaluate(as_mteb_model(embedder), tasks)`."""
    needed()
    from unite_bench.embedders.mteb_model import EmbedderInMteb

    return EmbedderInMteb(embedder, device, dtype)


def needed() -> Any:
    """The module mteb. Raises ModelError if it is not installed."""
    try:
        import mteb
    except ImportError as error:
        raise ModelError("mteb: needs mteb: pip install 'unite-bench[mteb]'") from error
    return mteb


def _task(modality: str, instruction: str | None, role: Role) -> Any:
    """The description of a task that mteb's models look for their prompt in."""
    from mteb.abstasks.task_metadata import TaskMetadata

    letters, kind = CATEGORIES[modality]
    return TaskMetadata(
        name="unite-bench",
        description="Items of unite-bench",
        type=kind,
        category=f"{letters}2{letters}",
        modalities=modality.split("+"),
        prompt=None if instruction is None else {ROLES[role]: instruction},
        dataset={"path": "unite-bench", "revision": "none"},
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )


def _picture(item: Item) -> Any:
    from PIL import Image as Pillow

    pictures = [part for part in item.parts if isinstance(part, Image)]
    if len(pictures) != 1:
        raise ModelError(f"mteb gives a model one picture an item, not {len(pictures)}")
    return Pillow.fromarray(media.pixels(pictures[0]))


def _size(meta: Any) -> int:
    sizes = meta.embed_dim if isinstance(meta.embed_dim, list | tuple) else [meta.embed_dim]
    if sizes[0] is None:
        raise ModelError(f"mteb does not know the size of the vectors of {meta.name}; give --model-arg dim=N")
    return int(max(sizes))


def _similarity(meta: Any) -> Literal["cosine", "dot"]:
    name = None if meta.similarity_fn_name is None else str(meta.similarity_fn_name.value)
    if name not in (None, "cosine", "dot"):
        raise ModelError(f"mteb:{meta.name} scores by {name}; cosine and dot product can be ranked")
    return "dot" if name == "dot" else "cosine"
