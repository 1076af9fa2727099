"""The backbone stage: next-token captioning and question answering, everything trainable, never contrastive.

It stands in for the pretraining of a large multimodal model. A *talk* is at most one medium and several turns about it.
All turns of a talk share one forward pass over the medium but cannot see each other (their attention is masked and their
positions all start where the medium ends), so that no answer can be read off another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reference_model.backbone import Settings, prepare, visual_features
from reference_model.preprocess import Grid, Preprocessing
from reference_model.prompt import OPENING, PLACEHOLDER, TURN_END, TURN_START, Segment
from reference_model.train.batches import Medium, patches_of

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

ANSWER = f"{TURN_END}\n{TURN_START}assistant\n"
IGNORED = -100


@dataclass(frozen=True)
class Talk:
    """Questions and answers about one medium (or none): `kind` is that of the medium."""

    turns: tuple[tuple[str, str], ...]
    medium: Medium | None = None
    kind: str = "text"


@dataclass(frozen=True)
class Encoded:
    """One talk as tokens: ids, labels and turn numbers (n,), positions (3, n); turn 0 is the medium's prefix."""

    ids: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    turns: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int64]
    visual: npt.NDArray[np.bool_]


def encode(talk: Talk, grid: Grid | None, tokenizer: Tokenizer, preprocessing: Preprocessing) -> Encoded:
    """Tokens of a talk. Only the answers, each with its end of turn, are learned."""
    segments = [Segment(OPENING, "template")]
    if grid is not None:
        segments.append(Segment(PLACEHOLDER[talk.kind], talk.kind))  # type: ignore[arg-type]
    prefix = prepare(tuple(segments), [grid] if grid else [], tokenizer, preprocessing.merge, Settings())
    ids, labels = [prefix.ids], [np.full(len(prefix), IGNORED)]
    turns, positions = [np.zeros(len(prefix), dtype=np.int64)], [prefix.positions]
    start = int(prefix.positions.max()) + 1
    words = [text for question, answer in talk.turns for text in (question + ANSWER, answer + TURN_END)]
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(words, add_special_tokens=False)]
    for number, (asked, answered) in enumerate(zip(tokens[::2], tokens[1::2], strict=True), start=1):
        ids.append(np.array(asked + answered))
        labels.append(np.array([IGNORED] * len(asked) + answered))
        turns.append(np.full(len(ids[-1]), number))
        positions.append(np.tile(np.arange(len(ids[-1])) + start, (3, 1)))
    visual = np.zeros(sum(map(len, ids)), dtype=np.bool_)
    visual[: len(prefix)] = prefix.visual
    return Encoded(np.concatenate(ids), np.concatenate(labels), np.concatenate(turns), np.hstack(positions), visual)


def language_loss(
    model: Any, talks: Sequence[Talk], tokenizer: Tokenizer, preprocessing: Preprocessing
) -> tuple[torch.Tensor, int]:
    """Mean cross-entropy of the next token over all answers of the talks, and the number of tokens it is a mean of."""
    import torch
    from torch.nn import functional

    media = [talk.medium for talk in talks if talk.medium is not None]
    features, shapes = None, list[Grid]()
    if media:
        patches, shapes = patches_of(media, preprocessing)
        features = visual_features(model.model.visual, patches, shapes)
    grids = iter(shapes)
    rows = [encode(talk, next(grids) if talk.medium else None, tokenizer, preprocessing) for talk in talks]
    longest = max(len(row.ids) for row in rows)

    def stacked(name: str, filling: int) -> torch.Tensor:
        values = [getattr(row, name) for row in rows]
        shape = (*values[0].shape[:-1], longest)
        out = np.full((len(rows), *shape), filling, dtype=np.int64)
        for row, value in enumerate(values):
            out[row, ..., : value.shape[-1]] = value
        return torch.from_numpy(out)

    ids, labels, turns = stacked("ids", 0), stacked("labels", IGNORED), stacked("turns", -1)
    embeddings = model.get_input_embeddings()(ids)
    if features is not None:
        visual = stacked("visual", 0).bool().unsqueeze(-1)
        embeddings = embeddings.masked_scatter(visual, features.to(embeddings.dtype))
    device = embeddings.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else embeddings.dtype
    states = model.model.language_model(
        inputs_embeds=embeddings,
        position_ids=stacked("positions", 0).transpose(0, 1),
        attention_mask={"full_attention": turn_mask(turns, dtype)},
        use_cache=False,
    ).last_hidden_state
    learned = labels[:, 1:] != IGNORED
    logits = model.lm_head(states[:, :-1][learned])
    return functional.cross_entropy(logits.float(), labels[:, 1:][learned]), int(learned.sum())


def turn_mask(turns: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(n, 1, length, length) to be added to the scores: each token sees what came before it in its own turn, and the
    prefix (turn 0). Zero where it sees, the least number of `dtype` where not (eager attention takes no booleans)."""
    import torch

    length = turns.shape[1]
    earlier = turns.new_ones(length, length).tril().bool()
    own = turns[:, :, None] == turns[:, None, :]
    prefix = (turns == 0)[:, None, :]
    seen = ((own | prefix) & earlier)[:, None]
    return torch.zeros(seen.shape, dtype=dtype, device=turns.device).masked_fill(~seen, torch.finfo(dtype).min)
