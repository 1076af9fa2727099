"""One contrastive step by hand, as the study and nano's validation take it: pairs of items -> vectors -> the masked loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reference_model.backbone import Settings, last_states, prepare
from reference_model.preprocess import Preprocessing
from reference_model.prompt import render
from reference_model.train.batches import length_groups
from reference_model.train.features import Features
from reference_model.train.mamcl import Losses, Options, Side, dense_losses, mamcl_loss
from reference_model.train.pairs import Pair, modality_bits
from unite_bench.items import Item

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

TOKENS_PER_FORWARD = 6144


def item_vectors(
    model: Any,
    items: Sequence[Item],
    features: Features,
    tokenizer: Tokenizer,
    preprocessing: Preprocessing,
    settings: Settings,
) -> torch.Tensor:
    """(n, width) fp32, L2-normalised, with gradient where the model has any; by the prompts of inference."""
    import torch

    held, prompts = [], []
    for item in items:
        own, grids = features.of(item)
        held.append(own)
        prompts.append(prepare(render(item), grids, tokenizer, preprocessing.merge, settings))
    groups = length_groups([len(prompt) for prompt in prompts], TOKENS_PER_FORWARD)
    states = torch.cat([last_states(model, [prompts[i] for i in rows], [held[i] for i in rows]) for rows in groups])
    order = torch.tensor([row for rows in groups for row in rows])
    vectors = torch.nn.functional.normalize(states.float(), dim=-1)
    return vectors[torch.argsort(order)]


def contrastive_loss(
    model: Any,
    pairs: Sequence[Pair],
    features: Features,
    tokenizer: Tokenizer,
    preprocessing: Preprocessing,
    settings: Settings,
    temperature: float,
    options: Options,
    losses: Losses = dense_losses,
) -> torch.Tensor:
    """MAMCL over the pairs; equal items are embedded once."""
    import torch

    queries = [pair.query for pair in pairs]
    candidates = [pair.target for pair in pairs] + [item for pair in pairs for item in pair.negatives]
    places: dict[tuple[str, str | None], int] = {}
    unique: list[Item] = []
    for item in [*queries, *candidates]:
        if places.setdefault((item.digest, item.instruction), len(unique)) == len(unique):
            unique.append(item)
    vectors = item_vectors(model, unique, features, tokenizer, preprocessing, settings)

    def side(items: Sequence[Item]) -> Side:
        at = torch.tensor([places[item.digest, item.instruction] for item in items])
        return Side(vectors[at], torch.tensor([modality_bits(item) for item in items]), at)

    return mamcl_loss(
        side(queries),
        side(candidates),
        torch.arange(len(pairs)),
        temperature,
        options,
        torch.tensor([pair.unmasked for pair in pairs]),
        losses,
    )
