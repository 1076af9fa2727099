"""What a stage of a recipe would take: steps, tokens, features, memory, time. No weights are loaded.

    python -m reference_model train RECIPE.yaml --stage adaptation --plan --device a100-80gb --devices 8

Rows of manifests are counted in full and measured in a sample; drawn pairs are drawn from a small world, which is rendered
into a folder that is thrown away, unless the run's own is there. The sizes are those of the base: a merged model of an
earlier stage has the same.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from reference_model.checkpoint import Checkpoint
from reference_model.cost import (
    Device,
    Estimate,
    ModelShape,
    Reading,
    Setting,
    Statistics,
    by_characters,
    by_tokenizer,
    estimate,
    lines,
    measure,
)
from reference_model.cost.devices import UTILISATION
from reference_model.cost.memory import Sharding
from reference_model.curation.manifest import Manifest
from reference_model.curation.rows import Row
from reference_model.families import FAMILIES
from reference_model.preprocess import Grid, Preprocessing
from reference_model.tokenizer_file import check_tokenizer
from reference_model.tokens import load_tokenizer
from reference_model.train.bank import Bank
from reference_model.train.opening import budgeted, open_rows
from reference_model.train.pairs import draw_batch, pick_kinds
from reference_model.train.recipe import Draws, Recipe, Stage, StageName
from reference_model.train.recipe_reader import Plan
from unite_bench.errors import DataError

MEASURED = 10_000  # rows that are looked at closely; the others are counted
SCENES = 60  # of each sort, where a world has to be rendered for the plan
LENGTH = 32_768  # of a prompt, of all Qwen-VL checkpoints of the hub, where the base is not on this machine
BATCHES, PAIRS = 40, 16  # that are drawn from it


@dataclass(frozen=True)
class Machine:
    """Where the stage would run: so many devices of a kind, sharing what `sharding` says."""

    devices: int = 1
    device: Device | None = None
    sharding: Sharding = "ddp"
    utilisation: float = UTILISATION


def plan_stage(plan: Plan, name: StageName, machine: Machine = Machine()) -> list[str]:
    """Lines to print. Raises what training would raise for a base or data that cannot be read, DataError for no rows."""
    found, statistics, counted = stage_estimate(plan, name, machine)
    stage = plan.stage(name)
    data = "drawn pairs" if stage.data.draws else f"{statistics.rows:,} rows, {statistics.measured:,} of them measured"
    return [
        f"stage          {name} of {plan.recipe.name}: {plan.base}, {data}",
        f"text tokens    {counted}",
        *lines(found),
    ]


def stage_estimate(plan: Plan, name: StageName, machine: Machine) -> tuple[Estimate, Statistics, str]:
    """The estimate, the statistics that it rests on, and how text was counted."""
    stage, shape = plan.stage(name), ModelShape.of(plan.base)
    reading, counted = reading_of(plan, shape)
    batches = None
    if stage.data.draws is None:
        rows = open_rows(plan, name, machine.devices)
        batches = [len(batch) for batch in rows.order.batches]
        statistics = manifest_statistics(rows.manifests, None if stage.data.rows == "all" else name, reading)
    else:
        statistics = drawn_statistics(plan, stage, stage.data.draws, reading)
    if not statistics.measured:
        raise DataError(f"no row of stage {name!r} has media that can be opened; mend them, or curate again")
    setting = setting_of(plan.recipe, stage, machine)
    return estimate(statistics, shape, setting, machine.device, machine.utilisation, batches), statistics, counted


def reading_of(plan: Plan, shape: ModelShape) -> tuple[Reading, str]:
    """How the recipe's items are read, and how their text is counted: by the base's tokenizer where it is on disk."""
    recipe, folder = plan.recipe, Path(plan.base)
    family = FAMILIES[shape.family]
    if (folder / "config.json").is_file():
        checkpoint = Checkpoint(folder, folder.name)
        preprocessing, own_length = checkpoint.preprocessing, checkpoint.settings.max_length
        check_tokenizer(folder)
        tokens, counted = by_tokenizer(load_tokenizer(folder)), "counted by the base's tokenizer"
    else:
        vision, own_length = shape.vision, LENGTH
        preprocessing = replace(
            family.preprocessing, patch=vision.patch, merge=vision.merge, temporal_patch=vision.temporal_patch
        )
        tokens, counted = by_characters, "estimated from characters (the base is not on this machine)"
    reading = Reading(
        tokens,
        budgeted(preprocessing, recipe.visual),
        family.in_words,
        recipe.frames.fps,
        recipe.frames.least,
        recipe.frames.most,
        recipe.max_length or own_length,
    )
    return reading, counted


def setting_of(recipe: Recipe, stage: Stage, machine: Machine) -> Setting:
    """The recipe in the words of the estimate."""
    whole = recipe.dtype == "float32"
    return Setting(
        epochs=stage.epochs,
        steps=stage.steps,
        per_device=stage.batches.per_device,
        accumulate=stage.batches.accumulate,
        devices=machine.devices,
        chunk=stage.batches.chunk,
        rank=stage.lora.r,
        dropout=stage.lora.dropout > 0,
        effective=stage.lora.effective_weights,
        precision=("float32" if recipe.autocast is False else "autocast") if whole else "bfloat16",
        weight_bytes=4 if whole else 2,
        checkpointing=recipe.gradient_checkpointing,
        cached=recipe.cache_features or stage.data.draws is not None,
        sharding=machine.sharding,
        directions=1 if stage.loss.directions in ("forward", "backward") else 2,
        blocks=stage.loss.form == "blocks",
        gather=stage.loss.gather,
    )


def manifest_statistics(manifests: Sequence[Manifest], stage: StageName | None, reading: Reading) -> Statistics:
    """Of the stage's rows in all its manifests; of all rows, if None."""
    rows = sum(len(manifest) if stage is None else len(manifest.numbers(stage)) for manifest in manifests)
    every = max(1, -(-rows // MEASURED))
    return measure(chain.from_iterable(manifest.rows(stage) for manifest in manifests), replace(reading, every=every))


def drawn_statistics(plan: Plan, stage: Stage, draws: Draws, reading: Reading) -> Statistics:
    """Of pairs that are drawn: some are drawn here. All media of their banks are computed, whichever are drawn."""
    from reference_model.nano.drawn import SETS
    from reference_model.nano.real import load_real
    from reference_model.nano.world import Sizes, build_world
    from reference_model.train.material import weighted

    whole = Sizes(**draws.sizes.model_dump())
    with tempfile.TemporaryDirectory() as thrown:
        rendered = (plan.work / f"clips-{draws.seed}" / "index.npy").exists()
        sizes = whole if rendered else Sizes(*(min(size, SCENES) for size in vars(whole).values()))
        folder = plan.work if rendered else Path(thrown)
        world = build_world(draws.seed, sizes, folder, reading.preprocessing)
        real = load_real(plan.data / draws.real, folder, reading.preprocessing) if draws.real else None
        kinds = [kind for name, factor in draws.sets.items() for kind in weighted(SETS[name](world, real), factor)]
        rng = np.random.default_rng(plan.recipe.seed)
        pairs = (
            pair
            for _ in range(BATCHES)
            for pair in draw_batch(pick_kinds(kinds, draws.kinds_per_batch, rng), PAIRS, rng)
        )
        rows = (Row(f"drawn:{n}", "drawn", p.query, p.target, p.negatives) for n, p in enumerate(pairs))
        found = measure(rows, reading)
        scale = sum(vars(whole).values()) / sum(vars(sizes).values())
        distinct: Counter[Grid] = Counter()
        for bank in (world.images, world.clips):
            distinct.update({grid: round(count * scale) for grid, count in Counter(_grids(bank, reading)).items()})
        for bank in real.banks.values() if real else ():
            distinct.update(_grids(bank, reading))
    return replace(found, distinct={grid: float(count) for grid, count in distinct.items()})


def _grids(bank: Bank, reading: Reading) -> Iterator[Grid]:
    """Patch grids of a bank's media, which are fitted already."""
    preprocessing: Preprocessing = reading.preprocessing
    for _, frames, height, width in bank.index.tolist():
        groups = -(-frames // preprocessing.temporal_patch)
        yield Grid(groups, height // preprocessing.patch, width // preprocessing.patch)
