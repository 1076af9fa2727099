"""`dual:NAME`: CLIP, SigLIP, ALIGN and like dual encoders of transformers, lifted to clips and mixed items by fusion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.checkpoint import Trust, revision_of, size_of
from unite_bench.embedders.contract import as_vectors
from unite_bench.embedders.fusion import FusedEmbedder
from unite_bench.errors import ModelError
from unite_bench.items import Image, Item, Role


class DualEncoder(Embedder):
    """One encoder for texts and one for pictures; one part an item. Texts are cut at the model's own length.

    Models of the SigLIP family were trained on texts padded to the full length, and are given them so.
    """

    def __init__(
        self, name: str, revision: str | None = None, trust_remote_code: bool = False, pickle_weights: bool = False
    ):
        self.name, self.revision, self.trust = name, revision, Trust(trust_remote_code, pickle_weights)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_model", "_tokens", "_pixels")}

    @cached_property
    def folder(self) -> Path:
        return self.trust.folder_of(self.name, self.revision)

    @cached_property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        config = self._config
        if not hasattr(config, "text_config") or not hasattr(config, "vision_config"):
            raise ModelError(f"{self.name}: a {config.model_type} model is no dual encoder of texts and pictures")
        dim = getattr(config, "projection_dim", None) or config.vision_config.hidden_size
        return EmbedderCard(
            name=f"dual:{Path(self.name).name}",
            modalities=frozenset({"text", "image"}),
            dim=int(dim),
            revision=revision_of(self.folder, self.revision),
            role_matters=False,
            instruction_matters=False,
            prompt="none",
            size=size_of(self.weights()),
        )

    def weights(self) -> Sequence[Path]:
        return self.trust.decisive_files(self.folder)

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        import torch
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        folder, remote = str(self.folder), {"trust_remote_code": self.trust.trust_remote_code}
        with self.trust.loading(self.name):
            model = AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype), **remote)
            self._tokens = AutoTokenizer.from_pretrained(folder, **remote)
            self._pixels = AutoImageProcessor.from_pretrained(folder, backend="pil", **remote)
        if not hasattr(model, "get_text_features") or not hasattr(model, "get_image_features"):
            raise ModelError(f"{self.name}: {type(model).__name__} is no dual encoder of texts and pictures")
        self._model = model.to(device).eval()

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        """(len(items), dim) float32, as projected by the model, not normalised."""
        import torch

        if "_model" not in self.__dict__:
            self.setup()
        rows = np.empty((len(items), self.card.dim), dtype=np.float32)
        with torch.inference_mode():
            for modality, encode in (("text", self._texts), ("image", self._images)):
                at = [n for n, item in enumerate(items) if item.modality == modality]
                if at:
                    found = _features(encode([items[n] for n in at]))
                    rows[at] = as_vectors(found, len(at), self.card.dim, f"{self.card.name}, {modality}")
        wrong = {item.modality for item in items} - self.card.modalities
        if wrong:
            raise ModelError(f"{self.card.name} does not take {', '.join(sorted(wrong))}")
        return rows

    def _texts(self, items: Sequence[Item]) -> Any:
        padding = "max_length" if self._config.model_type.startswith("siglip") else "longest"
        tokens = self._tokens(
            [item.text for item in items],
            padding=padding,
            truncation=True,
            max_length=self._config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        return self._model.get_text_features(**tokens.to(self._model.device))

    def _images(self, items: Sequence[Item]) -> Any:
        from PIL import Image as Pillow

        pictures = [Pillow.fromarray(media.pixels(_only_picture(item))) for item in items]
        shown = self._pixels(images=pictures, return_tensors="pt").to(self._model.device)
        shown["pixel_values"] = shown["pixel_values"].to(self._model.dtype)
        return self._model.get_image_features(**shown)

    @cached_property
    def _config(self) -> Any:
        from transformers import AutoConfig

        with self.trust.loading(self.name):
            return AutoConfig.from_pretrained(str(self.folder), trust_remote_code=self.trust.trust_remote_code)


class DualEncoderEmbedder(FusedEmbedder):
    """The dual encoder under the declared fusion: `sum` for mixed items, `mean-frames` for clips (`FusedEmbedder`)."""

    def __init__(
        self, name: str, revision: str | None = None, trust_remote_code: bool = False, pickle_weights: bool = False
    ):
        super().__init__(DualEncoder(name, revision, trust_remote_code, pickle_weights))


def _only_picture(item: Item) -> Image:
    pictures = [part for part in item.parts if isinstance(part, Image)]
    if len(pictures) != 1:
        raise ModelError(f"a dual encoder takes one picture an item, not {len(pictures)}")
    return pictures[0]


def _features(output: Any) -> Any:
    """(n, dim) tensor: the projected features, which newer versions of transformers return as the pooled output."""
    return getattr(output, "pooler_output", output)
