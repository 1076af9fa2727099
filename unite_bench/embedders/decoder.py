"""`vlm:NAME`: a decoder as an embedder: one prompt, one forward pass, the state of the last token as the vector.

What differs from model to model (prompt, pooling, budgets, revision) is declared in its model file; what differs between
architectures is in `decoders/qwen_vl.py` and `decoders/mllama.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.checkpoint import Trust
from unite_bench.embedders.decoders.mllama import Mllama
from unite_bench.embedders.decoders.model_file import ModelFile, file_of, load_model_file
from unite_bench.embedders.decoders.qwen_vl import QwenVl
from unite_bench.embedders.decoders.template import placeholders
from unite_bench.errors import ModelError
from unite_bench.items import Image, Item, Role, Text

if TYPE_CHECKING:
    import torch

PIXELS_A_TOKEN = 28 * 28  # about, as the next; for the cost alone
PICTURE = 1120 * 1120


class VlmEmbedder(Embedder):
    """`name` is that of a shipped model file, or the path of another. `weights` is a folder or hub name in place of the
    file's, `revision` a commit in place of its.
    """

    def __init__(
        self,
        name: str,
        weights: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        pickle_weights: bool = False,
    ):
        self.path = file_of(name)
        self.file = load_model_file(self.path)
        self.trust = Trust(trust_remote_code, pickle_weights)
        _can_run(self.file, self.path, revision, weights)
        own = str(self.path.parent / self.file.weights) if self.file.weights.startswith("./") else self.file.weights
        self.where = weights or own
        published = None if weights or self.file.revision == "local" else self.file.revision
        self.revision = revision or published
        self._loaded: QwenVl | Mllama | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}

    @cached_property
    def folder(self) -> Path:
        return self.trust.folder_of(self.where, self.revision)

    @cached_property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        file: Any = self.file  # checked to hold no `unknown`
        turns = (file.prompt.query, file.prompt.candidate)
        return EmbedderCard(
            name=f"vlm:{file.name}",
            modalities=frozenset(file.modalities),
            dim=file.dim,
            revision=self.revision or "unversioned",
            role_matters=turns[0] != turns[1],
            instruction_matters=any("instruction" in placeholders(turn.template) for turn in turns),
            prompt=json.dumps(
                {
                    "query": file.prompt.query.model_dump(),
                    "candidate": file.prompt.candidate.model_dump(),
                    "pooling": file.pooling,
                    "positions": file.positions,
                },
                sort_keys=True,
            ),
            frames=None if file.frames is None else file.frames.policy,
            normalised=True if file.normalise else None,
            frame_order_matters=True if any("video" in name for name in file.modalities) else None,
        )

    def weights(self) -> Sequence[Path]:
        """The model file, and every file of the checkpoint that can change a vector."""
        return [self.path, *self.trust.decisive_files(self.folder)]

    def cost(self, item: Item) -> float:
        """About the number of tokens."""
        file: Any = self.file
        total = 64.0 + (len(item.text or "") + len(item.instruction or "")) / 4
        for part in item.parts:
            if isinstance(part, Image):
                total += (file.image_pixels.max if file.image_pixels else PICTURE) / PIXELS_A_TOKEN
            elif not isinstance(part, Text):
                frames = len(part.indices or ()) or part.policy.frames or part.policy.max_frames
                total += file.frame_pixels.max / PIXELS_A_TOKEN * frames / 2
        return total

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        """Load the weights. Raises ModelError if they are of another architecture or size, or if any are missing."""
        import torch
        from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer

        folder, remote = str(self.folder), {"trust_remote_code": self.trust.trust_remote_code}
        with self.trust.loading(self.where):
            config = AutoConfig.from_pretrained(folder, **remote)
            kind, width = config.model_type, config.get_text_config().hidden_size
            if (kind, width) != (self.file.architecture, self.file.dim):
                said = f"{self.file.architecture} of {self.file.dim} dimensions"
                raise ModelError(f"{self.where} is a {kind} model of {width} dimensions, {self.path} says {said}")
            model, about = AutoModel.from_pretrained(
                folder, dtype=getattr(torch, dtype), output_loading_info=True, **remote
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, **remote)
            processor = AutoImageProcessor.from_pretrained(folder, backend="pil", **remote)
        if about["missing_keys"]:  # transformers would fill them with random numbers
            missing = sorted(about["missing_keys"])
            raise ModelError(f"{self.where}: {len(missing)} weights are missing, the first is {missing[0]}")
        loader = Mllama if kind == "mllama" else QwenVl
        self._loaded = loader(model.to(device).eval(), tokenizer, processor, self.file)

    def embed(self, items: Sequence[Item], role: Role) -> torch.Tensor:
        """(len(items), dim) float32 on the model's device. Items with media and those without take turns."""
        import torch

        if self._loaded is None:
            self.setup()
        assert self._loaded is not None
        self._check(items)
        vectors = torch.empty(len(items), self.card.dim, device=self._loaded.model.device)
        with torch.inference_mode():
            for with_media in (False, True):
                at = [n for n, item in enumerate(items) if (item.modality != "text") == with_media]
                if at:
                    states, mask = self._loaded.states([items[n] for n in at], role)
                    vectors[at] = _pooled(states.float(), mask, self.file.pooling)
            return torch.nn.functional.normalize(vectors, dim=-1) if self.file.normalise else vectors

    def _check(self, items: Sequence[Item]) -> None:
        most = self.file.most_media
        for item in items:
            if item.modality not in self.card.modalities:
                raise ModelError(f"{self.card.name} does not take {item.modality}")
            count = sum(not isinstance(part, Text) for part in item.parts)
            if most is not None and count > most:
                raise ModelError(f"{self.card.name} takes {most} picture or clip an item, not {count}")


def _can_run(file: ModelFile, path: Path, revision: str | None, weights: str | None) -> None:
    """Raises ModelError with what is missing in a model file, and how to supply it."""
    missing = [key for key in file.unknown if not (key == "revision" and (revision or weights))]
    if missing:
        raise ModelError(
            f"vlm:{file.name} cannot run: {', '.join(missing)} unknown in {path}. Give --model-arg revision=COMMIT or "
            "weights=FOLDER for a revision; for the rest fill in a copy of the file and give its path"
        )
    if file.adapter_of is not None and weights is None:
        raise ModelError(
            f"vlm:{file.name}: {file.weights} is an adapter of {file.adapter_of}; merge it into its base with the "
            "versions of its authors, and give --model-arg weights=FOLDER"
        )


def _pooled(states: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(n, width): the state of the last token that is no padding, or the mean over those that are none."""
    import torch

    if pooling == "mean":
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(1) / weights.sum(1)
    last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
    return states[torch.arange(len(states), device=states.device), last]
