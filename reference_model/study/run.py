"""One run: an arm and a seed, from the backbone to its endpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from reference_model.backbone import Settings, prepare
from reference_model.nano.budget import learning_rate
from reference_model.nano.contrastive import contrastive_loss, item_vectors
from reference_model.nano.stages import CLIP_NORM
from reference_model.precision import fast_bf16
from reference_model.prompt import render
from reference_model.study.design import (
    ALPHA,
    ARMS,
    BATCH,
    IMAGE_TEXT,
    RANK,
    RATE,
    TEMPERATURE,
    Arm,
    Mixture,
    Phase,
)
from reference_model.study.endpoints import measure
from reference_model.study.lora import add_lora, merge_lora
from reference_model.study.verdicts import read_runs
from reference_model.study.worlds import SLICES, Laboratory, open_laboratory
from reference_model.train.mamcl import Direction, Options, dense_losses, relations
from reference_model.train.pairs import Pair
from unite_bench.items import Item

if TYPE_CHECKING:
    import torch

SAMPLED = 256  # pairs of a mixture from which its tokens are counted
WARM_UP = 20


def run_arm(arm: Arm, seed: int, laboratory: Laboratory, part: int) -> dict[str, Any]:
    """Train the arm with this seed, and measure it on slice `part`. Seeds are shared by arms: same adapters at the start,
    and, for equal mixtures, the same pairs in the same order."""
    import torch

    started = time.monotonic()
    model, settings = laboratory.model(arm.positions)
    rng = np.random.default_rng([seed, 1])
    masks = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    for phase in arm.phases:
        torch.manual_seed(seed)
        losses += _train(model, phase, laboratory, settings, rng, masks)
    trained = time.monotonic() - started

    def embed(items: Sequence[Item]) -> Any:
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, fast_bf16("cpu")):
            chunks = [items[start : start + 512] for start in range(0, len(items), 512)]
            return torch.cat([_vectors(model, chunk, laboratory, settings) for chunk in chunks]).numpy()

    endpoints = measure(laboratory, part, embed)
    return {
        "arm": arm.label,
        "seed": seed,
        "part": part,
        "steps": len(losses),
        "loss": round(float(np.mean(losses[-20:])), 4) if losses else None,
        "products": "bf16" if fast_bf16("cpu") else "fp32",
        "seconds": [round(trained), round(time.monotonic() - started - trained)],
        **{name: round(value, 5) for name, value in endpoints.items()},
    }


def _vectors(model: Any, items: Sequence[Item], laboratory: Laboratory, settings: Settings) -> torch.Tensor:
    return item_vectors(model, items, laboratory.features, laboratory.tokenizer, laboratory.preprocessing, settings)


def _train(
    model: Any,
    phase: Phase,
    laboratory: Laboratory,
    settings: Settings,
    rng: np.random.Generator,
    masks: torch.Generator,
) -> list[float]:
    """One phase: adapters on, trained with a cosine schedule, merged. The loss of every step."""
    import torch

    trained = add_lora(model, RANK, ALPHA)
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    steps = round(pairs_of(phase, laboratory, settings) / BATCH)
    options = Options(ways="both" if phase.both else "forward", other_weight=phase.other_weight)
    one_way = losses_of(phase, masks)
    found = []
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(RATE, step / steps, step, WARM_UP)
        pairs = draw(phase, laboratory, rng)
        if phase.mask == "none":
            pairs = [replace(pair, unmasked=True) for pair in pairs]
        with torch.autocast("cpu", torch.bfloat16, fast_bf16("cpu")):
            loss = contrastive_loss(
                model,
                pairs,
                laboratory.features,
                laboratory.tokenizer,
                laboratory.preprocessing,
                settings,
                TEMPERATURE,
                options,
                one_way,
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        found.append(loss.item())
    merge_lora(model)
    return found


def draw(phase: Phase, laboratory: Laboratory, rng: np.random.Generator) -> list[Pair]:
    """One batch. A homogeneous one has targets of one modality set, drawn by that set's share of the mixture."""
    names, shares = list(phase.mixture), np.array(list(phase.mixture.values()))
    chosen = rng.choice(len(names), size=BATCH, p=shares / shares.sum())
    if not phase.homogeneous:
        return [laboratory.kinds[names[i]].draw(rng) for i in chosen]
    sets = np.array([target_set(name) for name in names])
    own = np.where(sets == sets[chosen[0]], shares, 0.0)
    return [laboratory.kinds[names[i]].draw(rng) for i in rng.choice(len(names), size=BATCH, p=own / own.sum())]


