"""nano's backbone from nothing: vocabulary, naming, captioning. Nothing here is contrastive: that is `train`, by a recipe.

    python -m reference_model backbone --data TRAIN_SPLITS --work SCRATCH --out reference_model/checkpoints/nano-backbone

What it takes: about 35 minutes on 2 CPU cores that compute bf16 products fast, 16 GB of memory, 10 GB of scratch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reference_model.backbone import Settings, load_tokenizer
from reference_model.nano import lessons, real_pairs, scene_pairs
from reference_model.nano.architecture import Shape, new_model
from reference_model.nano.budget import Budget
from reference_model.nano.language import Talk, language_loss
from reference_model.nano.naming import Named, named_clip, named_picture, named_still, naming_loss, settle
from reference_model.nano.real import Real, load_real
from reference_model.nano.stages import Group, Stage, Workplace, run_stage
from reference_model.nano.validate import language_losses
from reference_model.nano.vocabulary import train_vocabulary
from reference_model.nano.world import Sizes, World, build_world
from reference_model.prompt import CLOSING, OPENING
from unite_bench.errors import UsageError

if TYPE_CHECKING:
    import torch

WORDS_FOR_VOCABULARY = 30_000
SCENES_FOR_VOCABULARY = 4_000


@dataclass(frozen=True)
class Recipe:
    """Everything that decides nano's backbone beside the data."""

    shape: Shape = Shape()
    vocabulary: int = 4608
    seed: int = 1_000_001
    validation_seed: int = 1_900_000
    sizes: Sizes = Sizes()
    validation_sizes: Sizes = Sizes(400, 250, 300, 200, 300)
    naming: Stage = Stage("naming", Budget(minutes=18), 1.0e-3, seed=10)
    backbone: Stage = Stage("backbone", Budget(minutes=8), 1.0e-3, seed=11, weight_decay=0.02)
    patch_scale: float = 0.01  # all inputs of a patch move together, so its weights take small steps
    named: int = 128
    talks: int = 48
    lessons: dict[str, float] = field(
        default_factory=lambda: {
            "still": 4.0,
            "clip": 2.5,
            "change": 1.0,
            "reading": 1.2,
            "picture": 1.5,
            "word": 1.6,
        }
    )


@dataclass(frozen=True)
class Material:
    """What a run learns from and what it is validated on."""

    world: World
    real: Real
    unseen: World


def prepare_run(recipe: Recipe, data: Path, work: Path, out: Path) -> tuple[Material, Workplace]:
    """Render, decode and bank everything, and learn the vocabulary; done once, found again by a resumed run."""
    preprocessing = recipe.shape.preprocessing
    world = build_world(recipe.seed, recipe.sizes, work, preprocessing)
    unseen = build_world(recipe.validation_seed, recipe.validation_sizes, work, preprocessing)
    material = Material(world, load_real(data, work, preprocessing), unseen)
    if not (work / "tokenizer.json").exists():
        train_vocabulary(vocabulary_texts(material), work / "tokenizer.json", recipe.vocabulary)
    sets = ("scenes-generator", *(f"{name}-train" for name in sorted(material.real.digests)))
    settings = Settings(max_length=1024, training_sets=sets)
    return material, Workplace(work, out, load_tokenizer(work), preprocessing, settings)


