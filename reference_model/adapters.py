"""LoRA adapters in peft's format, merged into a base when it is loaded.

An adapter fits one base. peft itself only warns of weights that fit nowhere, and a model would then be measured without
them; here every weight of the adapter must find its layer, in its shape, before anything is embedded. Adapters that were
saved under transformers 4 name the layers in the old way and are taken as well.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_model.settings import read_json
from unite_bench.errors import ModelError
from unite_bench.items import File

if TYPE_CHECKING:
    import torch

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."
KEY = re.compile(r"(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")
OLD = ((re.compile(r"^model\.layers\."), "model.language_model.layers."), (re.compile(r"^visual\."), "model.visual."))


def adapter_files(folder: Path) -> Sequence[Path]:
    """The files of an adapter that can change a vector; ModelError where one is missing."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(f"{folder / name}: no such file; an adapter is a folder as peft saves it")
    return [folder / CONFIG, folder / WEIGHTS]


def weights_digest(folder: Path) -> str:
    """Digest of the adapter's weights, for the card."""
    return File(folder / WEIGHTS).digest


def check_adapter(folder: Path, base: str) -> None:
    """What can be known of an adapter without weights: that it is LoRA, complete, and not of another hub model than
    `base`. Raises ModelError. Folder names say nothing about what is in them, so only two hub names are compared."""
    adapter_files(folder)
    config = read_json(folder / CONFIG)
    if config.get("peft_type") != "LORA":
        raise ModelError(f"{folder / CONFIG}: peft_type is {config.get('peft_type')!r}; only LORA can be given here")
    if config.get("modules_to_save"):
        raise ModelError(
            f"{folder / CONFIG}: it replaces whole layers ({', '.join(config['modules_to_save'])}) beside LoRA; "
            "merge it into its base with peft and give the merged folder as the checkpoint"
        )
    of = str(config.get("base_model_name_or_path") or "")
    if _on_hub(of) and _on_hub(base) and of.lower() != base.lower():
        raise ModelError(f"{folder}: an adapter of {of}, not of {base}; give the checkpoint reference:{of}")


def _on_hub(name: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and not Path(name).exists()


def merge_adapter(model: Any, folder: Path) -> Any:
    """The model with the adapter's change added to its weights, in their dtype. Raises ModelError if the adapter was
    made for another base, or if peft is missing."""
    try:
        from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    except ImportError as error:
        raise ModelError('an adapter needs peft: pip install "unite-bench[train]"') from error
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = {_today(key): value for key, value in load_file(folder / WEIGHTS).items()}
    except SafetensorError as error:
        raise ModelError(f"{folder / WEIGHTS}: not readable ({error}); restore it") from error
    layers = _layers(state, model, folder)
    config = LoraConfig.from_pretrained(folder)
    config.target_modules = set(layers)  # by their whole names, whatever pattern they were once chosen by
    config.base_model_name_or_path = None  # checked already; peft would warn of every folder that was moved
    config.layers_to_transform = config.layers_pattern = config.exclude_modules = None
    try:
        with warnings.catch_warnings():  # peft asks transformers by a name that it is about to lose
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            adapted = get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(f"{folder}: peft cannot put it on this base ({error})") from error
    left = set_peft_model_state_dict(adapted, {PREFIX + key: value for key, value in state.items()})
    lost = [*left.unexpected_keys, *(key for key in left.missing_keys if "lora_" in key)]
    if lost:
        raise ModelError(f"{folder}: {len(lost)} weights find no place in this base, first {lost[0]}")
    merged = adapted.merge_and_unload(safe_merge=True)
    return merged.eval().requires_grad_(False)


def _today(key: str) -> str:
    """A weight's name in the layout of transformers 5, without peft's prefix."""
    name = key.removeprefix(PREFIX)
    for old, new in OLD:
        name = old.sub(new, name)
    return name


def _layers(state: Mapping[str, torch.Tensor], model: Any, folder: Path) -> list[str]:
    """The names of the adapted layers, once every one of them is known to be in the model in that shape."""
    modules = dict(model.named_modules())
    found: set[str] = set()
    wrong: list[str] = []
    for key, value in sorted(state.items()):
        match = KEY.fullmatch(key)
        if match is None:
            wrong.append(f"{key} is no LoRA weight")
            continue
        layer, side = match["layer"], match["side"]
        weight = getattr(modules.get(layer), "weight", None)
        if weight is None or weight.ndim != 2:
            wrong.append(f"there is no linear layer {layer}")
            continue
        ours, theirs = (weight.shape[1], value.shape[1]) if side == "A" else (weight.shape[0], value.shape[0])
        if ours != theirs:
            wrong.append(
                f"{layer} has {ours} {'inputs' if side == 'A' else 'outputs'} here and {theirs} in the adapter"
            )
        found.add(layer)
    if not state:
        wrong.append("it holds no weights")
    if wrong:
        raise ModelError(
            f"{folder}: an adapter of another base: {wrong[0]}"
            + (f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else "")
            + "; give the base that it was trained on"
        )
    return sorted(found)
