"""From statistics, a model's sizes and a setting to steps, tokens, FLOPs, memory, time and GPU-hours of one stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reference_model.cost import memory
from reference_model.cost.devices import UTILISATION, Device
from reference_model.cost.flops import Adapters, language_backward, language_forward, vision_forward
from reference_model.cost.memory import Memory, Precision, Sharding
from reference_model.cost.shapes import ModelShape
from reference_model.cost.statistics import Statistics


@dataclass(frozen=True)
class Setting:
    """How a stage is trained; the defaults are the published recipe of the 2B model on 8 GPUs.

    `per_device` rows a device and batch, `accumulate` batches a step; with `steps`, `epochs` is not asked. With `chunk`
    (the gradient cache) activations are those of so many items, and the language model goes over everything once more.
    `cached` features of a medium are computed once, others each time it is shown. `effective`: see `Adapters`.
    """

    epochs: float | None = 1.0
    steps: int | None = None
    per_device: int = 64
    accumulate: int = 1
    devices: int = 8
    chunk: int | None = None
    rank: int = 8
    dropout: bool = True
    effective: bool = False
    precision: Precision = "bfloat16"
    weight_bytes: int = 2
    checkpointing: bool = True
    cached: bool = True
    sharding: Sharding = "zero1"
    directions: int = 1
    blocks: bool = False
    gather: bool = True

    @property
    def batch(self) -> int:
        """Pairs a step, over all devices."""
        return self.per_device * self.accumulate * self.devices


@dataclass(frozen=True)
class Estimate:
    """Of one stage. `pairs`, `items` and tokens are those of the whole stage, all epochs. `seconds` and `gpu_hours` are None
    without a device; `utilisation` is the assumed share of its peak rate; `disk` is bytes of features that are kept."""

    steps: int
    batch: int
    pairs: float
    items: float
    text_tokens: float
    visual_tokens: float
    media: float
    features: float
    disk: float
    feature_flops: float
    language_flops: float
    memory: Memory
    devices: int
    device: Device | None
    utilisation: float
    seconds: float | None
    gpu_hours: float | None
    unreadable: int = 0
    too_long: float = 0.0

    @property
    def flops(self) -> float:
        return self.feature_flops + self.language_flops


def estimate(
    statistics: Statistics,
    shape: ModelShape,
    setting: Setting = Setting(),
    device: Device | None = None,
    utilisation: float = UTILISATION,
    batches: Sequence[int] | None = None,
) -> Estimate:
    """What a stage over pairs of these statistics takes. `batches` are the rows of each batch where they are planned
    already, else the rest of an epoch counts as a batch of its own.

    Time is FLOPs over `utilisation` of the devices' peak rate: decoding, communication, evaluation and the saving of
    states are not in it, and neither is padding.
    """
    epochs, steps = setting.epochs, setting.steps
    if batches is not None:
        epochs, steps = sum(batches) / statistics.pairs, math.ceil(len(batches) / setting.accumulate)
    elif epochs is None or steps is not None:
        epochs = (steps or 0) * setting.batch / statistics.pairs if statistics.pairs else 0.0
    if steps is None:
        whole = math.ceil(statistics.pairs / (setting.per_device * setting.devices))
        steps = math.ceil(epochs * whole / setting.accumulate)
    adapters = Adapters(setting.rank, setting.effective)
    forward = language_forward(shape.language, statistics.lengths, adapters)
    passes = 1 + (setting.chunk is not None) + setting.checkpointing
    language = epochs * (passes * forward + language_backward(shape.language, statistics.lengths, adapters))
    shown = statistics.distinct if setting.cached else statistics.used
    times = 1.0 if setting.cached else epochs
    vision = times * sum(count * vision_forward(shape.vision, grid) for grid, count in shown.items())
    seconds = (language + vision) / (device.peak * utilisation * setting.devices) if device else None
    features = times * sum(count * grid.tokens(shape.vision.merge) for grid, count in shown.items())
    return Estimate(
        steps=steps,
        batch=setting.batch,
        pairs=epochs * statistics.pairs,
        items=epochs * statistics.items,
        text_tokens=epochs * statistics.text_tokens,
        visual_tokens=epochs * statistics.visual_tokens,
        media=sum(statistics.distinct.values()),
        features=features,
        disk=2 * features * shape.language.width * (1 + shape.vision.deepstack) if setting.cached else 0.0,
        feature_flops=vision,
        language_flops=language,
        memory=device_memory(statistics, shape, setting),
        devices=setting.devices,
        device=device,
        utilisation=utilisation,
        seconds=seconds,
        gpu_hours=seconds * setting.devices / 3600 if seconds is not None else None,
        unreadable=statistics.unreadable,
        too_long=statistics.too_long,
    )


def device_memory(statistics: Statistics, shape: ModelShape, setting: Setting) -> Memory:
    """Bytes on one device, for a large batch (`memory.largest`)."""
    rows = setting.per_device
    items = round(rows * statistics.items / statistics.pairs) if statistics.pairs else 0
    tokens = memory.largest(statistics.lengths, items)
    if setting.chunk is not None:  # items are chunked by length, so that the longest stand together
        tokens = min(tokens, float(setting.chunk * max(statistics.lengths, default=0)))
    weights, adapters, gradients, optimizer = memory.standing(
        shape, setting.rank, setting.weight_bytes, setting.sharding, setting.devices
    )
    everyone = rows * (setting.devices if setting.gather else 1)
    return Memory(
        weights=weights,
        adapters=adapters,
        gradients=gradients,
        optimizer=optimizer,
        activations=memory.activations(
            shape.language, tokens, setting.precision, setting.dropout, setting.checkpointing
        ),
        similarities=memory.similarities(rows, everyone, shape.language.width, setting.directions, setting.blocks),
    )


def lines(found: Estimate) -> list[str]:
    """The estimate in words, with every assumption that it rests on."""
    held = found.memory
    said = [
        f"steps          {found.steps:,} of {found.batch:,} pairs on {found.devices} devices",
        f"pairs          {found.pairs:,.0f} ({found.items:,.0f} items)",
        f"tokens         {found.text_tokens:,.0f} of text, {found.visual_tokens:,.0f} visual",
        f"features       {found.features:,.0f} visual tokens of {found.media:,.0f} different media",
        f"disk           {_gib(found.disk)} of features{'' if found.disk else ' (cache_features is off)'}",
        f"FLOPs          {found.language_flops:.3g} language model, {found.feature_flops:.3g} vision tower (forward)",
        f"memory         {_gib(held.total)} a device: weights {_gib(held.weights)}, adapters with gradients and "
        f"optimizer {_gib(held.adapters + held.gradients + held.optimizer)}, activations {_gib(held.activations)}, "
        f"loss {_gib(held.similarities)}, reserve {_gib(held.reserve)} (assumed)",
    ]
    if found.too_long:
        said.append(f"too long       {found.too_long:,.0f} items have more visual and template tokens than max_length")
    if found.unreadable:
        said.append(f"unreadable     {found.unreadable:,} rows have a medium that cannot be opened")
    if found.device is None or found.seconds is None or found.gpu_hours is None:
        return [
            *said,
            "time           unknown: name a device by --device (a100-80gb, ..., or PEAK,MEMORY in TFLOP/s and GB)",
        ]
    said.append(
        f"time           {found.seconds / 3600:,.1f} h, {found.gpu_hours:,.1f} GPU-hours, if {found.device.name} reaches "
        f"{found.utilisation:.0%} (assumed) of {found.device.peak / 1e12:,.3g} TFLOP/s ({found.device.source})"
    )
    if held.total > found.device.memory:
        said.append(
            f"does not fit   {_gib(found.device.memory)} on {found.device.name}: lower chunk or per_device, or shard"
        )
    return said


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"
