"""An embedder of this harness as a model of mteb. Imported by `unite_bench.embedders.mteb.as_mteb_model` alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction
from mteb.types import PromptType

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.contract import as_vectors, faults
from unite_bench.embedders.handed_over import png
from unite_bench.errors import ModelError
from unite_bench.items import Blob, Image, Item, Part, Role, Text


class EmbedderInMteb(AbsEncoder):  # type: ignore[misc]
    """Queries of mteb are queries, its documents are candidates, and what it gives no role (as in tasks of semantic
    similarity) are queries.

    A query's own `instruction` is its instruction, and its text is then what stood in the data: mteb joins the two. Else it
    is the task's `prompt` for that role; a prompt that is no mapping is for queries.
    """

    def __init__(self, embedder: Embedder, device: str, dtype: str):
        self.embedder = embedder
        embedder.setup(device, dtype)
        self.mteb_model_meta = _meta(embedder.card)

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> Vectors:
        """(rows, dim) float32. Raises ModelError for a modality that the card lacks or a vector that cannot be ranked."""
        card = self.embedder.card
        role: Role = "candidate" if prompt_type == PromptType.document else "query"
        prompt = _prompt(task_metadata.prompt, prompt_type)
        rows = []
        for batch in inputs:
            items = list(_items(batch, prompt if card.instruction_matters else None, card.instruction_matters))
            lacking = {item.modality for item in items} - card.modalities
            if lacking:
                raise ModelError(f"{task_metadata.name}: {card.name} does not take {', '.join(sorted(lacking))}")
            vectors = as_vectors(self.embedder.embed(items, role), len(items), card.dim, card.name)
            for row, reason in faults(vectors).items():
                raise ModelError(f"{task_metadata.name}: {reason} (row {row} of a batch of {len(items)})")
            rows.append(vectors)
        return np.concatenate(rows)


def _items(batch: Mapping[str, Any], prompt: str | None, instructed: bool) -> Iterator[Item]:
    """The rows of a batch of mteb's as items: picture, then text."""
    unknown = {"video", "audio"} & set(batch)
    if unknown:
        raise ModelError(f"{', '.join(sorted(unknown))} of mteb's tasks cannot be given to an embedder")
    told = batch.get("instruction") if instructed else None
    texts = batch.get("query", batch.get("text")) if told is not None else batch.get("text")
    pictures = batch.get("image")
    for n in range(len(texts or pictures or ())):
        parts: list[Part] = []
        if pictures is not None:
            parts.append(Image(Blob(png(np.asarray(pictures[n].convert("RGB"))), f"picture {n}")))
        if texts is not None:
            parts.append(Text(texts[n]))
        yield Item(tuple(parts), prompt if told is None else told[n])


def _prompt(prompt: Any, prompt_type: PromptType | None) -> str | None:
    if isinstance(prompt, str):
        return prompt if prompt_type != PromptType.document else None
    return (prompt or {}).get(PromptType.query.value if prompt_type is None else prompt_type.value)


def _meta(card: EmbedderCard) -> ModelMeta:
    kinds = {kind for name in card.modalities for kind in name.split("+")}
    score = ScoringFunction.COSINE if card.similarity == "cosine" else ScoringFunction.DOT_PRODUCT
    return ModelMeta.create_empty(
        overwrites={
            "name": f"unite-bench/{re.sub(r'[^A-Za-z0-9._+-]', '-', card.name)}",
            "revision": card.revision,
            "modalities": sorted(kinds),
            "embed_dim": card.dim,
            "similarity_fn_name": score,
            "use_instructions": card.instruction_matters,
        }
    )
