"""Pairs of the real train splits for UNITE's two stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reference_model.nano.real import Picture, Real
from reference_model.nano.scene_pairs import one, text_item
from reference_model.train.pairs import Kind, Pair
from unite_bench.items import Item, Text

Draw = Callable[[np.random.Generator], Pair]
CHANGED = (
    "Find the emoji after this change.",
    "Find the emoji after the change.",
    "Find the picture after the change.",
)
KEYWORDS = (
    "Find the drawing with its keywords.",
    "Find the picture and its keywords.",
    "Find the drawing and keywords.",
)
CLASSIFY = ("Classify the drawing as one of: {0}.", "Which of these fits the drawing: {0}?", "Classify the drawing.")
FLAG = (
    "Answer the question about the country with this flag.",
    "Answer the question about the flag.",
    "Answer the question about the image.",
)
ICONS = ("Find the icon with these tags.",)


def picture_item(picture: Picture) -> Item:
    return Item((picture.bank.image(picture.number),))


def fields(pictures: Sequence[Picture], *names: str) -> list[Picture]:
    """The pictures whose rows have something in all of these fields."""
    return [picture for picture in pictures if all(picture.row.get(name) for name in names)]


def _pick(values: Sequence[Picture], rng: np.random.Generator) -> Picture:
    return values[int(rng.integers(len(values)))]


def _several(values: Sequence[str], most: int, rng: np.random.Generator) -> str:
    count = int(rng.integers(1, min(most, len(values)) + 1))
    return ", ".join(values[i] for i in rng.permutation(len(values))[:count])


def titled(pictures: Sequence[Picture], field: str) -> Draw:
    def draw(rng: np.random.Generator) -> Pair:
        picture = _pick(pictures, rng)
        return Pair(text_item(picture.row[field]), picture_item(picture))

    return draw


def tagged(pictures: Sequence[Picture], field: str, wordings: Sequence[str] | None = None) -> Draw:
    def draw(rng: np.random.Generator) -> Pair:
        picture = _pick(pictures, rng)
        instruction = one(wordings, rng, none=0.5) if wordings else None
        return Pair(text_item(_several(picture.row[field], 9, rng), instruction), picture_item(picture))

    return draw


def adaptation_kinds(real: Real) -> list[Kind]:
    """Stage 1: words and meanings, titles, descriptions and tags of pictures."""
    found: list[Kind] = []
    if real.words:

        def meaning(rng: np.random.Generator) -> Pair:
            word = real.words[int(rng.integers(len(real.words)))]
            lemmas = word.asked.split(", ")
            said = word.asked if rng.random() < 0.6 else lemmas[int(rng.integers(len(lemmas)))]
            return Pair(text_item(said), text_item(word.answers[0]))

        found.append(Kind("words-gloss", 4.0, meaning, both=True))
    for name, field, weight in (
        ("openclipart", "title", 2.5),
        ("openclipart", "description", 0.3),
        ("flags", "country", 0.3),
    ):
        pictures = fields(real.pictures.get(name, ()), field)
        if pictures:
            found.append(Kind(f"{name} {field}", weight, titled(pictures, field), both=True))
    for name, field, weight in (("openclipart", "keywords", 1.5), ("lucide", "tags", 1.5)):
        pictures = fields(real.pictures.get(name, ()), field)
        if pictures:
            found.append(Kind(f"{name} {field}", weight, tagged(pictures, field), both=True))
    return found


def instruction_kinds(real: Real) -> list[Kind]:
    """Stage 2: what an instruction asks of real pictures."""
    found: list[Kind] = []
    drawings = fields(real.pictures.get("openclipart", ()), "title", "keywords")
    if drawings:

        def with_keywords(rng: np.random.Generator) -> Pair:
            picture = _pick(drawings, rng)
            words = Text(", ".join(picture.row["keywords"]))
            target = Item((picture.bank.image(picture.number), words))
            return Pair(text_item(picture.row["title"], one(KEYWORDS, rng, none=0.1)), target)

        found.append(Kind("openclipart fused", 1.0, with_keywords))
    labelled = fields(real.pictures.get("openclipart", ()), "label")
    labels = sorted({picture.row["label"] for picture in labelled})
    if labelled:

        def classified(rng: np.random.Generator) -> Pair:
            picture = _pick(labelled, rng)
            asked = CLASSIFY[int(rng.choice(3, p=(0.6, 0.2, 0.2)))].format(", ".join(labels))
            wrong = tuple(text_item(label) for label in labels if label != picture.row["label"])
            query = Item((picture.bank.image(picture.number),), asked)
            return Pair(query, text_item(picture.row["label"]), wrong)

        found.append(Kind("openclipart label", 0.5, classified))
    groups: dict[str, list[int]] = {}
    for edit in real.edits:
        groups.setdefault(edit.group, []).extend(edit.after)
    if real.edits:

        def emoji_changed(rng: np.random.Generator) -> Pair:
            edit = real.edits[int(rng.integers(len(real.edits)))]
            source = edit.bank.image(edit.source)
            kin = [number for number in groups[edit.group] if number not in edit.after and number != edit.source]
            near = [kin[int(i)] for i in rng.integers(len(kin), size=min(2, len(kin)))] if kin else []
            target = edit.bank.image(edit.after[int(rng.integers(len(edit.after)))])
            negatives = tuple(Item((edit.bank.image(number),)) for number in (edit.source, *near))
            return Pair(Item((source, Text(edit.text)), one(CHANGED, rng, none=0.1)), Item((target,)), negatives)

        found.append(Kind("emoji edit", 1.5, emoji_changed))
    asked_flags = fields(real.pictures.get("flags", ()), "question")
    if asked_flags:
        by_type: dict[str, set[str]] = {}
        for picture in asked_flags:
            by_type.setdefault(picture.row["type"], set()).update(picture.row["answers"])

        def flag_asked(rng: np.random.Generator) -> Pair:
            picture = _pick(asked_flags, rng)
            answers = picture.row["answers"]
            others = sorted(by_type[picture.row["type"]] - set(answers))
            near = tuple(text_item(others[int(i)]) for i in rng.permutation(len(others))[:4])
            query = Item((*picture_item(picture).parts, Text(picture.row["question"])), one(FLAG, rng, none=0.1))
            return Pair(query, text_item(answers[int(rng.integers(len(answers)))]), near)

        found.append(Kind("flag question", 0.3, flag_asked))
    icons = fields(real.pictures.get("lucide", ()), "tags")
    if icons:
        found.append(Kind("lucide asked", 0.7, tagged(icons, "tags", ICONS)))
    return found
