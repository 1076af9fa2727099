"""Tiny decoders of the architectures of `vlm` with random weights, saved as their real checkpoints are, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny_encoders
import torch
import yaml

PATCH, MERGE, WIDTH = 8, 2, 32
MARKS = ("im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad", "begin_of_text", "image")
SPECIAL = ("<pad>", *(f"<|{name}|>" for name in MARKS))
CHAT = "<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{media}{text}<|im_end|>\n<|im_start|>assistant\n"
PIXELS = {"min": 16 * 16, "max": 32 * 32}
TIMED = "<{seconds} seconds><|vision_start|><|video_pad|><|vision_end|>"
FILE: dict[str, Any] = {
    "name": "tiny",
    "title": "A tiny decoder",
    "weights": "./tiny",
    "revision": "local",
    "dtype": "float32",
    "modalities": ["text", "image", "video", "image+text", "text+video", "image+video"],
    "dim": WIDTH,
    "prompt": {
        "query": {"template": CHAT, "instruction": "Represent the input."},
        "candidate": {"template": CHAT.replace("{instruction}", "Represent the input.")},
        "image": "<|vision_start|><|image_pad|><|vision_end|>",
        "video": "<|vision_start|><|video_pad|><|vision_end|>",
    },
    "pooling": "last",
    "normalise": True,
    "padding": "right",
    "positions": "rope",
    "max_length": 400,
    "image_pixels": PIXELS,
    "frame_pixels": PIXELS,
    "sources": ["a test"],
}

MLLAMA: dict[str, Any] = {
    "modalities": ["text", "image", "image+text"],
    "most_media": 1,
    "prompt": {
        "query": {"template": "{media}<|begin_of_text|>{instruction| }{text}\n"},
        "candidate": {"template": "{media}<|begin_of_text|>{text}\n"},
        "image": "<|image|>",
    },
    "special_tokens": False,
    "image_pixels": None,
    "frame_pixels": None,
}


def model_file(folder: Path, architecture: str, **more: Any) -> Path:
    """A model file beside the checkpoint `tiny` of that architecture."""
    if architecture == "qwen3_vl":
        prompt = {**FILE["prompt"], **more.pop("prompt", {}), "frames_at": TIMED}
        more = {**more, "prompt": {key: value for key, value in prompt.items() if key != "video"}}
    more = {**(MLLAMA if architecture == "mllama" else {}), **more}
    path = folder / f"{more.get('name', 'tiny')}.yaml"
    path.write_text(yaml.safe_dump({**FILE, "architecture": architecture, **more}, sort_keys=False))
    return path


def save(folder: Path, architecture: str) -> Path:
    """The folder, with a checkpoint in `tiny`."""
    from transformers import AutoModelForImageTextToText, MllamaImageProcessorPil, Qwen2VLImageProcessorPil

    words = tokenizer()
    words.save_pretrained(folder / "tiny")
    config = (_mllama if architecture == "mllama" else _qwen_vl)(architecture, words)
    torch.manual_seed(0)
    model = tiny_encoders.spread(AutoModelForImageTextToText.from_config(config))
    for name, weight in model.named_parameters():
        if name.endswith(("_attn_gate", "_mlp_gate")):  # at the start of training, mllama sees no pictures
            torch.nn.init.ones_(weight)
    model.save_pretrained(folder / "tiny")
    if architecture == "mllama":
        processor = MllamaImageProcessorPil(size={"height": 16, "width": 16}, max_image_tiles=4)
    else:
        processor = Qwen2VLImageProcessorPil(patch_size=PATCH, merge_size=MERGE, temporal_patch_size=2)
    processor.save_pretrained(folder / "tiny")
    return folder


def _qwen_vl(architecture: str, words: Any) -> Any:
    from transformers import AutoConfig

    ids = {name: words.convert_tokens_to_ids(f"<|{name}|>") for name in ("image_pad", "video_pad", "vision_start")}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    text = {"vocab_size": len(words), "hidden_size": WIDTH, "intermediate_size": 48, **layers}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    text |= {"max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    text |= {"head_dim": 8} if architecture == "qwen3_vl" else {}
    vision = {"depth": 2, "num_heads": 2, "patch_size": PATCH, "spatial_merge_size": MERGE, "temporal_patch_size": 2}
    if architecture == "qwen2_vl":
        vision |= {"embed_dim": 16, "hidden_size": WIDTH, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 16, "out_hidden_size": WIDTH, "intermediate_size": 32}
        vision |= {"window_size": 32, "fullatt_block_indexes": [1]} if architecture == "qwen2_5_vl" else {}
        vision |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]} if architecture == "qwen3_vl" else {}
    return AutoConfig.for_model(
        architecture,
        text_config=text,
        vision_config=vision,
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"),
    )


def _mllama(architecture: str, words: Any) -> Any:
    from transformers import AutoConfig

    ids = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 1}
    layers = {"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "cross_attention_layers": [1]}
    text = {"vocab_size": len(words), "hidden_size": WIDTH, "intermediate_size": 48, **layers, **ids}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_global_layers": 1}
    vision |= {"attention_heads": 2, "image_size": 16, "patch_size": 8, "max_num_tiles": 4, "vision_output_dim": 32}
    vision |= {"intermediate_layers_indices": [0]}
    number = words.convert_tokens_to_ids("<|image|>")
    return AutoConfig.for_model(architecture, text_config=text, vision_config=vision, image_token_index=number)


def tokenizer() -> Any:
    """Characters as tokens, spaces and line ends too, so that the tokens of a prompt spell it."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", *SPECIAL, "\n", *map(chr, range(32, 127))]
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<|begin_of_text|>",
        extra_special_tokens=[word for word in SPECIAL if word not in ("<pad>", "<|begin_of_text|>")],
    )
