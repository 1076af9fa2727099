"""Which layers LoRA adapts: every linear layer of the language model, and nothing of the vision tower.

A list of suffixes, as the published code has it, would also hit the vision MLP of Qwen2.5-VL, whose layers bear the
same names. So the targets are one regular expression over whole module names, as peft takes it for `target_modules`.
"""

from __future__ import annotations

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
TARGETS = (*ATTENTION, *MLP)


def target_modules(names: tuple[str, ...] = TARGETS) -> str:
    """The regular expression for `peft.LoraConfig(target_modules=...)`: the layers of these names within the language
    model of Qwen2-VL, Qwen2.5-VL and Qwen3-VL as transformers 5 names them.

    Raises ValueError for a name that is none of `TARGETS`, because a pattern that hits nothing would go unnoticed.
    """
    unknown = sorted(set(names) - set(TARGETS))
    if unknown or not names:
        raise ValueError(f"no linear layers of the language model: {unknown}; there are {', '.join(TARGETS)}")
    return rf"(?:.*\.)?language_model\.layers\.\d+\.(?:self_attn|mlp)\.(?:{'|'.join(names)})"
