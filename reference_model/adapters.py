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

from reference_model.settings import SETTINGS_FILE, read_json
from unite_bench.errors import ModelError
from unite_bench.items import File, content_digest

if TYPE_CHECKING:
    import torch

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BASE_FILE = "base.json"  # beside them: the digest of the weights that they were trained on
SAMPLED = 1024  # numbers of every weight that go into the digest of a base
PREFIX = "base_model.model."
KEY = re.compile(r"(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")
OLD = ((re.compile(r"^model\.layers\."), "model.language_model.layers."), (re.compile(r"^visual\."), "model.visual."))


def adapter_files(folder: Path) -> Sequence[Path]:
    """The files of an adapter that can change a vector; ModelError where one is missing."""
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder / name}: no such file; an adapter is a folder as peft saves it (fetch one of the hub by "
                "`hf download OWNER/NAME --local-dir FOLDER`)"
            )
    return [folder / CONFIG, folder / WEIGHTS, *(path for path in [folder / SETTINGS_FILE] if path.is_file())]


def weights_digest(folder: Path) -> str:
    """Digest of the adapter's weights, for the card."""
    return File(folder / WEIGHTS).digest


def base_digest(model: Any) -> str:
    """Of the names, shapes and first numbers of every weight of a model without adapters; tells bases apart at once. The
    numbers are rounded to bf16, so that it is the same in whichever precision the model was loaded."""
    import torch

    fields: list[str | bytes] = []
    for name, weight in sorted(model.state_dict().items()):
        first = weight.detach().flatten()[:SAMPLED].to(torch.bfloat16).float().cpu()
        fields += [name, repr(tuple(weight.shape)), first.numpy().tobytes()]
    return content_digest("base", *fields)


def check_base(folder: Path, base: str) -> None:
    """An adapter that says what it was trained on must have been trained on this. Raises ModelError."""
    path = folder / BASE_FILE
    if path.exists() and (trained_on := str(read_json(path).get("digest"))) != base:
        raise ModelError(
            f"{folder}: this adapter was trained on another base (digest {trained_on[:12]}, not {base[:12]}); give the "
            "checkpoint that it was trained from"
        )


def adapter_settings(folder: Path) -> dict[str, Any]:
    """The rules that the adapter was trained under, where it says so; what it was trained on is not among them."""
    path = folder / SETTINGS_FILE
    return {key: value for key, value in read_json(path).items() if key != "training_sets"} if path.exists() else {}


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
    check_base(folder, base_digest(model))
    layers = _layers(state, model, folder)
    try:
        config = LoraConfig.from_pretrained(folder)
    except (TypeError, ValueError, KeyError) as error:
        raise ModelError(f"{folder / CONFIG}: not a configuration of LoRA ({error}); restore it") from error
    for ranks in (config.rank_pattern, config.alpha_pattern):
        renamed = {_today(key): value for key, value in ranks.items()}
        ranks.clear()
        ranks.update(renamed)
    config.target_modules = set(layers)  # by their whole names, whatever pattern they were once chosen by
    config.base_model_name_or_path = None  # checked already; peft would warn of every folder that was moved
    config.layers_to_transform = config.layers_pattern = config.exclude_modules = None
    try:
        with warnings.catch_warnings():  # peft asks transformers by a name that it is about to lose
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            adapted = get_peft_model(model, config)
            left = set_peft_model_state_dict(adapted, {PREFIX + key: value for key, value in state.items()})
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}: peft cannot put it on this base ({error})") from error
    lost = [*left.unexpected_keys, *(key for key in left.missing_keys if "lora_" in key)]
    if lost:
        raise ModelError(f"{folder}: {len(lost)} weights find no place in this base, first {lost[0]}")
    merged = adapted.merge_and_unload(safe_merge=True)
    return merged.eval().requires_grad_(False)


def _today(key: str) -> str:
    """The name of a weight or a layer in the layout of transformers 5, without peft's prefix."""
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
