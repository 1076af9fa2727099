"""LoRA on the language model's linear layers, in the format of peft.

Vision tower, projector, norms, word embeddings and output layer stay as they are.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_model.adapters import BASE_FILE, WEIGHTS, check_base
from reference_model.settings import SETTINGS_FILE, Settings
from reference_model.train.lora_targets import target_modules
from reference_model.train.recipe import Lora
from unite_bench.errors import ModelError

if TYPE_CHECKING:
    import torch


def add_adapters(model: Any, lora: Lora, seed: int) -> Any:
    """A `PeftModel` around a Qwen-VL model, everything frozen but the new adapters, which change nothing at first."""
    import torch
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=target_modules(), bias="none"
    )
    if lora.effective_weights:
        from torch import nn

        from reference_model.train.effective import EffectiveLinear

        config._register_custom_module({nn.Linear: EffectiveLinear})
    torch.manual_seed(seed)
    with warnings.catch_warnings():  # peft still asks transformers by a name that it is about to lose
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
        return get_peft_model(model, config)


def adapter_weights(adapted: Any, state: dict[str, Any] | None = None) -> dict[str, torch.Tensor]:
    """Weights of the adapters under peft's names; `state` is that of a module that holds the model as `adapted`."""
    from peft import get_peft_model_state_dict

    own = None if state is None else {name.removeprefix("adapted."): value for name, value in state.items()}
    return {
        name: value.detach().cpu().contiguous()
        for name, value in get_peft_model_state_dict(adapted, state_dict=own).items()
    }


def save_adapters(adapted: Any, folder: Path, base: str, settings: Settings | None = None) -> None:
    """As peft writes them, with the digest of their base and the rules that they were trained under."""
    adapted.save_pretrained(folder)
    (folder / BASE_FILE).write_text(json.dumps({"digest": base}) + "\n", encoding="utf-8")
    if settings is not None:
        (folder / SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")


def load_adapters(adapted: Any, folder: Path, base: str | None = None) -> None:
    """Weights of the folder into the model's adapters. Raises ModelError if they are not those of this base and shape."""
    from peft import set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        held = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder / WEIGHTS}: cannot read it ({error}); restore the adapter") from error
    if base is not None:
        check_base(folder, base)
    wanted = {name: tuple(weight.shape) for name, weight in adapter_weights(adapted).items()}
    given = {name: tuple(weight.shape) for name, weight in held.items()}
    if wanted != given:
        name = sorted(set(wanted.items()) ^ set(given.items()))[0][0]
        raise ModelError(
            f"{folder}: an adapter for another base or of another rank: {name} is {given.get(name, 'not there')}, "
            f"and the model has {wanted.get(name, 'no such layer')}"
        )
    set_peft_model_state_dict(adapted, held)


def trained(model: Any) -> list[tuple[str, torch.nn.Parameter]]:
    """What is trained, by name."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
