"""The reference model behind the harness's one door: `--model reference` (nano) or `--model reference:FOLDER_OR_NAME`.

Importing this module, building the embedder and reading its card load neither torch nor weights, because a run whose
vectors are all stored needs only the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reference_model.adapters import adapter_files, adapter_settings, check_adapter, weights_digest
from reference_model.backbone import Backbone
from reference_model.checkpoint import CHECKPOINTS, Checkpoint
from reference_model.preprocess import fitted_size
from reference_model.settings import Positions, Settings, Sizes
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.errors import ModelError
from unite_bench.items import FramePolicy, Image, Item, PairedFrames, Role, Text, Video

if TYPE_CHECKING:
    import torch

    from reference_model.encoding.engine import Engine

__all__ = ["CHECKPOINTS", "ReferenceEmbedder"]
MODALITIES = frozenset({"text", "image", "video", "image+text", "text+video", "image+video", "image+text+video"})
TEMPLATE_TOKENS = 32.0
SPEED = ("workers", "pass_tokens", "pass_patches", "feature_gib")  # arguments that change no vector


class ReferenceEmbedder(Embedder):
    """UNITE: one prompt, one forward pass of a Qwen-VL model, the last token's state as the vector.

    `checkpoint` is the name of a committed checkpoint (`nano`), a folder as transformers saves it, or a name on the
    Hugging Face hub, at `revision`. `adapter` is a folder with a LoRA adapter of it. The others take the place of the
    checkpoint's own settings (see `Settings`); None leaves them as they are. Four change no vector: `workers` processes
    decode media (None: none on the CPU, else by the number of cores), a pass holds about `pass_tokens` tokens of the
    language model or `pass_patches` patches of the vision tower, and `feature_gib` GiB of features are kept (see `Budget`).
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
        workers: int | None = None,
        pass_tokens: int | None = None,
        pass_patches: int | None = None,
        feature_gib: float | None = None,
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
        self.workers = workers
        self.budget = {
            "tokens": pass_tokens,
            "patches": pass_patches,
            "feature_bytes": None if feature_gib is None else int(feature_gib * 2**30),
        }
        if wrong := sorted(name for name, value in self.budget.items() if value is not None and value <= 0):
            raise ModelError(f"{', '.join(wrong)}: must be above 0")
        self._engine: Engine | None = None

    @property
    def arguments(self) -> tuple[tuple[str, str], ...]:
        """Without those that change no vector."""
        return tuple((name, value) for name, value in super().arguments if name not in SPEED)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """What is known of the checkpoint before it is loaded; a `ModelError` says how to get one that is not there."""
        if self.adapter is None:
            return Checkpoint.find(self.name, self.revision, self.given)
        found = Checkpoint.find(self.name, self.revision, self.given, adapter_settings(self.adapter))
        check_adapter(self.adapter, found.name)
        return found

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        found = self.checkpoint
        settings = found.settings
        name, sets, adapted = f"reference:{found.name}", settings.training_sets, {}
        if self.adapter is not None:
            name, sets = f"{name}+{self.adapter.resolve().name}", None  # nobody knows what the adapter has seen
            adapted = {"adapter": f"{self.adapter.resolve().name}, weights {weights_digest(self.adapter)[:12]}"}
        return EmbedderCard(
            name=name,
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
            size=found.size,
            training_sets=None if sets is None else frozenset(sets),
            settings={**found.told, **adapted},
        )

    def weights(self) -> Sequence[Path]:
        """Every file of the checkpoint, and of the adapter, that can change a vector."""
        return [*self.checkpoint.files(), *([] if self.adapter is None else adapter_files(self.adapter))]

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        """Load the weights. `device` is cpu, cuda, cuda:1 or mps; several, as in "cuda:0,cuda:1", share the work."""
        from reference_model.encoding.engine import Budget, Engine, workers_of

        devices = device.split(",")
        workers = workers_of(devices) if self.workers is None else self.workers
        backbones = [Backbone.load(self.checkpoint, one, dtype, self.adapter) for one in devices]
        given = {name: value for name, value in self.budget.items() if value is not None}
        self._engine = Engine(backbones, workers, replace(Budget.of(backbones[0].device.type), **given))

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
        if not items:
            raise ModelError("embed was called with no items")
        return self._started().embed(items)

    def upcoming(self, items: Sequence[Item], role: Role) -> None:
        self._started().upcoming(items)

    def _started(self) -> Engine:
        if self._engine is None:
            self.setup()
        assert self._engine is not None
        return self._engine


def frames_of(settings: Settings) -> FramePolicy | None:
    """How the checkpoint's own paper chooses frames, if its settings say so."""
    if settings.fps is None:
        return None
    return PairedFrames(frames=None, fps=settings.fps, max_frames=settings.most_frames, min_frames=settings.min_frames)
