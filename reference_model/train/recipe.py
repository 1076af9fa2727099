"""The schema of a training recipe: what a YAML file may say of UNITE's two stages.

The hyperparameters of arXiv 2505.19650 are the defaults, as far as both of its sizes share them. Reading a recipe needs
neither torch nor transformers; `recipe_reader.py` reads one and reports every error in it together.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unite_bench.spec.source_kinds import Strict

StageName = Literal["adaptation", "instruction"]
PairSet = Literal[
    "scenes-adaptation", "scenes-adaptation-hard", "scenes-instruction", "real-adaptation", "real-instruction"
]
Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(gt=0, strict=False)]
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
Budget = Annotated[tuple[Positive, Positive], Field(strict=False)]


class Sizes(Strict):
    """How many scenes of each sort are rendered; the defaults are nano's."""

    stills: int = Field(default=30_000, ge=0)
    movings: int = Field(default=10_000, ge=0)
    still_edits: int = Field(default=12_000, ge=0)
    clip_edits: int = Field(default=4_000, ge=0)
    fused: int = Field(default=6_000, ge=0)


class Draws(Strict):
    """Pairs that are drawn, not listed: from rendered scenes and the real train splits. There are always more of them."""

    sets: dict[PairSet, Rate] = Field(min_length=1, description="sets of kinds of pairs, and a factor on their weights")
    kinds_per_batch: Positive = 2
    seed: int = Field(default=1_000_001, description="of the rendered scenes")
    sizes: Sizes = Sizes()
    real: str | None = Field(default=None, description="folder of the real train splits, named from `data`")

    @model_validator(mode="after")
    def _real_pairs_need_their_folder(self) -> Draws:
        if self.real is None and any(name.startswith("real-") for name in self.sets):
            raise ValueError("sets of real pairs need `real`, the folder of the train splits")
        return self


class Data(Strict):
    """What a stage learns from: curated manifests, or drawn pairs."""

    manifests: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = Field(
        default=None, description="Parquet files that `curate` wrote, named from the recipe's `data` folder"
    )
    rows: Literal["stage", "all"] = Field(default="stage", description="the manifest's rows of this stage, or all")
    draws: Draws | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Data:
        if (self.manifests is None) == (self.draws is None):
            raise ValueError("give either `manifests` or `draws`")
        return self


class Lora(Strict):
    """Low-rank adapters on every linear layer of the language model."""

    r: Positive = 8
    alpha: Rate = 16.0
    dropout: Share = 0.05
    effective_weights: bool = Field(
        default=False,
        description="form W + BA once a forward pass instead of a second path: faster where the rank is not small "
        "against the width, as in nano; needs dropout 0",
    )

    @model_validator(mode="after")
    def _one_path_has_no_dropout(self) -> Lora:
        if self.effective_weights and self.dropout:
            raise ValueError("effective_weights has no path for dropout to fall on; set dropout: 0")
        return self


class Loss(Strict):
    """MAMCL (train/mamcl.py). `mask: false` is InfoNCE over all modalities."""

    temperature: Rate = 0.03
    learned_temperature: bool = False
    mask: bool = True
    directions: Literal["forward", "backward", "both", "rows"] = Field(
        default="forward", description="from query to target, back, or both; rows: both where all rows or kinds say so"
    )
    form: Literal["dense", "blocks"] = "dense"
    repeats: Literal["left-out", "positive"] = "left-out"
    other_weight: Share = 0.0
    other_temperature: Rate | None = None
    hardness: float = Field(default=0.0, ge=0, strict=False)
    false_above: float | None = Field(default=None, ge=0, strict=False)
    gather: bool = Field(default=True, description="negatives from all processes")

    @model_validator(mode="after")
    def _options_fit(self) -> Loss:
        beyond = self.other_weight or self.hardness or self.false_above is not None
        if self.form == "blocks" and (beyond or self.repeats == "positive"):
            raise ValueError("form: blocks has a hard mask and leaves repeats out; take form: dense for other options")
        if not self.mask and self.other_weight:
            raise ValueError("without the mask every negative has its full weight; leave other_weight out")
        if self.other_temperature is not None and not self.other_weight:
            raise ValueError("other_temperature needs an other_weight above 0, as 1.0")
        return self


class Batches(Strict):
    """Rows a process and step; their order follows from the recipe's seed."""

    per_device: Positive = 64
    accumulate: Positive = Field(default=1, description="batches a step, each with negatives of its own")
    chunk: Positive | None = Field(
        default=None, description="items a forward pass of the gradient cache; none: one pass with all activations"
    )
    mode: Literal["mixed", "homogeneous"] = Field(default="mixed", description="homogeneous: one target modality set")
    tokens: Positive = Field(default=6144, description="of rows of like length that go through the model together")


class Schedule(Strict):
    """The learning rate: linear warm-up, then down to `floor` times its peak."""

    kind: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1, strict=False)] = Field(default=0.03, description="share of the steps")
    floor: Share = 0.0

    @model_validator(mode="after")
    def _only_a_cosine_has_a_floor(self) -> Schedule:
        if self.floor and self.kind != "cosine":
            raise ValueError(f"a {self.kind} schedule has no floor; leave it out, or take kind: cosine")
        return self


