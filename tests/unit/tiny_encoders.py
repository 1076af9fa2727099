"""Tiny encoders of transformers with random weights, saved as their real checkpoints are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIDE, LONGEST, DIM = 32, 16, 12


def tokenizer(**more: Any) -> Any:
    """Characters as tokens, between <s> and </s>."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", "<pad>", *map(chr, range(33, 127))]
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=LONGEST,
        **more,
    )


def _sizes(**more: Any) -> dict[str, Any]:
    layers = {"num_hidden_layers": 2, "num_attention_heads": 2}
    return {"hidden_size": 16, "intermediate_size": 32, **layers, **more}


def _text(**more: Any) -> dict[str, Any]:
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3}
    return _sizes(vocab_size=98, max_position_embeddings=LONGEST, **ids, **more)


def clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    vision = _sizes(image_size=SIDE, patch_size=8)
    spread(CLIPModel(CLIPConfig(text_config=_text(), vision_config=vision, projection_dim=DIM))).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=size).save_pretrained(folder)
    return folder


def siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(0)
    vision = _sizes(image_size=SIDE, patch_size=8)
    spread(SiglipModel(SiglipConfig(text_config=_text(), vision_config=vision))).save_pretrained(folder)
    tokenizer(model_input_names=["input_ids"]).save_pretrained(folder)  # padding is not masked, as in the real ones
    SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def siglip2(folder: Path) -> Path:
    """The kind with patches of any number (NaFlex)."""
    from transformers import Siglip2Config, Siglip2ImageProcessorPil, Siglip2Model

    torch.manual_seed(0)
    vision = _sizes(num_patches=16, patch_size=8)
    spread(Siglip2Model(Siglip2Config(text_config=_text(), vision_config=vision))).save_pretrained(folder)
    tokenizer(model_input_names=["input_ids"]).save_pretrained(folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16).save_pretrained(folder)
    return folder


def align(folder: Path) -> Path:
    from transformers import AlignConfig, AlignModel, EfficientNetImageProcessorPil

    torch.manual_seed(0)
    vision = {"image_size": SIDE, "width_coefficient": 0.1, "depth_coefficient": 0.1, "hidden_dim": 24}
    spread(AlignModel(AlignConfig(text_config=_text(), vision_config=vision, projection_dim=32))).save_pretrained(
        folder
    )
    tokenizer().save_pretrained(folder)
    EfficientNetImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def bert(folder: Path) -> Path:
    """An encoder of texts, as sentence-transformers wants it: mean pooling, and prompts for both roles."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    inner = folder / "inner"
    model = BertModel(BertConfig(**_sizes(vocab_size=98, max_position_embeddings=64)))
    spread(model).save_pretrained(inner)
    made = tokenizer()
    made.model_max_length = 64
    made.save_pretrained(inner)
    parts = [modules.Transformer(str(inner)), modules.Pooling(16), modules.Normalize()]
    whole = SentenceTransformer(modules=parts, device="cpu", prompts={"query": "query: ", "document": "passage: "})
    whole.save_pretrained(str(folder / "whole"), create_model_card=False)
    return folder / "whole"


def late(folder: Path) -> Path:
    """An encoder of texts that keeps a vector a token; of candidates it leaves out the commas."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer import modules

    bert(folder)
    parts = [modules.Transformer(str(folder / "inner")), MultiVectorMask(skiplist_words=[","])]
    whole = MultiVectorEncoder(modules=parts, device="cpu", prompts={"query": "query: ", "document": "passage: "})
    whole.save_pretrained(str(folder / "late"), create_model_card=False)
    return folder / "late"


def spread(model: Any) -> Any:
    """Weights ten times as large as at the start of training, so that different inputs have plainly different vectors."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1 and "position" not in name:
                weight.mul_(10)
    return model.eval()
