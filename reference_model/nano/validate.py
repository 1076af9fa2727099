"""Validation on scenes of a training seed that is never trained on: losses of talks, and hit@1 of small pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_model.backbone import Settings
from reference_model.nano.contrastive import item_vectors
from reference_model.nano.language import language_loss
from reference_model.nano.lessons import change_talk, clip_talk, reading_talk, still_talk
from reference_model.nano.scene_pairs import adaptation_kinds, instruction_kinds
from reference_model.nano.world import World
from reference_model.preprocess import Preprocessing
from reference_model.train.features import Features
from reference_model.train.pairs import Pair, modality_bits
from unite_bench.items import Item

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SEED = 7
TALKS = 96


@dataclass(frozen=True)
class Pool:
    """Pairs of one kind whose targets and negatives form one pool; `back` also asks the other way round."""

    name: str
    pairs: tuple[Pair, ...]
    back: str = ""


def pools(world: World, size: int = 300) -> list[Pool]:
    """Fixed pools of validation pairs: each of `size` queries, but clips fewer."""
    rng = np.random.default_rng(SEED)
    names = {
        "scene text-image": ("t2i", "i2t", size),
        "scene text-video": ("t2v", "v2t", 200),
        "scene long-image": ("long-t2i", "", 200),
        "scene paraphrase": ("t2t", "", size),
        "scene image edit": ("it2i-edit", "", 200),
        "scene video edit": ("vt2v-edit", "", 100),
        "scene question": ("it2t-question", "", 200),
        "scene fused": ("t2it", "", 200),
        "scene form": ("union", "", 200),
    }
    found = []
    for kind in [*adaptation_kinds(world), *instruction_kinds(world)]:
        if kind.name in names:
            name, back, count = names[kind.name]
            drawn = _distinct(kind.draw, count, rng)
            found.append(Pool(name, tuple(drawn), back))
    return found


def _distinct(draw: Any, count: int, rng: np.random.Generator) -> list[Pair]:
    """Pairs with different targets where that is possible."""
    seen: set[str] = set()
    drawn: list[Pair] = []
    for _ in range(count * 4):
        pair = draw(rng)
        if len(drawn) < count and (pair.target.digest not in seen or pair.negatives):
            seen.add(pair.target.digest)
            drawn.append(pair)
    return drawn


def language_losses(model: Any, world: World, tokenizer: Tokenizer, preprocessing: Preprocessing) -> dict[str, float]:
    """Loss per answer token of each sort of talk."""
    import torch

    found = {}
    sorts = {"still": still_talk, "clip": clip_talk, "change": change_talk, "reading": reading_talk}
    model.eval()
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16):
        for name, draw in sorts.items():
            rng = np.random.default_rng(SEED)
            talks = [draw(world, rng) for _ in range(TALKS)]
            loss, _ = language_loss(model, talks, tokenizer, preprocessing)
            found[name] = round(loss.item(), 4)
    model.train()
    return found


def retrieval(
    model: Any,
    tests: Sequence[Pool],
    features: Features,
    tokenizer: Tokenizer,
    preprocessing: Preprocessing,
    settings: Settings,
) -> dict[str, float]:
    """hit@1 of each pool, and for unmasked pairs also the share of queries whose first candidate has the asked form."""
    import torch

    found: dict[str, float] = {}
    model.eval()
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16):
        for test in tests:
            queries = [pair.query for pair in test.pairs]
            candidates = _unique([item for pair in test.pairs for item in (pair.target, *pair.negatives)])
            place = {item.digest: i for i, item in enumerate(candidates)}
            given = (features, tokenizer, preprocessing, settings)
            scores = item_vectors(model, queries, *given) @ item_vectors(model, candidates, *given).T
            targets = torch.tensor([place[pair.target.digest] for pair in test.pairs])
            if test.name == "it2t-question":
                scores = scores.masked_fill(~_own_pool(test.pairs, place), -2.0)
            first = scores.argmax(dim=1)
            found[test.name] = _share(first == targets)
            if test.back:
                at = scores[:, targets].argmax(dim=0)
                found[test.back] = _share(at == torch.arange(len(queries)))
            if test.pairs[0].unmasked:
                bits = torch.tensor([modality_bits(item) for item in candidates])
                found["modality"] = _share(bits[first] == bits[targets])
    model.train()
    return found


def _own_pool(pairs: Sequence[Pair], place: dict[str, int]) -> Any:
    import torch

    mask = torch.zeros(len(pairs), len(place), dtype=torch.bool)
    for row, pair in enumerate(pairs):
        mask[row, [place[item.digest] for item in (pair.target, *pair.negatives)]] = True
    return mask


def _unique(items: Sequence[Item]) -> list[Item]:
    return list({item.digest: item for item in items}.values())


def _share(hits: Any) -> float:
    return round(float(hits.float().mean()), 4)
