"""A small checkpoint as the published code of UNITE saved it under transformers 4.47, and that code's path, plainly.

Nothing here uses the reference model's own rules: sizes, frames, patches and positions are written down once more from
the facts of the published inference code, as a second opinion.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tiny_families import configuration
from torch.nn import functional

from reference_model.tokens import load_tokenizer

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
START = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
END = "\nSummary above {} in one word:<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"


def save_released(folder: Path, tokenizer_json: Path, architecture: str = "UniteQwen2VL", tied: bool = True) -> Path:
    """Old key names (`model.layers...`, `visual...`), text settings flat in config.json, no auto_map."""
    from safetensors.torch import save_file
    from transformers import Qwen2VLForConditionalGeneration

    folder.mkdir(parents=True)
    shutil.copy(tokenizer_json, folder / "tokenizer.json")
    config = configuration("qwen2_vl", load_tokenizer(folder))
    config.tie_word_embeddings = tied
    torch.manual_seed(11)
    model = Qwen2VLForConditionalGeneration(config)
    weights = {}
    for name, weight in model.state_dict().items():
        old = name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")
        if not (tied and old == "lm_head.weight"):
            weights[old] = (weight * (5 if weight.ndim > 1 else 1)).contiguous()
    assert any(name.startswith("model.layers.0.") for name in weights)
    assert any(name.startswith("visual.blocks.0.") for name in weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(_flat(config, architecture), indent=1))
    size = {"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps({**size, "image_mean": MEAN, "image_std": STD}))
    return folder


def _flat(config: Any, architecture: str) -> dict[str, Any]:
    text, vision = config.text_config, config.vision_config
    kept = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    kept += ("num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "bos_token_id", "eos_token_id")
    shape = ("depth", "embed_dim", "hidden_size", "mlp_ratio", "num_heads", "spatial_merge_size", "temporal_patch_size")
    marks = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {
        "architectures": [architecture],
        "model_type": "qwen2_vl",
        "transformers_version": "4.47.1",
        "torch_dtype": "float32",
        "tie_word_embeddings": config.tie_word_embeddings,
        "rope_theta": text.rope_parameters["rope_theta"],
        "rope_scaling": {"type": "mrope", "mrope_section": text.rope_parameters["mrope_section"]},
        "hidden_act": "silu",
        "use_sliding_window": False,
        "sliding_window": 32768,
        **{key: getattr(text, key) for key in kept},
        **{key: getattr(config, key) for key in marks},
        "vision_config": {
            "model_type": "qwen2_vl",
            "in_chans": 3,
            "spatial_patch_size": 14,
            "hidden_act": "quick_gelu",
            **{key: getattr(vision, key) for key in shape},
        },
    }


def fit(height: int, width: int, least: float, most: float) -> tuple[int, int]:
    """Multiples of 28, as near as may be, within the area."""
    tall, wide = (max(28, 28 * round(side / 28)) for side in (height, width))
    if tall * wide > most:
        ratio = math.sqrt(height * width / most)
        return 28 * math.floor(height / ratio / 28), 28 * math.floor(width / ratio / 28)
    if tall * wide < least:
        ratio = math.sqrt(least / (height * width))
        return 28 * math.ceil(height * ratio / 28), 28 * math.ceil(width * ratio / 28)
    return tall, wide


def published_size(height: int, width: int, clip: bool, budget: tuple[int, int] = (256, 1280)) -> tuple[int, int]:
    """What qwen-vl-utils makes of a picture or frame, and what the processor then makes of that."""
    least, most = (128 * 784, 360 * 420) if clip else (4 * 784, 16384 * 784)
    return fit(*fit(height, width, least, most), budget[0] * 784, budget[1] * 784)


def published_frames(total: int, rate: float, fps: float = 1.0, least: int = 4, most: int = 32) -> list[int]:
    number = 2 * round(min(max(total / rate * fps, least), most) / 2)
    return [round(place) for place in torch.linspace(0, total - 1, number).tolist()]


def cut_up(frames: npt.NDArray[np.uint8], clip: bool) -> tuple[torch.Tensor, list[int]]:
    """Patches in the order of the processor, one by one."""
    tall, wide = published_size(frames.shape[1], frames.shape[2], clip)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    pixels = functional.interpolate(pixels, (tall, wide), mode="bicubic", antialias=True).float() / 255
    pixels = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    if len(pixels) % 2:
        pixels = torch.cat([pixels, pixels[-1:]])
    rows, columns = tall // 14, wide // 14
    cells = []
    for group in range(len(pixels) // 2):
        for row in range(0, rows, 2):
            for column in range(0, columns, 2):
                for down in range(2):
                    for right in range(2):
                        top, left = 14 * (row + down), 14 * (column + right)
                        square = pixels[2 * group : 2 * group + 2, :, top : top + 14, left : left + 14]
                        cells.append(square.transpose(0, 1).flatten())
    return torch.stack(cells), [len(pixels) // 2, rows, columns]


@torch.inference_mode()
def published_vector(
    folder: Path, text: str, picture: npt.NDArray[np.uint8] | None, clip: npt.NDArray[np.uint8] | None
) -> torch.Tensor:
    """One picture or clip, then the text: prompt, forward pass with running positions, last state, length 1."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    tokenizer = load_tokenizer(folder)
    config = Qwen2VLConfig.from_pretrained(folder)
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    given: dict[str, Any] = {}
    content, named = "", []
    for name, frames, pixels, grid in (
        ("image", picture, "pixel_values", "image_grid_thw"),
        ("video", clip, "pixel_values_videos", "video_grid_thw"),
    ):
        if frames is not None:
            cells, shape = cut_up(frames if name == "video" else frames[np.newaxis], name == "video")
            given |= {pixels: cells, grid: torch.tensor([shape])}
            content += f"<|vision_start|>{f'<|{name}_pad|>' * (math.prod(shape) // 4)}<|vision_end|>"
            named.append(name)
    modalities = " and ".join((["sentence"] if text else []) + named)
    ids = torch.tensor(
        [tokenizer.encode(START + content + text + END.format(modalities), add_special_tokens=False).ids]
    )
    running = torch.arange(ids.shape[1])[None].expand(3, 1, -1)
    states = model.model(input_ids=ids, position_ids=running, **given).last_hidden_state
    return functional.normalize(states[0, -1].float(), dim=-1)
