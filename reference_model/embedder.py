"""The reference model behind the harness's one door: `--model reference` (nano) or `--model reference:FOLDER`.

Importing this module, building the embedder and reading its card load neither torch nor weights, because a run whose
vectors are all stored needs only the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reference_model.backbone import SETTINGS_FILE, Backbone, Prepared, Settings, read_json, read_preprocessing
from reference_model.preprocess import Grid, fitted_size
from reference_model.prompt import render
from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.errors import ModelError
from unite_bench.items import Image, Item, Role, Text, Video

if TYPE_CHECKING:
    import torch

CHECKPOINTS = Path(__file__).parent / "checkpoints"
MODALITIES = frozenset({"text", "image", "video", "image+text", "text+video", "image+video", "image+text+video"})
TEMPLATE_TOKENS = 32.0
TOKENS_PER_FORWARD = 8192
PATCHES_PER_FORWARD = 16384


class ReferenceEmbedder(Embedder):
    """UNITE: one prompt, one Qwen2-VL forward pass, the last token's state as the vector.

    `checkpoint` is the name of a committed checkpoint (`nano`) or a folder as transformers saves it.
    """

    def __init__(self, checkpoint: str = "nano"):
        self.checkpoint = checkpoint
        self._backbone: Backbone | None = None

    @cached_property
    def folder(self) -> Path:
        """Where the checkpoint lies; a `ModelError` lists the committed names if there is no such folder."""
        for folder in (CHECKPOINTS / self.checkpoint, Path(self.checkpoint)):
            if (folder / "config.json").is_file():
                return folder
        names = sorted(path.parent.name for path in CHECKPOINTS.glob("*/config.json"))
        raise ModelError(
            f"no checkpoint {self.checkpoint!r}: give one of {names or 'none committed'} or a folder with config.json"
        )

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        config, settings = read_json(self.folder / "config.json"), Settings.read(self.folder)
        dim = config.get("hidden_size") or config.get("text_config", {}).get("hidden_size")
        if not isinstance(dim, int):
            raise ModelError(f"{self.folder / 'config.json'}: no hidden_size; is this a Qwen2-VL checkpoint?")
        return EmbedderCard(
            name=f"reference:{self.folder.resolve().name}",
            modalities=MODALITIES,
            dim=dim,
            role_matters=False,
            instruction_matters=True,
            prompt="unite",
            max_frames=settings.max_frames,
            normalised=True,
            frame_order_matters=True,
            training_sets=None if settings.training_sets is None else frozenset(settings.training_sets),
        )

    def weights(self) -> Sequence[Path]:
        """Every file of the checkpoint that can change a vector."""
        named = ("config.json", "tokenizer.json", "preprocessor_config.json", SETTINGS_FILE)
        kept = [self.folder / name for name in named if (self.folder / name).is_file()]
        return [*kept, *sorted(self.folder.glob("*.safetensors"))]

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        self._backbone = Backbone.load(self.folder, device, dtype)

    @cached_property
    def _tokens_per_medium(self) -> float:
        settings = read_preprocessing(self.folder)
        side = int(min(settings.max_pixels, 1280 * settings.factor**2) ** 0.5)
        height, width = fitted_size(side, side, settings)
        return height * width / settings.factor**2

    def cost(self, item: Item) -> float:
        """About the number of tokens of the language model, with patches counted as half a token each."""
        words = sum(len(part.text) for part in item.parts if isinstance(part, Text)) + len(item.instruction or "")
        groups = 0.0
        for part in item.parts:
            if isinstance(part, Video):
                frames = len(part.indices) if part.indices is not None else (part.policy.frames or 8)
                groups += (frames + 1) // 2
            elif isinstance(part, Image):
                groups += 1
        return TEMPLATE_TOKENS + words / 4 + groups * self._tokens_per_medium * 3

    def embed(self, items: Sequence[Item], role: Role) -> torch.Tensor:
        """(n, dim) fp32 on the CPU, L2-normalised. A vector depends on its item alone, not on its neighbours."""
        import torch

        if self._backbone is None:
            self.setup()
        backbone = self._backbone
        assert backbone is not None
        with torch.inference_mode():
            features, grids = _visual(items, backbone)
            prompts = [backbone.prepare(render(item), grids[row]) for row, item in enumerate(items)]
            vectors: torch.Tensor | None = None
            for rows in _groups(prompts):
                done = backbone.vectors([prompts[row] for row in rows], [features[row] for row in rows]).cpu()
                if vectors is None:
                    vectors = torch.empty(len(items), done.shape[1])
                vectors[rows] = done
        if vectors is None:
            raise ModelError("embed was called with no items")
        return vectors


def _visual(items: Sequence[Item], backbone: Backbone) -> tuple[list[torch.Tensor | None], list[list[Grid]]]:
    """Visual features (all media of an item in order, or None) and grids of each item; equal parts are run once."""
    import torch

    from reference_model.preprocess import patches

    parts = {part.digest: part for item in items for part in item.parts if isinstance(part, Image | Video)}
    features: dict[str, torch.Tensor] = {}
    grids: dict[str, Grid] = {}
    waiting: list[tuple[str, torch.Tensor]] = []
    held_patches = 0

    def flush() -> None:
        if not waiting:
            return
        shapes = [grids[digest] for digest, _ in waiting]
        merge = backbone.preprocessing.merge
        done = backbone.visual(torch.cat([cut for _, cut in waiting]), shapes)
        for (digest, _), piece in zip(waiting, done.split([grid.tokens(merge) for grid in shapes]), strict=True):
            features[digest] = piece
        waiting.clear()

    for digest, part in parts.items():
        if isinstance(part, Video):
            clip = media.frames(part)
            frames, times = clip.pixels, clip.times
        else:
            frames, times = media.pixels(part)[np.newaxis], None
        cut, grids[digest] = patches(frames, backbone.preprocessing, str(backbone.device), times)
        waiting.append((digest, cut))
        held_patches += len(cut)
        if held_patches >= PATCHES_PER_FORWARD:
            flush()
            held_patches = 0
    flush()
    per_item: list[torch.Tensor | None] = []
    for item in items:
        held = [features[part.digest] for part in item.parts if not isinstance(part, Text)]
        per_item.append(torch.cat(held) if held else None)
    return per_item, [[grids[part.digest] for part in item.parts if not isinstance(part, Text)] for item in items]


def _groups(prompts: Sequence[Prepared]) -> list[list[int]]:
    """Rows by length, cut so that a group holds at most `TOKENS_PER_FORWARD` tokens, padding included."""
    groups: list[list[int]] = []
    for row in sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), index)):
        if groups and len(prompts[row]) * (len(groups[-1]) + 1) <= TOKENS_PER_FORWARD:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
