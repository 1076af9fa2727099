"""The shape of nano: Qwen2-VL in small, and how a checkpoint of it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_model.preprocess import Preprocessing

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Time, row and column take turns through the frequencies, coarse and fine alike. In blocks, as in Qwen2-VL, the columns
# would get the lowest ones, and three columns of tokens would look the same to a small model.
MROPE = [1] * 29 + [3]


@dataclass(frozen=True)
class Shape:
    """Sizes of a small Qwen2-VL. Head sizes are fixed: 64 in the language model, 32 in the vision tower."""

    width: int = 256
    layers: int = 4
    inner: int = 640
    heads: int = 4
    kv_heads: int = 2
    vision_width: int = 160
    vision_layers: int = 4
    patch: int = 20
    merge: int = 2
    side: int = 120

    @property
    def preprocessing(self) -> Preprocessing:
        """Pictures are fitted into a square of `side` pixels."""
        least = (self.side * 3 // 4) ** 2
        return Preprocessing(patch=self.patch, merge=self.merge, min_pixels=least, max_pixels=self.side**2)


def new_model(shape: Shape, tokenizer: Tokenizer, seed: int) -> Any:
    """A `Qwen2VLForConditionalGeneration` of this shape with random weights from `seed`; input and output words tied.

    Attention is eager, because on a CPU the backward pass of the fused kernel is several times slower.
    """
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    def token(name: str) -> int:
        number = tokenizer.token_to_id(name)
        assert number is not None
        return int(number)

    text = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "rope_parameters": {"rope_type": "default", "mrope_section": MROPE, "rope_theta": 10000.0},
        "max_position_embeddings": 4096,
        "bos_token_id": token("<|endoftext|>"),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
    }
    vision = {
        "depth": shape.vision_layers,
        "embed_dim": shape.vision_width,
        "hidden_size": shape.width,
        "num_heads": shape.vision_width // 32,
        "mlp_ratio": 4,
        "patch_size": shape.patch,
        "spatial_merge_size": shape.merge,
        "temporal_patch_size": 2,
    }
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        tie_word_embeddings=True,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    torch.manual_seed(seed)
    return Qwen2VLForConditionalGeneration._from_config(config, attn_implementation="eager")
