"""The three families of backbones, and what differs between them where no model is loaded yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reference_model.preprocess import Preprocessing
from unite_bench.errors import ModelError


@dataclass(frozen=True)
class Clock:
    """How a backbone learns when the frames of a clip are shown, beyond their order.

    `per_second`: the time position grows by so much a second (Qwen2.5-VL). `in_words`: the time stands as text before
    every frame group, and each group is a picture of its own to the position rule (Qwen3-VL).
    """

    per_second: float | None = None
    in_words: bool = False


@dataclass(frozen=True)
class Family:
    """A family by its name, the class of transformers that loads it, and the preprocessing that it has by default."""

    title: str
    model: str
    preprocessing: Preprocessing
    in_words: bool = False

    def clock(self, config: Mapping[str, Any]) -> Clock:
        """The family's clock under a checkpoint's config.json."""
        per_second = config.get("vision_config", {}).get("tokens_per_second")
        return Clock(per_second if self is FAMILIES["qwen2_5_vl"] else None, self.in_words)


HALF = (0.5, 0.5, 0.5)
FAMILIES = {
    "qwen2_vl": Family("Qwen2-VL", "Qwen2VLForConditionalGeneration", Preprocessing()),
    "qwen2_5_vl": Family("Qwen2.5-VL", "Qwen2_5_VLForConditionalGeneration", Preprocessing()),
    "qwen3_vl": Family(
        "Qwen3-VL",
        "Qwen3VLForConditionalGeneration",
        Preprocessing(patch=16, min_pixels=256 * 256, max_pixels=4096 * 4096, mean=HALF, std=HALF),
        in_words=True,
    ),
}


def family_of(config: Mapping[str, Any], where: str) -> str:
    """The name of the family in `FAMILIES` that a config.json belongs to; ModelError if it is none of them."""
    kind = str(config.get("model_type", ""))
    name = kind.removeprefix("unite_")  # the published training code has a type of its own for the same model
    if name not in FAMILIES:
        raise ModelError(
            f"{where}: model_type is {kind!r}, which is no backbone of the reference model; "
            f"there are {', '.join(family.title for family in FAMILIES.values())} ({', '.join(FAMILIES)})"
        )
    return name
