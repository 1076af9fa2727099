"""The three families of backbones, and what differs between them where no model is loaded yet."""

from __future__ import annotations

import math
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
    """A family by its name, the class of transformers that loads it, and what it has by default: the preprocessing, and
    how far the time position goes in a second, where it does (the default of transformers' config class)."""

    title: str
    model: str
    preprocessing: Preprocessing
    in_words: bool = False
    per_second: float | None = None

    def clock(self, config: Mapping[str, Any], where: str = "config.json") -> Clock:
        """The family's clock under a checkpoint's config.json, which may leave out the rate. Raises ModelError for one that
        is none."""
        if self.per_second is None:
            return Clock(in_words=self.in_words)
        rate = config.get("vision_config", {}).get("tokens_per_second", self.per_second)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            raise ModelError(
                f"{where}: vision_config.tokens_per_second is {rate!r}; it must be a number above 0 "
                f"({self.per_second:g} where it is left out)"
            )
        return Clock(rate, self.in_words)


HALF = (0.5, 0.5, 0.5)
FAMILIES = {
    "qwen2_vl": Family("Qwen2-VL", "Qwen2VLForConditionalGeneration", Preprocessing()),
    "qwen2_5_vl": Family("Qwen2.5-VL", "Qwen2_5_VLForConditionalGeneration", Preprocessing(), per_second=4),
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