def vocabulary_texts(material: Material) -> Iterator[str]:
    """Texts of the kinds that will be trained on: prompts, talks about scenes, words of the real sets."""
    rng = np.random.default_rng(1)
    for names in ("sentence", "image", "video", "sentence and image", "sentence and video"):
        yield from [OPENING + CLOSING.format(modalities=names)] * 500
    draws = (lessons.still_talk, lessons.clip_talk, lessons.change_talk, lessons.reading_talk)
    for number in range(SCENES_FOR_VOCABULARY):
        for question, answer in draws[number % len(draws)](material.world, rng).turns:
            yield from (question, answer)
    for kind in [*scene_pairs.instruction_kinds(material.world), *real_pairs.instruction_kinds(material.real)]:
        for _ in range(200):
            pair = kind.draw(rng)
            yield f"{pair.query.instruction or ''}\n{pair.query.text or ''}"
    for pictures in material.real.pictures.values():
        for picture in pictures:
            yield from (answer for wording in picture.wordings for answer in wording.answers)
    step = max(1, len(material.real.words) // WORDS_FOR_VOCABULARY)
    for word in material.real.words[::step]:
        yield from (word.asked, *word.answers)


def make_backbone(recipe: Recipe, data: Path, work: Path, out: Path) -> None:
    """Both stages, the second from the end of the first; a stage that is finished is not repeated."""
    note_recipe(recipe, work)
    material, place = prepare_run(recipe, data, work, out)
    model = new_model(recipe.shape, place.tokenizer, recipe.seed)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    place.log(parameters=parameters, vocabulary=place.tokenizer.get_vocab_size(), data=material.real.digests)
    backbone_stages(recipe, model, material, place)


def note_recipe(recipe: Recipe, work: Path) -> None:
    """Write the recipe beside the states. Raises UsageError if those there are of another recipe."""
    path, own = work / "recipe.json", json.dumps(asdict(recipe), indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") != own and list(work.glob("state-*.pt")):
        raise UsageError(f"{work}: holds states of another recipe; delete state-*.pt there, or take another --work")
    work.mkdir(parents=True, exist_ok=True)
    path.write_text(own, encoding="utf-8")


def backbone_stages(recipe: Recipe, model: Any, material: Material, place: Workplace) -> None:
    """Naming what each visual token shows, everything trained; then captioning, question answering and text."""
    draws = talk_draws(material)

    taught = {name: weight for name, weight in recipe.lessons.items() if name in draws}
    names, shares = list(taught), np.array(list(taught.values()))

    def draw_talks(rng: np.random.Generator) -> list[Talk]:
        name = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        return [draws[name](rng) for _ in range(recipe.talks // 2 if name == "clip" else recipe.talks)]

    def naming(named: list[Named]) -> torch.Tensor:
        return naming_loss(model, named, place.tokenizer, place.preprocessing)

    def talking(talks: list[Talk]) -> torch.Tensor:
        return language_loss(model, talks, place.tokenizer, place.preprocessing)[0]

    def validate() -> dict[str, float]:
        return language_losses(model, material.unseen, place.tokenizer, place.preprocessing)

    patch = list(model.model.visual.patch_embed.parameters())
    others = [parameter for parameter in model.parameters() if all(parameter is not slow for slow in patch)]
    groups = [Group(others), Group(patch, recipe.patch_scale)]
    draw_pictures = partial(draw_named, material, recipe.named)
    run_stage(recipe.naming, model, groups, draw_pictures, naming, validate, place)
    settle(model, draw_named(material, recipe.named, np.random.default_rng(recipe.naming.seed)), place.preprocessing)
    # Captioning so early in a language model's life sends noise into the vision tower and undoes what it has learned: a
    # probe for colour fell from 0.78 to 0.65 in 200 steps. From here on the tower and the projector are frozen.
    model.model.visual.requires_grad_(False)
    words = [Group(list(model.model.language_model.parameters()))]
    run_stage(recipe.backbone, model, words, draw_talks, talking, validate, place)


def draw_named(material: Material, size: int, rng: np.random.Generator) -> list[Named]:
    """Media to be named: mostly still scenes; a clip counts as four pictures."""
    pictures = [picture for held in material.real.pictures.values() for picture in held if picture.wordings]
    found = [named_still(material.world, rng) for _ in range(size // 2)]
    found += [named_clip(material.world, rng) for _ in range(size // 16)]
    return found + ([named_picture(pictures, rng) for _ in range(size // 4)] if pictures else [])


def talk_draws(material: Material) -> dict[str, Callable[[np.random.Generator], Talk]]:
    """Every sort of talk that the material allows."""
    world, real = material.world, material.real
    draws: dict[str, Callable[[np.random.Generator], Talk]] = {
        "still": lambda rng: lessons.still_talk(world, rng),
        "clip": lambda rng: lessons.clip_talk(world, rng),
        "change": lambda rng: lessons.change_talk(world, rng),
        "reading": lambda rng: lessons.reading_talk(world, rng),
    }
    pictures = [picture for held in real.pictures.values() for picture in held if picture.wordings]
    if pictures:
        draws["picture"] = lambda rng: lessons.picture_talk(pictures, rng)
    if real.words:
        draws["word"] = lambda rng: lessons.word_talk(real.words, rng)
    return draws
