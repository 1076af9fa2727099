"""Peak rates and memories of devices, with their sources, and the share of the peak that training is assumed to reach."""

from __future__ import annotations

from dataclasses import dataclass

from unite_bench.errors import UsageError

# An assumption, shown with every time that follows from it. PaLM's training reached 0.46 of the peak (arXiv 2204.02311,
# table 3); LoRA on batches of uneven lengths is expected to reach less. Measure your own, and give it.
UTILISATION = 0.35


@dataclass(frozen=True)
class Device:
    """`peak` is dense bf16 FLOP/s with fp32 accumulation, `memory` is bytes."""

    name: str
    peak: float
    memory: float
    source: str


_AMPERE = "NVIDIA A100 Tensor Core GPU datasheet (SXM): BF16 312 TFLOPS without sparsity"
_HOPPER = "NVIDIA {} Tensor Core GPU datasheet (SXM): BF16 1,979 TFLOPS with sparsity, half of it without"

DEVICES = {
    device.name: device
    for device in (
        Device("a100-40gb", 312e12, 40e9, _AMPERE),
        Device("a100-80gb", 312e12, 80e9, _AMPERE),
        Device("h100", 989.5e12, 80e9, _HOPPER.format("H100")),
        Device("h200", 989.5e12, 141e9, _HOPPER.format("H200")),
    )
}


def device_of(name: str) -> Device:
    """A device of the table, or any other as `PEAK,MEMORY` in TFLOP/s (dense bf16) and GB: "165,24".

    Raises UsageError for anything else.
    """
    if name in DEVICES:
        return DEVICES[name]
    try:
        peak, room = (float(part) for part in name.split(","))
    except ValueError as error:
        raise UsageError(
            f"device {name!r} is none of {', '.join(DEVICES)}; give another as PEAK,MEMORY in TFLOP/s and GB, as 165,24"
        ) from error
    if not (peak > 0 and room > 0):
        raise UsageError(f"device {name!r}: peak and memory must be above 0")
    return Device(name, peak * 1e12, room * 1e9, "as given")
