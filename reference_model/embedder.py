"""The reference model behind the harness's one door: `--model reference` (nano) or `--model reference:FOLDER_OR_NAME`.

Importing this module, building the embedder and reading its card load neither torch nor weights, because a run whose
vectors are all stored needs only the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reference_model.adapters import adapter_files, check_adapter
from reference_model.backbone import Backbone, Prepared
from reference_model.checkpoint import CHECKPOINTS, Checkpoint
from reference_model.preprocess import Grid, fitted_size
from reference_model.prompt import render
from reference_model.settings import Positions, Settings, Sizes
from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.errors import ModelError
from unite_bench.items import FramePolicy, Image, Item, PairedFrames, Role, Text, Video

if TYPE_CHECKING:
    import torch

__all__ = ["CHECKPOINTS", "ReferenceEmbedder"]
MODALITIES = frozenset({"text", "image", "video", "image+text", "text+video", "image+video", "image+text+video"})
TEMPLATE_TOKENS = 32.0
TOKENS_PER_FORWARD = 8192
PATCHES_PER_FORWARD = 16384


class ReferenceEmbedder(Embedder):
    """UNITE: one prompt, one forward pass of a Qwen-VL model, the last token's state as the vector.

    `checkpoint` is the name of a committed checkpoint (`nano`), a folder as transformers saves it, or a name on the
    Hugging Face hub, at `revision`. `adapter` is a folder with a LoRA adapter of it. The others take the place of the
    checkpoint's own settings (see `Settings`); None leaves them as they are.
    """

    def __init__(
        self,
        checkpoint: str = "nano",
        revision: str | None = None,
        adapter: str | None = None,
        positions: Positions | None = None,
        sizes: Sizes | None = None,
        max_length: int | None = None,
        max_frames: int | None = None,
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        frame_min_pixels: int | None = None,
        frame_max_pixels: int | None = None,
        fps: float | None = None,
        min_frames: int | None = None,
        most_frames: int | None = None,
    ):
        self.name, self.revision = checkpoint, revision
        self.adapter = None if adapter is None else Path(adapter)
        self.given = {
            "positions": positions,
            "sizes": sizes,
            "max_length": max_length,
            "max_frames": max_frames,
            "min_pixels": min_pixels,
            "max_pixels": max_pixels,
            "frame_min_pixels": frame_min_pixels,
            "frame_max_pixels": frame_max_pixels,
            "fps": fps,
            "min_frames": min_frames,
            "most_frames": most_frames,
        }
        self._backbone: Backbone | None = None

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What is known of the checkpoint before it is loaded; a `ModelError` says how to get one that is not there."""
        found = Checkpoint.find(self.name, self.revision, self.given)
        if self.adapter is not None:
            check_adapter(self.adapter, found.name)
        return found

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        found = self.checkpoint
        settings = found.settings
        adapted = {} if self.adapter is None else {"adapter": self.adapter.resolve().name}
        return EmbedderCard(
            name="+".join([f"reference:{found.name}", *adapted.values()]),
            modalities=MODALITIES,
            dim=found.width,
            revision=found.revision,
            role_matters=False,
            instruction_matters=True,
            prompt="unite",
            max_frames=settings.max_frames,
            frames=frames_of(settings),
            normalised=True,
            frame_order_matters=True,
            backbone=found.family.title,
            training_sets=None if settings.training_sets is None else frozenset(settings.training_sets),
            settings={**found.told, **adapted},
        )

    def weights(self) -> Sequence[Path]:
        """Every file of the checkpoint, and of the adapter, that can change a vector."""
        return [*self.checkpoint.files(), *([] if self.adapter is None else adapter_files(self.adapter))]

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        self._backbone = Backbone.load(self.checkpoint, device, dtype, self.adapter)

    @cached_property
    def _tokens_per_medium(self) -> float:
        settings = self.checkpoint.preprocessing
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


def frames_of(settings: Settings) -> FramePolicy | None:
    """How the checkpoint's own paper chooses frames, if its settings say so."""
    if settings.fps is None:
        return None
    return PairedFrames(frames=None, fps=settings.fps, max_frames=settings.most_frames, min_frames=settings.min_frames)


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
