"""A proxy: how good a small model becomes on held-out rows after a short training on a mixture.

The backbone's vision tower is frozen, so features are computed once and serve every run. Runs of one seed start from the
same adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from reference_model.curation.pool import Numbers, Pool
from reference_model.curation.step import Context
from unite_bench.errors import MediaError
from unite_bench.spec.source_kinds import Strict

if TYPE_CHECKING:
    from reference_model.backbone import Backbone
    from reference_model.train.batch import Batch
    from reference_model.train.encoder import Encoder
    from reference_model.train.feature_store import FeatureStore
    from reference_model.train.material import Example
    from reference_model.train.media import MediaSource

Shares = npt.NDArray[np.float64]  # (groups,), adding up to 1
Floats = npt.NDArray[np.float64]
Proxy = Callable[[Shares, int], Floats]  # shares, seed -> a score of every group, (groups,), the higher the better
TOKENS = 6144
WARM_UP = 0.1


class ProxySettings(Strict):
    """`rows` of each group are trained on, at most; each run takes `steps` steps of `batch` rows."""

    backbone: str = "nano-backbone"
    rows: int = Field(default=1000, ge=1)
    steps: int = Field(default=60, ge=1)
    batch: int = Field(default=32, ge=2)
    rate: float = Field(default=1e-3, gt=0)
    rank: int = Field(default=8, ge=1)
    temperature: float = Field(default=0.05, gt=0)


@dataclass(frozen=True)
class TrainedProxy:
    """Runs of a backbone with LoRA and MAMCL from query to target; rows of the groups of `training` are drawn by the shares,
    those of `held` only measured.

    The score of a group is minus the mean masked contrastive loss of its held rows against the targets of all held rows.
    Raises MediaError for a medium that cannot be opened.
    """

    pool: Pool
    training: tuple[Numbers, ...]
    held: tuple[Numbers, ...]
    settings: ProxySettings
    context: Context

    def __call__(self, shares: Shares, seed: int) -> Floats:
        import torch

        from reference_model.backbone import Backbone
        from reference_model.checkpoint import Checkpoint
        from reference_model.precision import fast_bf16
        from reference_model.train.adapters import add_adapters
        from reference_model.train.encoder import Encoder
        from reference_model.train.recipe import Lora

        settings = self.settings
        backbone = Backbone.load(Checkpoint.find(settings.backbone))
        if backbone.device.type == "cpu":
            backbone.model.set_attn_implementation("eager")  # the fused kernel's backward pass is slow on a CPU
        lora = Lora(r=settings.rank, alpha=2.0 * settings.rank, dropout=0.0, effective_weights=True)
        adapted = add_adapters(backbone.model, lora, seed)
        encoder = Encoder(adapted, backbone, TOKENS, settings.temperature, False, self._features)
        media = self._media(backbone)
        self._train(encoder, backbone, media, shares, seed)
        with torch.no_grad(), torch.autocast(backbone.device.type, torch.bfloat16, fast_bf16(backbone.device)):
            return self._measure(encoder.eval(), backbone, media)

    def _train(self, encoder: Encoder, backbone: Backbone, media: MediaSource, shares: Shares, seed: int) -> None:
        import torch

        from reference_model.nano.budget import learning_rate
        from reference_model.nano.stages import CLIP_NORM
        from reference_model.precision import fast_bf16
        from reference_model.train.adapters import trained
        from reference_model.train.objective import Objective
        from reference_model.train.recipe import Loss

        settings = self.settings
        objective = Objective(Loss(temperature=settings.temperature))
        weights = [parameter for _, parameter in trained(encoder.adapted)]
        optimizer = torch.optim.AdamW(weights, lr=settings.rate, betas=(0.9, 0.98), weight_decay=0.0)
        encoder.train()
        for step, examples in enumerate(self._drawn(shares, np.random.default_rng(seed))):
            rate = learning_rate(settings.rate, step / settings.steps, step, max(1, round(WARM_UP * settings.steps)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = _whole(step, examples, backbone, media)
            # anew each step: it caches the weights that it casts
            with torch.autocast(backbone.device.type, torch.bfloat16, fast_bf16(backbone.device)):
                loss = objective.loss(encoder(batch.prompts, batch.media), encoder.temperature, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, CLIP_NORM)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def _drawn(self, shares: Shares, rng: np.random.Generator) -> Iterator[list[Example]]:
        for _ in range(self.settings.steps):
            counts = rng.multinomial(self.settings.batch, shares / shares.sum())
            yield [
                examples[at]
                for examples, count in zip(self._examples, counts.tolist(), strict=True)
                for at in rng.integers(len(examples), size=count).tolist()
            ]

    def _measure(self, encoder: Encoder, backbone: Backbone, media: MediaSource) -> Floats:
        size = self.settings.batch
        rows = [example for group in self._held for example in group]
        sides: list[tuple[Any, ...]] = []
        for start in range(0, len(rows), size):
            batch = _whole(start, rows[start : start + size], backbone, media)
            vectors = encoder(batch.prompts, batch.media).float().cpu().numpy()
            at, of = batch.queries.numpy(), batch.candidates.numpy()
            sides.append((vectors[at], vectors[of], batch.sets.numpy()[of], batch.contents.numpy()[of]))
        queries, targets, sets, contents = (np.concatenate(column) for column in zip(*sides, strict=True))
        losses = masked_losses(queries, targets, sets, contents, self.settings.temperature)
        ends = np.cumsum([len(group) for group in self._held])
        return np.array([-part.mean() for part in np.split(losses, ends[:-1])])

    @cached_property
    def _examples(self) -> list[list[Example]]:
        """What each group trains on: at most `rows` of its rows, drawn by the step's seed."""
        chosen = []
        for number, rows in enumerate(self.training):
            order = self.context.random("proxy", str(number)).permutation(rows)
            chosen.append(list(examples_of(self.pool, np.sort(order[: self.settings.rows]))))
        return chosen

    @cached_property
    def _held(self) -> list[list[Example]]:
        return [list(examples_of(self.pool, rows)) for rows in self.held]

    @cached_property
    def _features(self) -> FeatureStore:
        from reference_model.train.feature_store import FeatureStore

        return FeatureStore(self.context.work / "features")

    def _media(self, backbone: Backbone) -> MediaSource:
        from reference_model.train.media import AnyMedia
        from reference_model.train.recipe import Frames

        return AnyMedia(backbone.preprocessing, Frames(), self._features)


