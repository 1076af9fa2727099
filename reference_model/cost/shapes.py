"""The sizes of a Qwen-VL model, read from its config.json: parameters are counted from them, and FLOPs and memory follow.

The families are those of reference_model/families.py. A config.json may have the text sizes
at the top (as released) or under `text_config` (as transformers 5 writes it). A size that the file leaves out has the
default of that family's config class in transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference_model.families import family_of
from reference_model.settings import read_json
from unite_bench.errors import ModelError

# What transformers' config classes take for a size that the file does not name (transformers 5.23). Hubs hold files that
# name only what differs from it.
VISION_DEFAULTS: dict[str, dict[str, Any]] = {
    "qwen2_vl": {
        "depth": 32,
        "embed_dim": 1280,
        "hidden_size": 3584,
        "mlp_ratio": 4,
        "num_heads": 16,
        "patch_size": 14,
    },
    "qwen2_5_vl": {
        "depth": 32,
        "hidden_size": 3584,
        "intermediate_size": 3420,
        "num_heads": 16,
        "patch_size": 14,
        "window_size": 112,
        "out_hidden_size": 3584,
        "fullatt_block_indexes": (7, 15, 23, 31),
    },
    "qwen3_vl": {
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_heads": 16,
        "patch_size": 16,
        "out_hidden_size": 3584,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": (8, 16, 24),
    },
}
ALL_VISION_DEFAULTS = {"in_channels": 3, "spatial_merge_size": 2, "temporal_patch_size": 2}
TEXT_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")

# Sizes of published checkpoints, for estimates without the files. Source: their config.json on the hub; the parameter
# counts that follow are those of their safetensors files, 2,208,985,600 and 8,291,375,616.
NAMED: dict[str, dict[str, Any]] = {
    "Qwen/Qwen2-VL-2B-Instruct": {
        "model_type": "qwen2_vl",
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": True,
        "vision_config": {"hidden_size": 1536},
    },
    "Qwen/Qwen2-VL-7B-Instruct": {
        "model_type": "qwen2_vl",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "vision_config": {"hidden_size": 3584},
    },
}


@dataclass(frozen=True)
class Linear:
    """A linear layer: `inputs` x `outputs` weights and, with `bias`, as many biases as outputs."""

    inputs: int
    outputs: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)

    @property
    def flops(self) -> int:
        """Multiplications and additions of one token's product; a bias is not counted."""
        return 2 * self.inputs * self.outputs


@dataclass(frozen=True)
class LanguageShape:
    """The language model: `width` of its states, `heads` of `head_size` (keys and values have `kv_heads`), `inner` of its
    MLP; `qkv_bias` and `output_bias` of its attention; `head_norms` where queries and keys are normalised (Qwen3)."""

    width: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool
    qkv_bias: bool
    output_bias: bool
    head_norms: bool

    @property
    def attention(self) -> tuple[Linear, Linear, Linear, Linear]:
        """Query, key, value and output projections of one layer."""
        query, keys = self.heads * self.head_size, self.kv_heads * self.head_size
        biased = self.qkv_bias
        inputs = (Linear(self.width, query, biased), Linear(self.width, keys, biased), Linear(self.width, keys, biased))
        return (*inputs, Linear(query, self.width, self.output_bias))

    @property
    def linears(self) -> tuple[Linear, ...]:
        """The linear layers of one layer: what LoRA is put on."""
        up = Linear(self.width, self.inner)
        return (*self.attention, up, up, Linear(self.inner, self.width))

    @property
    def layer_parameters(self) -> int:
        norms = 2 * self.width + (2 * self.head_size if self.head_norms else 0)
        return sum(linear.parameters for linear in self.linears) + norms

    @property
    def embedding_parameters(self) -> int:
        """Word embeddings, and the output layer where it has weights of its own."""
        return self.vocabulary * self.width * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        return self.embedding_parameters + self.layers * self.layer_parameters + self.width


