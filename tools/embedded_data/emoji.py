"""Emoji edits: an emoji's picture and a change in words, to the changed emoji's picture.

An emoji is read as a base and four attributes (skin tone, gender, hair, direction); an edit changes one or two.

Split. A group is a base emoji with all its variants; bases with a glyph in common are one group. Man, woman and
person with hair variants are three bases (there is no other base with hair): person is in test, the others in train.

Complete qrels. Glyphs of equal pixels are one candidate. An edit whose result looks like its source is left out, and
so is a result that a person could not tell from another variant (see ``TELLING``).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from .noto_glyphs import VARIATION_SELECTOR, NotoGlyphs
from .packages import EMOJIBASE, NOTO_EMOJI, unpacked
from .pictures import families
from .rows import Row, finish_train_set, fresh_folder, order, write_rows, write_train_groups

FONT = "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"

JOINER, RIGHT = 0x200D, 0x27A1
TONES = {0x1F3FB + i: tone for i, tone in enumerate(("light", "medium-light", "medium", "medium-dark", "dark"))}
HAIR = {0x1F9B0: "red hair", 0x1F9B1: "curly hair", 0x1F9B3: "white hair", 0x1F9B2: "no hair"}
SIGNS = {0x2640: "woman", 0x2642: "man"}
ADULTS = {0x1F468: "man", 0x1F469: "woman", 0x1F9D1: "person"}
PERSON = 0x1F9D1
PERSONS = frozenset({*ADULTS, 0x1F466, 0x1F467, 0x1F9D2})

TEST_IMAGES = 660
TEST_EDITS = {"skin tone": 150, "gender": 110, "two changes": 100, "direction": 50, "hair": 50}
PINNED_TO_TEST = frozenset({"1F9D1-hair"})
PINNED_TO_TRAIN = frozenset({"1F468-hair", "1F469-hair"})
TURNING_GROUPS_IN_TEST = 2
TELLING = 0.004
"""Mean absolute difference of two pictures, of a full scale of 1, below which they count as the same to the eye."""


@dataclass(frozen=True)
class Variant:
    """One emoji: base and attributes; an attribute that the base doesn't have is empty."""

    base: str
    tone: str
    gender: str
    hair: str
    direction: str

    def changes(self, other: Variant) -> list[str]:
        names = {"skin tone": "tone", "gender": "gender", "hair": "hair", "direction": "direction"}
        return [kind for kind, name in names.items() if getattr(self, name) != getattr(other, name)]


@dataclass(frozen=True)
class Glyph:
    """A variant with its picture; ``key`` is the picture's id, equal for equal pixels."""

    variant: Variant
    key: str
    picture: Image.Image
    label: str


def read_variant(points: tuple[int, ...]) -> Variant | None:
    """Take a sequence apart; ``None`` for two skin tones, for several persons and for a tone's own swatch."""
    rest = [point for point in points if point != VARIATION_SELECTOR]
    tones = [TONES[point] for point in rest if point in TONES]
    if len(set(tones)) > 1:
        return None
    rest = [point for point in rest if point not in TONES]
    if not rest:
        return None
    if any(point in PERSONS for point in rest[1:]):
        return None
    direction = "right" if rest[-2:] == [JOINER, RIGHT] else "left"
    rest = rest[:-2] if direction == "right" else rest
    hair = HAIR[rest[-1]] if rest[-1] in HAIR and len(rest) == 3 else ""
    if hair or (len(rest) == 1 and rest[0] in ADULTS):
        return Variant(f"{rest[0]:X}-hair", tones[0] if tones else "", "", hair, "")
    gender = SIGNS.get(rest[-1], "") if len(rest) > 2 else ""
    rest = rest[:-2] if gender else rest
    if not gender and len(rest) > 1 and rest[0] in ADULTS:
        gender, rest[0] = ADULTS[rest[0]], PERSON
    base = "-".join(f"{point:X}" for point in rest)
    return Variant(base, tones[0] if tones else "", gender or "person", "", direction)


def read_glyphs(work: Path) -> list[Glyph]:
    """All variants that the font shows, without attributes that their base doesn't vary."""
    font = NotoGlyphs(unpacked(NOTO_EMOJI, work) / FONT)
    data = unpacked(EMOJIBASE, work) / "package/en/data.json"
    glyphs: dict[Variant, Glyph] = {}
    for entry in json.loads(data.read_text(encoding="utf-8")):
        for form in [entry, *entry.get("skins", [])]:
            points = tuple(int(point, 16) for point in form["hexcode"].split("-"))
            variant, picture = read_variant(points), font.picture(points)
            if entry.get("group") in {0, 1} and variant is not None and picture is not None:
                key = "emoji-" + hashlib.sha256(picture.tobytes()).hexdigest()[:12]
                glyphs.setdefault(variant, Glyph(variant, key, picture, form["label"]))
    return _without_idle_attributes(list(glyphs.values()))


def _without_idle_attributes(glyphs: Iterable[Glyph]) -> list[Glyph]:
    by_base: dict[str, list[Glyph]] = defaultdict(list)
    for glyph in glyphs:
        by_base[glyph.variant.base].append(glyph)
    kept = []
    for members in by_base.values():
        idle = [
            name for name in ("gender", "direction") if len({getattr(member.variant, name) for member in members}) == 1
        ]
        if len(members) > 1:
            kept += [replace(g, variant=replace(g.variant, **dict.fromkeys(idle, ""))) for g in members]
    return kept


def group_bases(glyphs: Sequence[Glyph]) -> dict[str, str]:
    """The group of each base: bases that share a picture are one."""
    bases: dict[str, list[str]] = defaultdict(list)
    for glyph in glyphs:
        bases[glyph.key].append(glyph.variant.base)
    links = (pair for shared in bases.values() for pair in combinations(sorted(set(shared)), 2))
    return families(sorted({glyph.variant.base for glyph in glyphs}), links)


