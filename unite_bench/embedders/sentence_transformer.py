"""`st:NAME`: a model of the sentence-transformers library, from a folder or the hub, with its own prompts and roles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.checkpoint import Trust, revision_of, size_of
from unite_bench.errors import ModelError
from unite_bench.items import Image, Item, Role

if TYPE_CHECKING:
    import torch

FORMS: dict[str, Any] = {"text": "text", "image": "image", "image+text": ("image", "text")}
# `encode_document` of the library takes `document` even where it is empty and the model has a `passage`; this does not.
CANDIDATE_PROMPTS = ("document", "passage", "corpus")


class SentenceTransformerEmbedder(Embedder):
    """Queries get the model's prompt `query`, candidates its `document`, `passage` or `corpus`, as `encode_query` and
    `encode_document` do. `query_prompt` and `candidate_prompt` replace them. An instruction is given to the model only if
    `instruction` says how, as in "Instruct: {instruction}\\nQuery: "; it then stands in place of the prompt.

    A model that was saved as a `MultiVectorEncoder` gives the tokens of each item, queries and candidates in its own ways.

    The card is read from the loaded model, so the model is loaded for a warm run as well.
    """

    def __init__(
        self,
        name: str,
        revision: str | None = None,
        query_prompt: str | None = None,
        candidate_prompt: str | None = None,
        instruction: str | None = None,
        truncate_dim: int | None = None,
        trust_remote_code: bool = False,
        pickle_weights: bool = False,
    ):
        self.trust = Trust(trust_remote_code, pickle_weights)
        self.name, self.revision, self.truncate_dim = name, revision, truncate_dim
        self.query_prompt, self.candidate_prompt = query_prompt, candidate_prompt
        if instruction is not None and "{instruction}" not in instruction:
            raise ModelError(f"instruction={instruction!r} has no place for the words: write {{instruction}} in it")
        self.instruction = instruction

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_model", "card")}

    @cached_property
    def folder(self) -> Path:
        return self.trust.folder_of(self.name, self.revision)

    @cached_property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        model = self._model
        prompts = {role: self._prompt(role) for role in ("query", "candidate")}
        told = {**prompts, **({"instruction": self.instruction} if self.instruction is not None else {})}
        last = type(model[-1]).__name__
        return EmbedderCard(
            name=f"st:{Path(self.name).name}",
            modalities=frozenset(name for name, form in FORMS.items() if model.supports(form)),
            dim=int(model.get_embedding_dimension()),
            similarity=_similarity(model),
            revision=revision_of(self.folder, self.revision),
            role_matters=prompts["query"] != prompts["candidate"] or self._late,
            instruction_matters=self.instruction is not None,
            prompt=json.dumps(told, sort_keys=True),
            normalised=True if last == "Normalize" and self.truncate_dim is None else None,
            size=size_of(self.weights()),
        )

    def weights(self) -> Sequence[Path]:
        return self.trust.decisive_files(self.folder)

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        import torch

        self._model.to(device=device, dtype=getattr(torch, dtype)).eval()

    def embed(self, items: Sequence[Item], role: Role) -> torch.Tensor | list[torch.Tensor]:
        """(len(items), dim), or the tokens of each item, on the model's device. Items are grouped by form and prompt, as
        the library needs it."""
        import torch

        groups: dict[tuple[str, str], list[int]] = {}
        for row, item in enumerate(items):
            groups.setdefault((item.modality, self._prompt(role, item)), []).append(row)
        if not items:
            raise ModelError("embed was called with no items")
        late_or_not: dict[str, Any] = {"convert_to_tensor": True}
        if self._late:
            late_or_not = {"task": "query" if role == "query" else "document"}
        out: dict[int, torch.Tensor] = {}
        for (modality, prompt), rows in groups.items():
            shown = [self._shown(items[row], modality) for row in rows]
            found = self._model.encode(
                shown, prompt=prompt, batch_size=len(shown), show_progress_bar=False, **late_or_not
            )
            out.update(zip(rows, found, strict=True))
        ordered = [out[row] for row in range(len(items))]
        return ordered if self._late else torch.stack(ordered)

    @cached_property
    def _model(self) -> Any:
        folder = self.folder
        try:
            import sentence_transformers as library
        except ImportError as error:
            raise ModelError("st: needs sentence-transformers: pip install 'unite-bench[st]'") from error
        how = {"device": "cpu", "local_files_only": True, "trust_remote_code": self.trust.trust_remote_code}
        with self.trust.loading(self.name):
            if _saved_as(folder) != "MultiVectorEncoder":
                return library.SentenceTransformer(str(folder), truncate_dim=self.truncate_dim, **how)
            if self.truncate_dim is not None:
                raise ModelError(f"{self.name}: truncate_dim cuts single vectors, and this model has several an item")
            return library.MultiVectorEncoder(str(folder), **how)

    @property
    def _late(self) -> bool:
        return _similarity(self._model) == "maxsim"

    def _prompt(self, role: Role, item: Item | None = None) -> str:
        """What stands before the text: the instruction if it is to be given, else the prompt of the role."""
        if item is not None and item.instruction is not None and self.instruction is not None:
            return self.instruction.replace("{instruction}", item.instruction)
        own = self.query_prompt if role == "query" else self.candidate_prompt
        if own is not None:
            return own
        names = ("query",) if role == "query" else CANDIDATE_PROMPTS
        prompts = self._model.prompts
        return str(next((prompts[name] for name in names if prompts.get(name)), ""))

    def _shown(self, item: Item, modality: str) -> Any:
        """A text, or a dict of a text, a Pillow picture or both."""
        if modality not in self.card.modalities:
            raise ModelError(f"{self.card.name} does not take {modality}")
        pictures = [part for part in item.parts if isinstance(part, Image)]
        if len(pictures) > 1:
            raise ModelError(f"{self.card.name} takes one picture an item, not {len(pictures)}")
        if not pictures:  # a plain string could be taken for the path of a picture by a model that takes pictures
            return item.text if self.card.modalities == {"text"} else {"text": item.text}
        from PIL import Image as Pillow

        picture = Pillow.fromarray(media.pixels(pictures[0]))
        return {"image": picture} if modality == "image" else {"image": picture, "text": item.text}


def _saved_as(folder: Path) -> str:
    """Which kind of model of the library a folder holds, as its configuration says."""
    file = folder / "config_sentence_transformers.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return str(told.get("model_type", "SentenceTransformer"))


def _similarity(model: Any) -> Literal["cosine", "dot", "maxsim"]:
    name = str(model.similarity_fn_name)
    if name in ("maxsim", "meanmaxsim"):  # a mean over the tokens of one query ranks as their sum does
        return "maxsim"
    if name not in ("cosine", "dot"):
        raise ModelError(f"the model scores by {name}; cosine, dot product and MaxSim can be ranked")
    return "dot" if name == "dot" else "cosine"
