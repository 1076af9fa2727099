"""What curation and training cost, told before anything is loaded: tokens, FLOPs, memory, time. Needs no torch.

    measure(rows, reading) -> Statistics                       one streamed pass over a manifest's rows
    estimate(statistics, shape, setting, device) -> Estimate   steps, tokens, FLOPs, memory, time, GPU-hours of one stage
    lines(estimate) -> list[str]                               the same in words, with its assumptions

A curated manifest, stage by stage, for the published recipe:

    shape = ModelShape.of("Qwen/Qwen2-VL-2B-Instruct")         # or a checkpoint folder
    statistics = measure(read_manifest(path).rows("adaptation"), Reading(by_characters))
    found = estimate(statistics, shape, Setting(), device_of("a100-80gb"))
    print(found.items, found.text_tokens + found.visual_tokens, found.gpu_hours)

    shapes.py       sizes of a model from its config.json; parameters
    media_size.py   the size of a picture or clip from its header
    statistics.py   tokens of items, patch grids of media
    flops.py        matrix products of forward and backward passes
    memory.py       bytes on one device
    devices.py      peak rates with their sources; the assumed utilisation
    estimate.py     all of it together
"""

from reference_model.cost.devices import DEVICES, UTILISATION, Device, device_of
from reference_model.cost.estimate import Estimate, Setting, estimate, lines
from reference_model.cost.shapes import NAMED, ModelShape
from reference_model.cost.statistics import Reading, Statistics, by_characters, by_tokenizer, measure

__all__ = [
    "DEVICES",
    "NAMED",
    "UTILISATION",
    "Device",
    "Estimate",
    "ModelShape",
    "Reading",
    "Setting",
    "Statistics",
    "by_characters",
    "by_tokenizer",
    "device_of",
    "estimate",
    "lines",
    "measure",
]