@dataclass(frozen=True)
class VisionShape:
    """The vision tower with its projector. `gated` MLPs and RMS norms are Qwen2.5's; there, layers other than `full` attend
    within windows of `window` pixels a side. `deepstack` projectors and learned `positions` are Qwen3's."""

    width: int
    inner: int
    layers: int
    out: int
    patch: int
    merge: int
    temporal_patch: int
    channels: int
    gated: bool = False
    patch_bias: bool = False
    window: int | None = None
    full: tuple[int, ...] = ()
    deepstack: int = 0
    positions: int = 0

    @property
    def patches(self) -> Linear:
        """The convolution that takes patches in; its stride is its kernel."""
        return Linear(self.channels * self.temporal_patch * self.patch**2, self.width, self.patch_bias)

    @property
    def linears(self) -> tuple[Linear, ...]:
        """The linear layers of one layer, applied to every patch."""
        mlp = (Linear(self.width, self.inner, True),) * (2 if self.gated else 1)
        attention = (Linear(self.width, 3 * self.width, True), Linear(self.width, self.width, True))
        return (*attention, *mlp, Linear(self.inner, self.width, True))

    @property
    def projector(self) -> tuple[Linear, Linear]:
        """The two linear layers that make one visual token of merge x merge patches."""
        merged = self.width * self.merge**2
        return Linear(merged, merged, True), Linear(merged, self.out, True)

    @property
    def parameters(self) -> int:
        norm = self.width if self.gated else 2 * self.width  # RMS norms have no bias
        layer = sum(linear.parameters for linear in self.linears) + 2 * norm
        projector = sum(linear.parameters for linear in self.projector)
        deep = self.deepstack * (projector + 2 * self.width * self.merge**2)
        positions = self.positions * self.width
        return self.patches.parameters + self.layers * layer + projector + norm + deep + positions


@dataclass(frozen=True)
class ModelShape:
    """A whole model: `family` is its name in reference_model/families.py."""

    family: str
    language: LanguageShape
    vision: VisionShape

    @property
    def parameters(self) -> int:
        return self.language.parameters + self.vision.parameters

    def lora_parameters(self, rank: int) -> int:
        """Of LoRA on every linear layer of the language model (not the vision tower, not the output layer)."""
        layer = sum(rank * (linear.inputs + linear.outputs) for linear in self.language.linears)
        return self.language.layers * layer

    @classmethod
    def from_config(cls, config: Mapping[str, Any], name: str = "config.json") -> ModelShape:
        """From the object in a config.json. Raises `ModelError` that names what is missing."""
        family = family_of(config, name)
        text = config.get("text_config") or config
        missing = [key for key in TEXT_SIZES if key not in text]
        if missing:
            raise ModelError(f"{name}: {', '.join(missing)} missing; it must be the config.json of a whole checkpoint")
        vision = {**ALL_VISION_DEFAULTS, **VISION_DEFAULTS[family], **config.get("vision_config", {})}
        tied = bool(config.get("tie_word_embeddings") or text.get("tie_word_embeddings"))
        return cls(family, _language(family, text, tied), _vision(family, vision))

    @classmethod
    def of(cls, base: str | Path) -> ModelShape:
        """Of a checkpoint folder, or of a name in `NAMED`. Loads nothing. Raises `ModelError` if it is neither."""
        if str(base) in NAMED:
            return cls.from_config(NAMED[str(base)], str(base))
        path = Path(base) / "config.json"
        if not path.is_file():
            known = ", ".join(NAMED)
            raise ModelError(f"{base}: no config.json there; give a checkpoint folder, or one of {known}")
        return cls.from_config(read_json(path), str(path))


def _language(family: str, text: Mapping[str, Any], tied: bool) -> LanguageShape:
    third = family == "qwen3_vl"
    heads = int(text["num_attention_heads"])
    default_head = 128 if third else int(text["hidden_size"]) // heads
    return LanguageShape(
        width=int(text["hidden_size"]),
        inner=int(text["intermediate_size"]),
        layers=int(text["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(text.get("num_key_value_heads") or heads),
        head_size=int(text.get("head_dim") or default_head) if third else default_head,
        vocabulary=int(text["vocab_size"]),
        tied=tied,
        qkv_bias=bool(text.get("attention_bias", False)) if third else True,
        output_bias=bool(text.get("attention_bias", False)) if third else False,
        head_norms=third,
    )


def _vision(family: str, vision: Mapping[str, Any]) -> VisionShape:
    second = family == "qwen2_vl"
    width = int(vision["embed_dim"] if second else vision["hidden_size"])
    windowed = family == "qwen2_5_vl"
    return VisionShape(
        width=width,
        inner=width * int(vision["mlp_ratio"]) if second else int(vision["intermediate_size"]),
        layers=int(vision["depth"]),
        out=int(vision["hidden_size"] if second else vision["out_hidden_size"]),
        patch=int(vision["patch_size"]),
        merge=int(vision["spatial_merge_size"]),
        temporal_patch=int(vision["temporal_patch_size"]),
        channels=int(vision["in_channels"]),
        gated=windowed,
        patch_bias=family == "qwen3_vl",
        window=int(vision["window_size"]) if windowed else None,
        full=tuple(vision["fullatt_block_indexes"]) if windowed else (),
        deepstack=len(vision["deepstack_visual_indexes"]) if family == "qwen3_vl" else 0,
        positions=int(vision["num_position_embeddings"]) if family == "qwen3_vl" else 0,
    )
