"""Lucide icons: tags to icon, text to image.

A query is the list of an icon's tags; every icon that has all of them is a positive.

Split. A group is an icon family: connected by the first part of the name ("arrow-down" and "arrow-up"), by near-equal
looks, or by equal tags. Small families go to the test side whole, in a fixed random order.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from .packages import LUCIDE, unpacked
from .pictures import draw_svg, families, near_pairs, perceptual_hash
from .rows import Row, finish_train_set, fresh_folder, order, write_rows, write_train_groups
from .stems import word_set, words

ICONS = 450
SIDE = 160
LARGEST_FAMILY = 12
SAME_FAMILY = 0.25
"""Chosen from looked-at pairs: up to 0.25 one icon with or without a small mark, above it different things."""
BRANDS = word_set(
    "brand logo social trademark apple android chrome codepen codesandbox dribbble facebook figma framer github gitlab "
    "instagram linkedin pocket rail slack trello twitch twitter youtube x"
)


@dataclass(frozen=True)
class Icon:
    name: str
    tags: tuple[str, ...]
    picture: Image.Image


def read_icons(package: Path) -> list[Icon]:
    """Every icon that has tags, without brands; names that are aliases of one drawing count once."""
    tags: dict[str, list[str]] = json.loads((package / "tags.json").read_text(encoding="utf-8"))
    icons: dict[bytes, Icon] = {}
    for name in sorted(tags):
        source = package / "icons" / f"{name}.svg"
        shown = tuple(dict.fromkeys(tag.strip().lower() for tag in tags[name] if tag.strip()))
        if not shown or BRANDS & {name, *shown} or not source.exists():
            continue
        svg = source.read_text(encoding="utf-8").replace("currentColor", "black")
        picture = draw_svg(svg.encode(), SIDE)
        if picture is not None:
            icons.setdefault(picture.tobytes(), Icon(name, shown, picture.convert("L")))
    return list(icons.values())


def group_icons(icons: Sequence[Icon]) -> dict[str, str]:
    """The family of each icon, named by its first member."""
    members: dict[str, list[str]] = defaultdict(list)
    for icon in icons:
        members["name:" + re.split(r"[-\d]", icon.name)[0]].append(icon.name)
        members["tags:" + ",".join(sorted(icon.tags))].append(icon.name)
    hashes = np.stack([perceptual_hash(icon.picture) for icon in icons])
    by_looks = ((icons[i].name, icons[j].name) for i, j, _ in near_pairs(hashes, SAME_FAMILY))
    return families(
        (icon.name for icon in icons), chain(chain.from_iterable(map(pairwise, members.values())), by_looks)
    )


def choose(icons: Sequence[Icon], groups: Mapping[str, str]) -> list[Icon]:
    """The test icons: whole families, and of two that look alike under different tags only the first."""
    sizes = Counter(groups.values())
    chosen: list[Icon] = []
    for group in sorted(sizes, key=lambda group: order(f"lucide:{group}")):
        family = [icon for icon in icons if groups[icon.name] == group]
        if sizes[group] <= LARGEST_FAMILY and len(chosen) + len(family) <= ICONS:
            chosen += family
    hashes = np.stack([perceptual_hash(icon.picture) for icon in chosen])
    doubles = {j for i, j, _ in near_pairs(hashes, SAME_FAMILY / 2)}
    return [icon for i, icon in enumerate(chosen) if i not in doubles]


def build(work: Path, test: Path, train: Path) -> None:
    """Write ``test/data`` and ``train/lucide``."""
    icons = read_icons(unpacked(LUCIDE, work) / "package")
    groups = group_icons(icons)
    chosen = choose(icons, groups)
    data = fresh_folder(test / "data")
    _save(data, chosen)
    write_rows(data / "icons.jsonl", [_icon_row(icon, groups) for icon in chosen])
    write_rows(data / "queries.jsonl", query_rows(chosen, groups))

    test_groups = {groups[icon.name] for icon in chosen}
    kept = [icon for icon in icons if groups[icon.name] not in test_groups]
    write_train_groups(data, (groups[icon.name] for icon in kept))
    _save(fresh_folder(train / "lucide"), kept)
    finish_train_set(train, "lucide", [_icon_row(icon, groups) for icon in kept], [LUCIDE])


def _save(folder: Path, icons: Sequence[Icon]) -> None:
    (folder / "images").mkdir()
    for icon in icons:
        icon.picture.save(folder / f"images/{icon.name}.png", optimize=True)


def _icon_row(icon: Icon, groups: Mapping[str, str]) -> Row:
    return {
        "id": icon.name,
        "group": groups[icon.name],
        "image": f"images/{icon.name}.png",
        "tags": list(icon.tags),
    }


def query_rows(icons: Sequence[Icon], groups: Mapping[str, str]) -> list[Row]:
    """One query for each distinct tag list of two tags or more, or of one tag of two words."""
    rows: dict[frozenset[str], Row] = {}
    for icon in icons:
        tags = frozenset(icon.tags)
        if len(words(" ".join(tags))) >= 2 and tags not in rows:
            positives = [other.name for other in icons if tags <= set(other.tags)]
            row = {"id": f"tags-{icon.name}", "group": groups[icon.name], "tags": ", ".join(icon.tags)}
            rows[tags] = row | {"positives": positives}
    return list(rows.values())
