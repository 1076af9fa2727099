"""A checkpoint folder as a function from prompts and patches to last-token vectors.

`Backbone.visual` gives the features of media (vision.py), `Backbone.prepare` turns an item's prompt into token ids with
one visual placeholder per feature (tokens.py), and `Backbone.vectors` puts both together, runs the language model and
pools (states.py). What the published code gets wrong is not repeated here: text is truncated but placeholders never
are, the number of placeholders must equal the number of features, and the rule for positions is a setting of the
checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from reference_model.preprocess import Grid, Preprocessing
from reference_model.prompt import Segment
from reference_model.settings import SETTINGS_FILE, Positions, Settings, read_json
from reference_model.states import last_states, padded
from reference_model.tokens import Prepared, load_tokenizer, prepare
from reference_model.vision import visual_features
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

__all__ = [
    "SETTINGS_FILE",
    "Backbone",
    "Positions",
    "Prepared",
    "Settings",
    "last_states",
    "load_tokenizer",
    "padded",
    "prepare",
    "read_json",
    "read_preprocessing",
    "visual_features",
]


class Backbone:
    """A loaded Qwen2-VL model with the tokenizer and settings of its folder."""

    def __init__(self, model: Any, tokenizer: Tokenizer, preprocessing: Preprocessing, settings: Settings):
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.settings = settings

    @classmethod
    def load(cls, folder: Path, device: str = "cpu", dtype: str = "float32") -> Backbone:
        """Weights, tokenizer and settings from a folder as transformers saves it. Raises `ModelError` if unfit."""
        import torch
        from transformers import Qwen2VLForConditionalGeneration

        read_json(folder / "config.json")
        tokenizer = load_tokenizer(folder)
        try:
            with _no_progress_bar():
                model, report = Qwen2VLForConditionalGeneration.from_pretrained(
                    folder, dtype=getattr(torch, dtype), local_files_only=True, output_loading_info=True
                )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(f"{folder}: not a checkpoint that Qwen2-VL can load ({error})") from error
        missing = sorted(report["missing_keys"])
        if missing:
            raise ModelError(f"{folder}: weights are missing, first {missing[0]}; the checkpoint is incomplete")
        model.eval().requires_grad_(False)
        return cls(model.to(device), tokenizer, read_preprocessing(folder), Settings.read(folder))

    @property
    def device(self) -> torch.device:
        return cast("torch.device", self.model.device)

    def prepare(self, segments: tuple[Segment, ...], grids: Sequence[Grid]) -> Prepared:
        """`prepare` with this checkpoint's tokenizer and settings."""
        return prepare(segments, grids, self.tokenizer, self.preprocessing.merge, self.settings)

    def visual(self, patches: torch.Tensor, grids: Sequence[Grid]) -> torch.Tensor:
        """Patches of several media, one after the other -> (visual tokens, width) features."""
        return visual_features(self.model.model.visual, patches, grids)

    def vectors(self, prompts: Sequence[Prepared], features: Sequence[torch.Tensor | None]) -> torch.Tensor:
        """(n, width) fp32, L2-normalised: the last token's final hidden state of each prompt.

        `features[i]` holds the visual features of prompt i, all its media in order, or None.
        """
        import torch

        return torch.nn.functional.normalize(last_states(self.model, prompts, features).float(), dim=-1)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """transformers draws a bar while it loads, in the middle of what the harness prints."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def read_preprocessing(folder: Path) -> Preprocessing:
    """Preprocessing of a checkpoint; the patch sizes of its config.json win, because the weights depend on them."""
    from dataclasses import replace

    vision = read_json(folder / "config.json").get("vision_config", {})
    named = {"patch": "patch_size", "merge": "spatial_merge_size", "temporal_patch": "temporal_patch_size"}
    sizes = {field: vision[key] for field, key in named.items() if key in vision}
    return replace(Preprocessing.read(folder / "preprocessor_config.json"), **sizes)
