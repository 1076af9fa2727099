"""OpenClipart drawings: title, description, keywords and label, each as a task.

Split. A group is a family of drawings: connected by bare title, by bare file name within a folder, or by near-equal
looks. Families go to the test side whole, in a fixed random order, small ones only.

Complete qrels. Drawings with equal titles answer one another. A drawing is left out of the test set if its title
would also fit another test drawing (all its words stand among the other's title and keywords), or if it looks like
one with another title.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from .openclipart_catalogue import Drawing, description_is_good, family_names, normal_title, read_drawings
from .packages import OPENCLIPART, unpacked
from .pictures import draw_all, families, near_pairs, perceptual_hash
from .rows import Row, finish_train_set, fresh_folder, order, write_rows, write_train_groups
from .stems import words

DRAWINGS = 632
DESCRIBED = 150
ANNOTATED = 400
CLASSIFIED = 260
POOL_LABELS = 8
LARGEST_FAMILY = 8
LARGEST_SHARE_OF_FAMILY = 3
SAME_FAMILY = 0.40
"""Chosen from looked-at pairs: up to 0.40 one drawing in two forms or one frame around two signs, above it mostly
different things of one outline."""
LOOKS_THE_SAME = 0.20
"""Up to here a person takes two drawings for one (recoloured, a detail more)."""

CONFUSABLE: tuple[frozenset[str], ...] = (
    frozenset({"person", "sport", "music", "clothing", "holiday", "body part", "medicine", "smiley"}),
    frozenset({"office supply", "telephone", "computer hardware", "tool", "folder icon", "clock", "medicine", "music"}),
    frozenset({"fruit", "vegetable", "dessert", "drink", "bread", "meat or egg", "holiday", "flower", "tree"}),
    frozenset({"vehicle", "boat", "road sign", "hazard sign", "arrow", "sport", "telephone", "person", "mammal"}),
    frozenset({"weather", "astronomy", "holiday", "person", "tree", "flower"}),
    frozenset({"house", "furniture", "holiday", "road sign"}),
    frozenset({"bird", "holiday", "meat or egg"}),
    frozenset({"fish", "meat or egg"}),
    frozenset({"smiley", "speech bubble"}),
)
"""Labels that could both fit one drawing never stand in one pool as right and wrong."""


def build(work: Path, test: Path, train: Path) -> None:
    """Write ``test/data`` and ``train/openclipart``."""
    root = unpacked(OPENCLIPART, work) / "usr/share/openclipart/svg"
    listed = read_drawings(root)
    pictures = draw_all({d.key: d.path for d in listed}, work / "drawn" / "openclipart")
    drawings = [drawing for drawing in listed if drawing.key in pictures]
    hashes = np.stack([perceptual_hash(Image.open(pictures[drawing.key])) for drawing in drawings])
    groups = group_drawings(drawings, hashes)
    chosen = choose(drawings, groups, hashes)

    data = fresh_folder(test / "data")
    (data / "images").mkdir()
    for drawing in chosen:
        _save(pictures[drawing.key], data / image_name(drawing))
    titled = [drawing for drawing in chosen if drawing.readable]
    write_titles(data, titled, groups)
    write_descriptions(data, chosen, groups)
    write_annotated(data, titled, groups)
    write_classified(data, titled, groups)

    test_groups = {groups[drawing.key] for drawing in chosen}
    kept = [drawing for drawing in drawings if groups[drawing.key] not in test_groups]
    write_train_groups(data, (groups[drawing.key] for drawing in kept))
    (fresh_folder(train / "openclipart") / "images").mkdir()
    for drawing in kept:
        _save(pictures[drawing.key], train / "openclipart" / image_name(drawing))
    finish_train_set(train, "openclipart", [_train_row(d, groups) for d in kept], [OPENCLIPART])


def group_drawings(drawings: Sequence[Drawing], hashes: npt.NDArray[np.uint8]) -> dict[str, str]:
    """The family of each drawing, named by the key of its first member."""
    members: dict[str, list[str]] = defaultdict(list)
    for drawing in drawings:
        for name in family_names(drawing):
            members[name].append(drawing.key)
    by_name = chain.from_iterable(pairwise(keys) for keys in members.values())
    by_looks = ((drawings[i].key, drawings[j].key) for i, j, _ in near_pairs(hashes, SAME_FAMILY))
    return families((drawing.key for drawing in drawings), chain(by_name, by_looks))


def choose(drawings: Sequence[Drawing], groups: Mapping[str, str], hashes: npt.NDArray[np.uint8]) -> list[Drawing]:
    """The test drawings: described ones first, then labelled ones, then any, in a fixed random order."""
    sizes = Counter(groups.values())
    described = {groups[drawing.key] for drawing in drawings if drawing.fit_for_test and description_is_good(drawing)}
    fit = [
        i
        for i, d in enumerate(drawings)
        if d.fit_for_test and sizes[groups[d.key]] <= LARGEST_FAMILY and (d.readable or description_is_good(d))
    ]

    def rank(i: int) -> tuple[bool, bool, bytes]:
        group = groups[drawings[i].key]
        return (group not in described, not drawings[i].label, order(f"openclipart:{group}"))

    alike = defaultdict(set)
    for i, j, _ in near_pairs(hashes, LOOKS_THE_SAME):
        alike[i].add(j)
        alike[j].add(i)
    taken: list[int] = []
    share: Counter[str] = Counter()
    descriptions = 0
    for i in sorted(fit, key=rank):
        group, good = groups[drawings[i].key], description_is_good(drawings[i])
        full = share[group] >= LARGEST_SHARE_OF_FAMILY or (good and descriptions >= DESCRIBED)
        if full or len(taken) >= DRAWINGS or alike[i] & set(taken):
            continue
        if any(_answers(drawings[i], drawings[j]) or _answers(drawings[j], drawings[i]) for j in taken):
            continue
        taken.append(i)
        share[group] += 1
        descriptions += good
    return [drawings[i] for i in sorted(taken)]


def _answers(asked: Drawing, other: Drawing) -> bool:
    """Whether the other drawing, with another title, would be a right answer to this one's title too."""
    title, theirs = normal_title(asked.title), normal_title(other.title)
    if title == theirs or not asked.readable:
        return False
    described = set(theirs.split()) | {word for key in other.keywords for word in normal_title(key).split()}
    return set(title.split()) <= described or title.replace(" ", "") == theirs.replace(" ", "")


