"""Tiny random checkpoints of the three families, as folders, and items for them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tiny_model import Noise

from reference_model.families import FAMILIES
from reference_model.preprocess import Preprocessing
from reference_model.tokens import load_tokenizer
from unite_bench.items import RGB, Video, content_digest

WIDTH = 32
PATCH = {"qwen2_vl": 14, "qwen2_5_vl": 14, "qwen3_vl": 16}


@dataclass(frozen=True)
class TimedClip:
    """A clip of smooth noise, shown at `fps` frames a second."""

    seed: int
    frames: int
    fps: float

    @property
    def name(self) -> str:
        return f"timed-{self.seed}"

    @property
    def digest(self) -> str:
        return content_digest("timed", repr((self.seed, self.frames, self.fps)))

    def times(self) -> npt.NDArray[np.float64]:
        return np.arange(self.frames, dtype=np.float64) / self.fps

    def frame(self, index: int) -> RGB:
        return Noise(self.seed * 100 + index).picture()


def timed_clip(seed: int, frames: int, fps: float = 3.0) -> Video:
    return Video(TimedClip(seed, frames, fps), indices=tuple(range(frames)))


def save_family(folder: Path, kind: str, tokenizer_json: Path, seed: int = 3) -> Path:
    """A checkpoint of that `model_type`, its weights large enough that every input shows in the vector."""
    import transformers

    folder.mkdir(parents=True)
    shutil.copy(tokenizer_json, folder / "tokenizer.json")
    tokenizer = load_tokenizer(folder)
    torch.manual_seed(seed)
    model = getattr(transformers, FAMILIES[kind].model)(configuration(kind, tokenizer))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(5)
    model.save_pretrained(folder)
    standard = FAMILIES[kind].preprocessing
    preprocessing = Preprocessing(
        patch=PATCH[kind], min_pixels=60**2, max_pixels=130**2, mean=standard.mean, std=standard.std
    )
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing.to_json()))
    return folder


def configuration(kind: str, tokenizer: Any) -> Any:
    from transformers import AutoConfig

    rope = {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [4, 2, 2]}
    text = {"vocab_size": tokenizer.get_vocab_size(), "hidden_size": WIDTH, "intermediate_size": 48}
    text |= {"num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "rope_parameters": rope}
    text |= {"max_position_embeddings": 4096, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    vision = {"depth": 3, "num_heads": 2, "patch_size": PATCH[kind], "spatial_merge_size": 2, "temporal_patch_size": 2}
    if kind == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": WIDTH, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 32, "out_hidden_size": WIDTH, "intermediate_size": 48}
    if kind == "qwen2_5_vl":
        vision |= {"window_size": 56, "fullatt_block_indexes": [1], "tokens_per_second": 4}
    if kind == "qwen3_vl":
        text |= {"head_dim": 16}
        rope |= {"mrope_interleaved": True}
        vision |= {"num_position_embeddings": 36, "deepstack_visual_indexes": [0, 1]}
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {"vision_start_token_id": "vision_start", "vision_end_token_id": "vision_end"}
    marks = {key: tokenizer.token_to_id(f"<|{name}|>") for key, name in names.items()}
    return AutoConfig.for_model(kind, text_config=text, vision_config=vision, tie_word_embeddings=True, **marks)
