"""A tiny random Qwen2-VL checkpoint, as a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_model import TINY

from reference_model.backbone import Settings, load_tokenizer
from reference_model.nano.architecture import new_model
from reference_model.nano.vocabulary import train_vocabulary
from reference_model.train.saving import save_checkpoint


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random checkpoint, written by transformers' own `save_pretrained`."""
    folder = tmp_path_factory.mktemp("tiny")
    texts = ["You are a helpful assistant. Summary above sentence image video in one word: system user"]
    train_vocabulary(texts, folder / "tokenizer.json", size=320)
    tokenizer = load_tokenizer(folder)
    save_checkpoint(new_model(TINY, tokenizer, seed=1), tokenizer, TINY.preprocessing, Settings(max_length=160), folder)
    return folder
