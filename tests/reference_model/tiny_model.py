"""A tiny Qwen2-VL shape, and pictures and clips that are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reference_model.nano.architecture import Shape
from unite_bench.items import RGB, Image, Video, content_digest

TINY = Shape(width=64, layers=2, inner=96, heads=1, kv_heads=1, vision_width=32, vision_layers=2)


@dataclass(frozen=True)
class Noise:
    """A picture of smooth coloured noise."""

    seed: int
    height: int = 90
    width: int = 120

    @property
    def name(self) -> str:
        return f"noise-{self.seed}"

    @property
    def digest(self) -> str:
        return content_digest("noise", repr((self.seed, self.height, self.width)))

    def picture(self) -> RGB:
        size = (self.height // 10, self.width // 10, 3)
        draws = np.random.default_rng(self.seed).integers(0, 256, size, dtype=np.uint8)
        return np.kron(draws, np.ones((10, 10, 1), dtype=np.uint8))


@dataclass(frozen=True)
class NoiseClip:
    """A clip of such pictures, one a second."""

    seed: int
    frames: int

    @property
    def name(self) -> str:
        return f"clip-{self.seed}"

    @property
    def digest(self) -> str:
        return content_digest("noise-clip", repr((self.seed, self.frames)))

    def times(self) -> npt.NDArray[np.float64]:
        return np.arange(self.frames, dtype=np.float64)

    def frame(self, index: int) -> RGB:
        return Noise(self.seed * 100 + index).picture()


def picture(seed: int, height: int = 90, width: int = 120) -> Image:
    return Image(Noise(seed, height, width))


def clip(seed: int, frames: int = 4) -> Video:
    return Video(NoiseClip(seed, frames), indices=tuple(range(frames)))
