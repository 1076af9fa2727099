"""The first lesson of the vision tower: every visual token names what it shows.

A large multimodal model starts from a vision tower that has been trained before; nano's starts from noise, and captioning
alone does not ground it in the time there is. So, first, each visual token predicts the words of what lies in its part of
the picture, by the output layer of the language model: cross-entropy over the vocabulary, never contrastive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_model.backbone import visual_features
from reference_model.nano.real import Picture
from reference_model.nano.world import FRAMES, World
from reference_model.preprocess import Grid, Preprocessing
from reference_model.train.batches import Medium, patches_of
from unite_bench.sources.scenes.phrases import NUMBERS, Voice
from unite_bench.sources.scenes.render import frame_indices, marks
from unite_bench.sources.scenes.world import CANVAS, VARYING, Scene, Thing

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

NOTHING = "nothing"
Words = tuple[str, ...]


@dataclass(frozen=True)
class Named:
    """A medium and, for each frame group of it, what is where: (row, column in [0, 1), words); `everywhere` holds for
    every token, and `empty` for those in which nothing is."""

    medium: Medium
    groups: tuple[tuple[tuple[float, float, Words], ...], ...]
    everywhere: Words
    empty: Words = (NOTHING,)


def thing_words(thing: Thing) -> Words:
    """Everything that can be seen of a thing that stays."""
    size = () if thing.size == VARYING else (thing.size,)
    return (*size, thing.fill, thing.colour, thing.shape, "a" if thing.count == 1 else NUMBERS[thing.count])


def named_still(world: World, rng: np.random.Generator) -> Named:
    """A still scene: a thing is named where its cell is."""
    number = int(rng.integers(len(world.stills)))
    scene = world.stills[number]
    places = tuple(((t.row + 0.5) / 3, (t.column + 0.5) / 3, thing_words(t)) for t in scene.things)
    return Named((world.images, world.still_at[number]), (places,), (scene.paper,))


def named_clip(world: World, rng: np.random.Generator) -> Named:
    """A moving scene: in every pair of frames each shape is named where it is, and what moves says how."""
    number = int(rng.integers(len(world.movings)))
    scene = world.movings[number]
    shown = frame_indices(FRAMES)
    groups = tuple(_seen(scene, (shown[i], shown[i + 1])) for i in range(0, FRAMES, 2))
    return Named((world.clips, world.clip_at[number]), groups, (scene.paper,))


def named_picture(pictures: Sequence[Picture], rng: np.random.Generator) -> Named:
    """A real picture: words that are said of it hold everywhere."""
    picture = pictures[int(rng.integers(len(pictures)))]
    words = " ".join(wording.text(rng) for wording in picture.wordings).replace(",", " ").split()
    return Named((picture.bank, picture.number), ((),), tuple(words[:8]) or (NOTHING,), ())


def _seen(scene: Scene, frames: tuple[int, int]) -> tuple[tuple[float, float, Words], ...]:
    found: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for frame in frames:
        for mark in marks(scene, frame):
            found.setdefault((mark.fill, mark.colour, mark.shape), []).append((mark.y, mark.x))
    motion = scene.motion
    mover = None if motion is None else scene.things[motion.mover]
    sizes = {(thing.fill, thing.shape): thing.size for thing in scene.things if thing.size != VARYING}
    named = []
    for (fill, colour, shape), places in found.items():
        words: Words = (fill, colour, shape, *(size for size in (sizes.get((fill, shape)),) if size))
        if motion is not None and mover is not None and (mover.fill, mover.shape) == (fill, shape):
            words = (*words, *Voice(0, other=False).motion(motion, True, False).split()[-2:])
        row, column = np.mean(places, axis=0) / CANVAS
        named.append((float(row) % 1.0, float(column) % 1.0, words))
    return tuple(named)


def naming_loss(model: Any, named: Sequence[Named], tokenizer: Tokenizer, preprocessing: Preprocessing) -> torch.Tensor:
    """Mean over visual tokens of the mean cross-entropy of the words that each should name."""
    import torch
    from torch.nn import functional

    patches, grids = patches_of([one.medium for one in named], preprocessing)
    features = visual_features(model.model.visual, patches, grids)
    rows, words, weights = [], [], []
    start = 0
    for one, grid in zip(named, grids, strict=True):
        for token, said in enumerate(_said(one, grid, preprocessing.merge)):
            ids = sorted({_first_token(word, tokenizer) for word in said})
            rows += [start + token] * len(ids)
            words += ids
            weights += [1 / len(ids)] * len(ids)
        start += grid.tokens(preprocessing.merge)
    logits = model.lm_head(features).float()
    costs = functional.log_softmax(logits, dim=-1)[torch.tensor(rows), torch.tensor(words)]
    return -(costs * torch.tensor(weights)).sum() / start


def settle(model: Any, named: Sequence[Named], preprocessing: Preprocessing) -> None:
    """Put words and visual features on one footing, between naming and language.

    Naming pushes every word away from what pictures show, so that all words come to share two large directions (96 % of
    their energy, measured) in which nothing is told, and features grow to 26 times the length of words. A language model
    that starts from there learns several times more slowly. The words' mean changes no probability, the direction of their
    greatest variance tells named words from the others alone: both are taken off, and both sides get a mean length of 1.
    """
    import torch

    with torch.no_grad():
        words = model.get_input_embeddings().weight
        centred = words - words.mean(dim=0)
        common = torch.linalg.svd(centred.double(), full_matrices=False).Vh[0].to(centred.dtype)
        centred -= (centred @ common).unsqueeze(-1) * common
        words.copy_(centred / centred.norm(dim=-1).mean())
        patches, grids = patches_of([one.medium for one in named], preprocessing)
        length = visual_features(model.model.visual, patches, grids).norm(dim=-1).mean()
        last = model.model.visual.merger.mlp[-1]
        last.weight /= length
        last.bias /= length


def _said(one: Named, grid: Grid, merge: int) -> list[Words]:
    """The words of every token of a medium, in the order of its features."""
    height, width = grid.rows // merge, grid.columns // merge
    said: list[Words] = []
    for group in one.groups:
        cells: list[Words] = [()] * (height * width)
        for row, column, words in group:
            at = int(row * height) * width + int(column * width)
            cells[at] = (*cells[at], *words)
        said += [(*(cell or one.empty), *one.everywhere) for cell in cells]
    return said


_TOKENS: dict[tuple[int, str], int] = {}


def _first_token(word: str, tokenizer: Tokenizer) -> int:
    key = (id(tokenizer), word)
    if key not in _TOKENS:
        _TOKENS[key] = tokenizer.encode(f" {word}", add_special_tokens=False).ids[0]
    return _TOKENS[key]