def image_name(drawing: Drawing) -> str:
    return f"images/{identifier(drawing)}.webp"


def identifier(drawing: Drawing) -> str:
    """A short id: the file's name may hold its author's, and long names help nobody."""
    return "oc-" + hashlib.sha256(drawing.key.encode()).hexdigest()[:10]


def _save(picture: Path, target: Path) -> None:
    with Image.open(picture) as opened:
        opened.save(target, quality=88, method=6)


def write_titles(data: Path, chosen: Sequence[Drawing], groups: Mapping[str, str]) -> None:
    """``drawings.jsonl`` and ``titles.jsonl``: one title row for all drawings of one normalised title."""
    titles = _by_title(chosen)
    write_rows(data / "titles.jsonl", _title_rows(titles))
    ids = {drawing.key: _title_id(title) for title, members in titles.items() for drawing in members}
    rows = (_base_row(d, groups) | {"title": d.title, "title_id": ids[d.key]} for d in chosen)
    write_rows(data / "drawings.jsonl", rows)


def _by_title(drawings: Sequence[Drawing]) -> dict[str, list[Drawing]]:
    titles: dict[str, list[Drawing]] = defaultdict(list)
    for drawing in drawings:
        titles[normal_title(drawing.title)].append(drawing)
    return titles


def _title_rows(titles: Mapping[str, Sequence[Drawing]]) -> list[Row]:
    return [
        {"id": _title_id(title), "title": members[0].title, "positives": [identifier(d) for d in members]}
        for title, members in titles.items()
    ]


def _title_id(normal: str) -> str:
    return "title-" + normal.replace(" ", "-")


def _base_row(drawing: Drawing, groups: Mapping[str, str]) -> Row:
    return {"id": identifier(drawing), "group": groups[drawing.key], "image": image_name(drawing)}


