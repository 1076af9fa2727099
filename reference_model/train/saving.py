"""How a model is written as a checkpoint folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_model.preprocess import Preprocessing
from reference_model.settings import SETTINGS_FILE, Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def save_checkpoint(
    model: Any, tokenizer: Tokenizer, preprocessing: Preprocessing, settings: Settings, folder: Path
) -> None:
    """Write a folder that `Backbone.load` and transformers open: bf16 safetensors and the settings as JSON."""
    import copy

    import torch

    folder.mkdir(parents=True, exist_ok=True)
    whole = model if model.dtype == torch.bfloat16 else copy.deepcopy(model).to(torch.bfloat16)
    whole.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    files = {"preprocessor_config.json": preprocessing.to_json(), SETTINGS_FILE: asdict(settings)}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
