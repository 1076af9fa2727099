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

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from reference_model.adapters import check_adapter, merge_adapter
from reference_model.checkpoint import Checkpoint
from reference_model.families import Clock
from reference_model.preprocess import Grid, Preprocessing
from reference_model.prompt import Segment
from reference_model.settings import SETTINGS_FILE, Positions, Settings, read_json
from reference_model.states import last_states
from reference_model.tokenizer_file import check_tokenizer
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
    "prepare",
    "read_json",
    "read_preprocessing",
    "visual_features",
]


# config.json names these; a tokenizer of another model may give them other numbers
TOKENS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
# What transformers raises for a config.json or weights that it cannot use: of most values it has no check of its own.
UNLOADABLE = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    KeyError,
    AttributeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)


class Backbone:
    """A loaded model with the tokenizer, preprocessing and settings of its checkpoint."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        preprocessing: Preprocessing,
        settings: Settings,
        clock: Clock = Clock(),  # noqa: B008 frozen
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.preprocessing = preprocessing
        self.settings = settings
        self.clock = clock

    @classmethod
    def load(
        cls,
        checkpoint: Path | Checkpoint,
        device: str = "cpu",
        dtype: str = "float32",
        adapter: Path | None = None,
    ) -> Backbone:
        """Weights, tokenizer and settings of a checkpoint, or of a folder as transformers saves it, with an adapter
        merged into them if one is given. Raises `ModelError` if anything is unfit."""
        found = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint, checkpoint.resolve().name)
        settings, preprocessing, clock = found.settings, found.preprocessing, found.clock
        check_tokenizer(found.folder)
        tokenizer = load_tokenizer(found.folder)
        check_ids(tokenizer, found)
        if adapter is not None:
            check_adapter(adapter, found.name)
        model = _load_model(found, dtype)
        rows, words = model.get_input_embeddings().weight.shape[0], tokenizer.get_vocab_size()
        if words > rows:
            raise ModelError(
                f"{found.folder}: the tokenizer has {words:,} tokens and the model {rows:,}; restore its own tokenizer.json"
            )
        if adapter is not None:
            model = merge_adapter(model, adapter)
        model.eval().requires_grad_(False)
        return cls(model.to(device), tokenizer, preprocessing, settings, clock)

    @property
    def device(self) -> torch.device:
        return cast("torch.device", self.model.device)

    def prepare(self, segments: tuple[Segment, ...], grids: Sequence[Grid]) -> Prepared:
        """`prepare` with this checkpoint's tokenizer, settings and clock."""
        return prepare(segments, grids, self.tokenizer, self.preprocessing.merge, self.settings, self.clock)

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
    """Preprocessing of a checkpoint folder under its settings."""
    return Checkpoint(folder, folder.resolve().name).preprocessing


def check_ids(tokenizer: Tokenizer, checkpoint: Checkpoint) -> None:
    """The tokens that stand for media must be those of config.json. Raises ModelError for the tokenizer of another model."""
    for key, token in TOKENS.items():
        said, own = checkpoint.config.get(key), tokenizer.token_to_id(token)
        if said is not None and said != own:
            raise ModelError(
                f"{checkpoint.folder}: {key} in config.json is {said!r}, and {token} in tokenizer.json is {own}; these "
                "files are not of one model: restore both"
            )


def _load_model(checkpoint: Checkpoint, dtype: str) -> Any:
    import torch
    import transformers

    folder, family = checkpoint.folder, checkpoint.family
    kind = getattr(transformers, family.model)
    try:
        with _no_progress_bar():
            model, report = kind.from_pretrained(
                folder,
                config=_configuration(checkpoint, kind),
                dtype=getattr(torch, dtype),
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except UNLOADABLE as error:
        said = " ".join(str(error).split())
        raise ModelError(
            f"{folder}: not a checkpoint that {family.title} can load ({type(error).__name__}: {said})"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(f"{folder}: weights are missing, first {missing[0]}; the checkpoint is incomplete")
    strange = sorted(report["unexpected_keys"])
    if strange:
        raise ModelError(f"{folder}: {len(strange)} weights have no place in {family.title}, first {strange[0]}")
    return model


def _configuration(checkpoint: Checkpoint, kind: Any) -> Any:
    """The configuration under the family's own class, whatever name the checkpoint gives its type and class."""
    raw = {key: value for key, value in checkpoint.config.items() if key not in ("model_type", "architectures")}
    return kind.config_class.from_dict(raw)