class Evaluation(Strict):
    """A suite of the harness, run on the live model every so many steps; or pools of scenes that are no test, or both."""

    steps: Positive
    suite: str | None = "checkpoint"
    scenes: int | None = Field(
        default=None, description="training seed of scenes that nothing trains on: hit@1 of small pools of them"
    )


class Checkpoints(Strict):
    """States that a killed run goes on from; every so many steps, or minutes."""

    steps: Positive | None = None
    minutes: Rate | None = None
    keep: Positive = 2


class Stage(Strict):
    """One stage. `start` is what it trains: the base, or the merged model of the other stage in the same run folder."""

    data: Data
    start: Literal["base", "adaptation", "instruction"] | None = Field(
        default=None, description="absent: the base for adaptation, the merged adaptation for instruction"
    )
    epochs: Rate | None = None
    steps: Positive | None = None
    rate: Rate = Field(description="peak learning rate")
    schedule: Schedule = Schedule()
    weight_decay: float = Field(default=0.0, ge=0, strict=False)
    betas: Annotated[tuple[Share, Share], Field(strict=False)] = (0.9, 0.999)
    clip_norm: Rate = 1.0
    lora: Lora = Lora()
    loss: Loss = Loss()
    batches: Batches = Batches()
    checkpoints: Checkpoints = Checkpoints(minutes=5.0)
    evaluation: Evaluation | None = None
    log_steps: Positive = 10

    @model_validator(mode="after")
    def _how_long(self) -> Stage:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give either `epochs` or `steps`")
        if self.data.draws is not None and self.steps is None:
            raise ValueError("drawn pairs have no epochs; give `steps`")
        if self.data.draws is not None and self.batches.mode == "homogeneous":
            raise ValueError("drawn pairs come in batches of `kinds_per_batch` kinds; leave out `mode: homogeneous`")
        return self


class Stages(Strict):
    adaptation: Stage | None = None
    instruction: Stage | None = None

    @model_validator(mode="after")
    def _starts_exist(self) -> Stages:
        held = {"adaptation": self.adaptation, "instruction": self.instruction}
        if not any(held.values()):
            raise ValueError("give one stage or both")
        for name, stage in held.items():
            if stage is not None and stage.start == name:
                raise ValueError(f"{name} cannot start from itself; take `start: base`")
        first, second = self.adaptation, self.instruction
        if first and second and first.start == "instruction" and second.start in (None, "adaptation"):
            raise ValueError("each stage starts from the other; give one of them `start: base`")
        return self


class Frames(Strict):
    """Frames of a clip that is trained on: `fps` a second, from `least` to `most` of them."""

    fps: Rate = 1.0
    least: Positive = 4
    most: Positive = 12

    @model_validator(mode="after")
    def _ordered(self) -> Frames:
        if self.least > self.most:
            raise ValueError(f"least is {self.least}, above most, {self.most}")
        return self


class Visual(Strict):
    """Visual tokens of an image and of a pair of frames, least and most; the checkpoint's own budget where absent."""

    image: Budget | None = None
    frames: Budget | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Visual:
        for name, budget in (("image", self.image), ("frames", self.frames)):
            if budget is not None and budget[0] > budget[1]:
                raise ValueError(f"{name}: the least, {budget[0]}, is above the most, {budget[1]}")
        return self


class Recipe(Strict):
    """A run: one base, one run folder, two stages. Paths are named from the recipe's folder, or from `data`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    base: str = Field(description="a checkpoint folder, a committed checkpoint or a hub name")
    adapter: str | None = Field(default=None, description="folder of LoRA adapters of the base to go on from")
    out: str = Field(description="the run folder: states, logs, adapters and merged checkpoints")
    work: str | None = Field(default=None, description="folder for what is large and can be made again; else in `out`")
    data: str = Field(default=".", description="folder that manifests and train splits are named from")
    seed: int = 0
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    autocast: bool | None = Field(
        default=None,
        description="products in bf16 where the weights are fp32; absent: where the device is fast at them",
    )
    tf32: bool = True
    positions: Literal["mrope", "mrope-5", "1d"] | None = Field(
        default=None, description="absent: what the checkpoint says"
    )
    max_length: Positive | None = Field(default=None, description="absent: what the checkpoint says")
    frames: Frames = Frames()
    visual: Visual = Visual()
    gradient_checkpointing: bool = True
    cache_features: bool = Field(default=True, description="keep the features of every medium on disk")
    workers: int = Field(default=0, ge=0, description="processes a device that decode media")
    max_bad_rows: int = Field(default=0, ge=0, description="rows that may be left out: a medium fails, or is too long")
    stages: Stages

    @model_validator(mode="after")
    def _effective_weights_are_fp32(self) -> Recipe:
        for name, stage in (("adaptation", self.stages.adaptation), ("instruction", self.stages.instruction)):
            if stage is not None and stage.lora.effective_weights and self.dtype != "float32":
                raise ValueError(
                    f"{name}: effective_weights adds BA to W, and bf16 would round most of it away; set dtype: float32"
                )
        return self