def target_set(kind: str) -> str:
    """The modality set of a kind's targets."""
    named = {"scene paraphrase": "text", "scene short-long": "text", "scene question": "text"}
    named |= {"scene fused": "image+text", "scene image edit": "image", "scene video edit": "video"}
    end = named.get(kind) or kind.split("-")[-1]
    return "text" if end == "long" else end


def pairs_of(phase: Phase, laboratory: Laboratory, settings: Settings) -> int:
    """How many pairs the phase has: as declared, or as many as make up the tokens of that many image-text pairs."""
    if not phase.equal_tokens:
        return phase.pairs
    ratio = tokens(IMAGE_TEXT, laboratory, settings) / tokens(phase.mixture, laboratory, settings)
    return round(phase.pairs * ratio)


def tokens(mixture: Mixture, laboratory: Laboratory, settings: Settings) -> float:
    """Mean tokens of a pair of the mixture, both sides, over a fixed sample."""
    rng = np.random.default_rng(0)
    names, shares = list(mixture), np.array(list(mixture.values()))
    total = 0
    for i in rng.choice(len(names), size=SAMPLED, p=shares / shares.sum()):
        pair = laboratory.kinds[names[i]].draw(rng)
        for item in (pair.query, pair.target, *pair.negatives):
            grids = laboratory.features.of(item)[1]
            total += len(prepare(render(item), grids, laboratory.tokenizer, laboratory.preprocessing.merge, settings))
    return total / SAMPLED


def losses_of(phase: Phase, generator: torch.Generator) -> Callable[[Direction, Any, Options], torch.Tensor]:
    """The dense loss; for the random mask, with as many negatives a row as MAMCL's mask would leave it, drawn from all."""
    if phase.mask != "random":
        return dense_losses
    import torch

    def random_losses(side: Direction, temperature: Any, options: Options) -> torch.Tensor:
        own, repeated, same = relations(side)
        free = ~(own | repeated)
        counts = (same & free).sum(1, keepdim=True)
        keys = torch.rand(free.shape, generator=generator).masked_fill(~free, 2.0)
        kept = keys.argsort(1).argsort(1) < counts
        with torch.autocast("cpu", enabled=False):
            scores = side.anchors.float() @ side.columns.vectors.float().T / temperature
            masked = scores.masked_fill(~(kept | own), -torch.inf)
            return torch.nn.functional.cross_entropy(masked, side.at, reduction="none")

    return random_losses


def planned(families: Sequence[str]) -> list[tuple[list[Arm], int]]:
    """Every run as the arms that it is a run of, and its seed. Those of the primary comparisons come first, then seed by
    seed, so that what was done when time ran out is balanced."""
    arms = [arm for arm in ARMS if arm.family in families]
    runs: list[tuple[list[Arm], int]] = []
    for arm in arms:
        twins = [other for other in arms if arm.same_training(other)]
        if twins[0] is arm:
            runs += [(twins, seed) for seed in range(max(twin.seeds for twin in twins))]
    return sorted(runs, key=lambda run: (-run[0][0].seeds, run[1]))


def run_all(work: Path, out: Path, families: Sequence[str]) -> None:
    """Every run that `out` does not hold yet, a line for each arm that it is a run of.

    Several processes may do this at once: each takes the next run that none of the others is at.
    """
    runs = planned(families)
    if not any(_missing(out, *run) for run in runs):
        return
    work.mkdir(parents=True, exist_ok=True)
    with FileLock(work / "opening.lock"):
        laboratory = open_laboratory(work)
    for arms, seed in runs:
        name = f"{arms[0].family}-{arms[0].name}-{seed}"
        with suppress(Timeout), FileLock(work / f"{name}.lock", blocking=False):
            if missing := _missing(out, arms, seed):
                row = run_arm(arms[0], seed, laboratory, part=seed % SLICES)
                with out.open("a", encoding="utf-8") as handle:
                    handle.write("".join(json.dumps({**row, "arm": label}) + "\n" for label in missing))


def _missing(out: Path, arms: Sequence[Arm], seed: int) -> list[str]:
    """Arms that have no line yet for this seed."""
    done = read_runs(out) if out.exists() else {}
    return [arm.label for arm in arms if (arm.label, seed) not in done]