def wording(source: Variant, target: Variant) -> str:
    """The edit in words, as it is put beside the source's picture."""
    words = []
    if source.gender != target.gender:
        words.append({"man": "as a man", "woman": "as a woman", "person": "as a person of any gender"}[target.gender])
    if source.hair != target.hair:
        words.append(f"with {target.hair}" if target.hair else "with plain dark hair")
    if source.direction != target.direction:
        words.append(f"facing {target.direction}")
    if source.tone != target.tone:
        words.append(f"with {target.tone} skin tone" if target.tone else "without a skin tone, in plain yellow")
    return " and ".join(words)


def edits(glyphs: Sequence[Glyph]) -> list[tuple[str, Glyph, Glyph]]:
    """All (kind, source, target) of one base with one or two changes, whose target can be told from every variant."""
    found = []
    for source in glyphs:
        for target in glyphs:
            changes = source.variant.changes(target.variant)
            if not 1 <= len(changes) <= 2 or source.key == target.key:
                continue
            found.append((changes[0] if len(changes) == 1 else "two changes", source, target))
    alike = _alike(glyphs)
    return [(kind, source, target) for kind, source, target in found if not alike[target.key]]


def _alike(glyphs: Sequence[Glyph]) -> dict[str, bool]:
    """Whether another picture of the base is all but equal, by the picture's key."""
    pictures = {glyph.key: np.asarray(glyph.picture, dtype=np.float32) / 255 for glyph in glyphs}
    return {
        key: any(np.abs(mine - other).mean() < TELLING for name, other in pictures.items() if name != key)
        for key, mine in pictures.items()
    }


def choose_groups(members: Mapping[str, Sequence[Glyph]]) -> list[str]:
    """Test groups: the pinned ones, some that turn around, then the others in a fixed random order until full."""
    names = sorted(set(members) - PINNED_TO_TRAIN, key=lambda group: order(f"emoji:{group}"))
    turning = [group for group in names if any(glyph.variant.direction == "right" for glyph in members[group])]
    first = [group for group in names if group in PINNED_TO_TEST] + turning[:TURNING_GROUPS_IN_TEST]
    chosen, images = [], 0
    for group in first + [group for group in names if group not in first and group not in turning]:
        size = len({glyph.key for glyph in members[group]})
        if images + size <= TEST_IMAGES:
            chosen.append(group)
            images += size
    return chosen


def build(work: Path, test: Path, train: Path) -> None:
    """Write ``test/data`` and ``train/emoji``."""
    glyphs = read_glyphs(work)
    groups = group_bases(glyphs)
    members: dict[str, list[Glyph]] = defaultdict(list)
    for glyph in glyphs:
        members[groups[glyph.variant.base]].append(glyph)
    chosen = choose_groups(members)

    data = fresh_folder(test / "data")
    write_rows(data / "images.jsonl", _image_rows(data, chosen, members))
    rows = [row for group in chosen for row in _edit_rows(group, members[group])]
    write_rows(data / "queries.jsonl", _sample(rows))

    kept = sorted(set(members) - set(chosen))
    write_train_groups(data, kept)
    folder = fresh_folder(train / "emoji")
    _image_rows(folder, kept, members)
    train_rows = [row for group in kept for row in _edit_rows(group, members[group])]
    finish_train_set(train, "emoji", train_rows, [NOTO_EMOJI, EMOJIBASE])


def _image_rows(folder: Path, groups: Sequence[str], members: Mapping[str, Sequence[Glyph]]) -> list[Row]:
    """Save every picture once, and tell its group and the name of the first emoji that shows it."""
    (folder / "images").mkdir()
    rows: dict[str, Row] = {}
    for group in groups:
        for glyph in members[group]:
            name = f"images/{glyph.key}.webp"
            if glyph.key not in rows:
                glyph.picture.save(folder / name, lossless=True, quality=60, method=3)
                rows[glyph.key] = {"id": glyph.key, "group": group, "image": name, "label": glyph.label}
    return list(rows.values())


def _edit_rows(group: str, glyphs: Sequence[Glyph]) -> list[Row]:
    by_base: dict[str, list[Glyph]] = defaultdict(list)
    for glyph in glyphs:
        by_base[glyph.variant.base].append(glyph)
    found: dict[tuple[str, str], Row] = {}
    for variants in by_base.values():
        for kind, source, target in edits(variants):
            edit = wording(source.variant, target.variant)
            row = found.setdefault((source.key, edit), _edit_row(group, kind, source, edit))
            row["positives"] = sorted({*row["positives"], target.key})
    return list(found.values())


def _edit_row(group: str, kind: str, source: Glyph, edit: str) -> Row:
    digest = hashlib.sha256(f"{source.key}:{edit}".encode()).hexdigest()[:12]
    return {
        "id": f"edit-{digest}",
        "group": group,
        "kind": kind,
        "source": source.key,
        "image": f"images/{source.key}.webp",
        "edit": edit,
        "positives": [],
    }


def _sample(rows: Sequence[Row]) -> list[Row]:
    """A fixed random choice of each kind, spread over the groups as evenly as they allow."""
    chosen = []
    for kind, wanted in TEST_EDITS.items():
        by_group: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: order(f"edit:{row['id']}")):
            if row["kind"] == kind:
                by_group[row["group"]].append(row)
        rounds = [
            (turn, order(f"turn:{group}"), row) for group, own in by_group.items() for turn, row in enumerate(own)
        ]
        chosen += [row for _, _, row in sorted(rounds, key=lambda entry: entry[:2])[:wanted]]
    return chosen