def _whole(number: int, examples: Sequence[Example], backbone: Backbone, media: MediaSource) -> Batch:
    """A prepared batch with every one of its rows."""
    from reference_model.train.batch import prepare_batch

    batch = prepare_batch(number, examples, backbone, media)
    if batch.bad:
        row, reason = batch.bad[0]
        raise MediaError(f"row {row}: {reason}; the step `validity` drops rows with broken media")
    return batch


def examples_of(pool: Pool, rows: Numbers) -> Iterator[Example]:
    """Query and target of each row, ready for training; explicit negatives are left out."""
    from reference_model.train.material import Example
    from reference_model.train.pairs import Pair

    for query, target in zip(pool.items(rows, "query"), pool.items(rows, "target"), strict=True):
        yield Example(query.id, Pair(query, target), False)


def masked_losses(queries: Any, targets: Any, sets: Any, contents: Any, temperature: float) -> Floats:
    """MAMCL of every row, (n,): (n, dim) queries against those of all (n, dim) targets that are of the modality set of their
    own; a repeat of a row's own target is left out of its denominator."""
    scores = queries.astype(np.float64) @ targets.astype(np.float64).T / temperature
    left_out = (sets[:, None] != sets[None]) | ((contents[:, None] == contents[None]) & ~np.eye(len(sets), dtype=bool))
    scores[left_out] = -np.inf
    highest = scores.max(axis=1)
    return np.asarray(np.log(np.exp(scores - highest[:, None]).sum(axis=1)) + highest - np.diag(scores))
