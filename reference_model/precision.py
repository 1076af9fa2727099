"""Which precision a device computes fast in."""

from __future__ import annotations

import torch

UNITS = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")


def fast_bf16(device: torch.device | str) -> bool:
    """Whether products in bf16 are faster there than in fp32: on a CPU only where it has units for them, as torch tells; one
    that has none takes about ten times as long. A torch that does not tell counts as one without."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.device(device).type != "cpu":
        return False
    told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(bool(told.get(unit)) for unit in UNITS)