def write_descriptions(data: Path, chosen: Sequence[Drawing], groups: Mapping[str, str]) -> None:
    """``described.jsonl`` and ``descriptions.jsonl``: equal descriptions are one row with several positives."""
    described = [drawing for drawing in chosen if description_is_good(drawing)]
    members: dict[str, list[Drawing]] = defaultdict(list)
    for drawing in described:
        members[" ".join(words(drawing.description))].append(drawing)
    names = {text: f"description-{identifier(drawings[0])[3:]}" for text, drawings in members.items()}
    write_rows(
        data / "descriptions.jsonl",
        (
            {"id": names[text], "description": same[0].description, "positives": [identifier(d) for d in same]}
            for text, same in members.items()
        ),
    )
    write_rows(
        data / "described.jsonl",
        (
            _base_row(d, groups)
            | {"description": d.description, "description_id": names[" ".join(words(d.description))]}
            for d in described
        ),
    )


def write_annotated(data: Path, chosen: Sequence[Drawing], groups: Mapping[str, str]) -> None:
    """``annotated.jsonl`` (drawing and keywords) and ``annotated_titles.jsonl``, for drawings with two keywords."""
    fit = [drawing for drawing in chosen if len(_shown_keywords(drawing)) >= 2]
    annotated = sorted(sorted(fit, key=lambda d: order(f"annotated:{d.key}"))[:ANNOTATED], key=lambda d: d.key)
    rows = (_base_row(d, groups) | {"keywords": ", ".join(_shown_keywords(d))} for d in annotated)
    write_rows(data / "annotated.jsonl", rows)
    write_rows(data / "annotated_titles.jsonl", _title_rows(_by_title(annotated)))


def _shown_keywords(drawing: Drawing) -> list[str]:
    """At most eight keywords, as words."""
    return [keyword.replace("_", " ") for keyword in drawing.keywords][:8]


def write_classified(data: Path, chosen: Sequence[Drawing], groups: Mapping[str, str]) -> None:
    """``classified.jsonl`` and ``labels.jsonl``: each drawing with an instruction that names its own eight labels."""
    counts = Counter(drawing.label for drawing in chosen if drawing.label)
    labels = sorted(label for label, count in counts.items() if count >= 4)
    write_rows(data / "labels.jsonl", ({"id": _label_id(label), "label": label} for label in labels))
    rows: list[Row] = []
    per_label = Counter[str]()
    for drawing in sorted(chosen, key=lambda d: order(f"classified:{d.key}")):
        if drawing.label in labels and per_label[drawing.label] < CLASSIFIED // 14 and len(rows) < CLASSIFIED:
            per_label[drawing.label] += 1
            rows.append(_classified_row(drawing, groups, labels))
    write_rows(data / "classified.jsonl", sorted(rows, key=lambda row: str(row["id"])))


def _classified_row(drawing: Drawing, groups: Mapping[str, str], labels: Sequence[str]) -> Row:
    excluded = {drawing.label}.union(*(group for group in CONFUSABLE if drawing.label in group))
    mentioned = set(words(f"{drawing.title} {' '.join(drawing.keywords)}"))
    others = [label for label in labels if label not in excluded and not mentioned & set(words(label))]
    negatives = sorted(others, key=lambda label: order(f"pool:{drawing.key}:{label}"))[: POOL_LABELS - 1]
    pool = sorted([drawing.label, *negatives])
    return _base_row(drawing, groups) | {
        "instruction": f"Classify the drawing as one of: {', '.join(pool)}.",
        "label": drawing.label,
        "pool": [_label_id(label) for label in pool],
        "positives": [_label_id(drawing.label)],
    }


def _label_id(label: str) -> str:
    return "label-" + label.replace(" ", "-")


def _train_row(drawing: Drawing, groups: Mapping[str, str]) -> Row:
    return _base_row(drawing, groups) | {
        "title": drawing.title,
        "description": drawing.description if description_is_good(drawing) else "",
        "keywords": _shown_keywords(drawing),
        "label": drawing.label,
    }
