"""WordNet: the words of a synset to its gloss, text to text.

Split. A group is a synset, and test and train share no lemma: train leaves out every synset that holds a lemma of a
test query. Otherwise a model could learn in training which field a test word belongs to, and another sense's gloss
would give it away. Train also leaves out every synset whose gloss, as plain words, stands in the test pool.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .packages import WORDNET, unpacked
from .rows import Row, finish_train_set, fresh_folder, order, write_rows, write_train_groups
from .stems import leaks, word_set, words

QUERIES = 700
EXTRA_SENSES = 110
"""Candidates besides the queries' own glosses: other senses of the queries' words, so that "all senses" is real."""

FILES = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
INSTANCE_POINTERS = frozenset({"@i"})
STOP = word_set("a an and as at be by for from in into is it no not of off on one or out that the to up with")
COARSE_GLOSS = re.compile(r"\b(ethnic|obscene|offensive|slang|vulgar|derogatory|disparaging|sexual|genital)", re.I)
"""Glosses kept out of the test set, because people will read it."""


@dataclass(frozen=True)
class Synset:
    key: str
    part_of_speech: str
    lemmas: tuple[str, ...]
    gloss: str
    examples: tuple[str, ...]
    instance: bool
    frequency: int

    @property
    def words(self) -> str:
        return ", ".join(self.lemmas)


def read_synsets(folder: Path) -> list[Synset]:
    """All synsets of a WordNet 3.0 ``dict`` folder, in file order. ``frequency`` sums the tags of all its senses."""
    tags = _tag_counts(folder / "cntlist.rev")
    synsets = []
    for name, letter in FILES.items():
        for line in (folder / f"data.{name}").read_text(encoding="utf-8").splitlines():
            if not line.startswith("  "):
                synsets.append(_read_synset(line, name, letter, tags))
    return synsets


def _tag_counts(path: Path) -> dict[str, int]:
    """Tags of each sense: "lemma%type:file:id" to a count. Heads of adjective satellites are dropped from the key."""
    counts: dict[str, int] = defaultdict(int)
    for line in path.read_text(encoding="utf-8").splitlines():
        sense, _, count = line.split()
        counts[":".join(sense.split(":")[:3])] += int(count)
    return counts


def _read_synset(line: str, name: str, letter: str, tags: dict[str, int]) -> Synset:
    fields, _, note = line.partition(" | ")
    parts = fields.split()
    offset, file_number, kind, size = parts[0], parts[1], parts[2], int(parts[3], 16)
    pairs = [(parts[4 + 2 * i], int(parts[5 + 2 * i], 16)) for i in range(size)]
    number = {"n": 1, "v": 2, "a": 3, "r": 4, "s": 5}[kind]
    raw = [(re.sub(r"\((?:a|p|ip)\)$", "", word), sense_id) for word, sense_id in pairs]
    frequency = sum(tags.get(f"{word.lower()}%{number}:{file_number}:{sense_id:02d}", 0) for word, sense_id in raw)
    examples = tuple(match.strip() for match in re.findall(r'"([^"]+)"', note))
    gloss = re.sub(r'(;|^)?\s*"[^"]*".*$', "", note.strip()).strip(" ;:,")
    return Synset(
        key=f"{offset}-{letter}",
        part_of_speech=name,
        lemmas=tuple(dict.fromkeys(word.replace("_", " ") for word, _ in raw)),
        gloss=gloss,
        examples=examples,
        instance=bool(INSTANCE_POINTERS & set(parts)),
        frequency=frequency,
    )


def choose(synsets: Sequence[Synset]) -> tuple[list[Synset], list[Synset]]:
    """The test side: query synsets, and the candidates (their own first, then other senses of their words)."""
    senses = senses_by_lemma(synsets)
    fit = sorted((s for s in synsets if _is_fit(s, senses)), key=lambda s: order(f"wordnet:{s.key}"))
    queries: list[Synset] = []
    glosses = set[str]()
    for synset in fit:
        if len(queries) < QUERIES and _plain(synset.gloss) not in glosses:
            queries.append(synset)
            glosses.add(_plain(synset.gloss))
    extra: list[Synset] = []
    for synset in queries:
        siblings = [other for lemma in synset.lemmas for other in senses[lemma.lower()] if other.key != synset.key]
        for other in sorted(siblings, key=lambda s: (-s.frequency, s.key))[:1]:
            usable = _has_good_gloss(other) and not leaks(synset.words, other.gloss, STOP)
            if usable and _plain(other.gloss) not in glosses and len(extra) < EXTRA_SENSES:
                extra.append(other)
                glosses.add(_plain(other.gloss))
    return _without_leaks(queries, extra)


def senses_by_lemma(synsets: Iterable[Synset]) -> dict[str, list[Synset]]:
    senses: dict[str, list[Synset]] = defaultdict(list)
    for synset in synsets:
        for lemma in synset.lemmas:
            senses[lemma.lower()].append(synset)
    return senses


def _is_fit(synset: Synset, senses: dict[str, list[Synset]]) -> bool:
    """In use in tagged text, no proper name, few senses, a gloss that says something and doesn't name the word."""
    few_senses = all(len(senses[lemma.lower()]) <= 6 for lemma in synset.lemmas)
    named = synset.instance or any(lemma[0].isupper() for lemma in synset.lemmas)
    if named or not few_senses or synset.frequency == 0 or not _has_good_gloss(synset):
        return False
    return not leaks(synset.words, synset.gloss, STOP)


def _has_good_gloss(synset: Synset) -> bool:
    return 4 <= len(words(synset.gloss)) <= 25 and not COARSE_GLOSS.search(synset.gloss)


def _without_leaks(queries: list[Synset], extra: list[Synset]) -> tuple[list[Synset], list[Synset]]:
    """Leave out queries with a positive (a gloss of any sense in the pool) that shares a stem with their words."""
    candidates = queries + extra
    positives = {query.key: positives_of(query, candidates) for query in queries}
    by_key = {synset.key: synset for synset in candidates}
    kept = [
        query
        for query in queries
        if not any(leaks(query.words, by_key[key].gloss, STOP) for key in positives[query.key])
    ]
    return kept, candidates


def positives_of(query: Synset, candidates: Iterable[Synset]) -> list[str]:
    """Every candidate that shares a lemma with the query."""
    lemmas = {lemma.lower() for lemma in query.lemmas}
    return [other.key for other in candidates if lemmas & {lemma.lower() for lemma in other.lemmas}]


def _plain(gloss: str) -> str:
    return " ".join(words(gloss))


def build(work: Path, test: Path, train: Path) -> None:
    """Write ``test/data`` and ``train/wordnet``."""
    synsets = read_synsets(unpacked(WORDNET, work) / "usr/share/wordnet")
    queries, candidates = choose(synsets)
    data = fresh_folder(test / "data")
    write_rows(data / "queries.jsonl", (_query_row(query, candidates) for query in queries))
    write_rows(data / "glosses.jsonl", ({"id": s.key, "group": s.key, "gloss": s.gloss} for s in candidates))

    held_out = {lemma.lower() for synset in candidates for lemma in synset.lemmas}
    glosses = {_plain(synset.gloss) for synset in candidates}
    kept = [
        synset
        for synset in synsets
        if held_out.isdisjoint(lemma.lower() for lemma in synset.lemmas) and _plain(synset.gloss) not in glosses
    ]
    write_train_groups(data, (f"lemma:{lemma.lower()}" for synset in kept for lemma in synset.lemmas))
    fresh_folder(train / "wordnet")
    finish_train_set(train, "wordnet", [_train_row(synset) for synset in kept], [WORDNET])


def _query_row(synset: Synset, candidates: Sequence[Synset]) -> Row:
    return {
        "id": f"q-{synset.key}",
        "group": synset.key,
        "words": synset.words,
        "lemmas": list(synset.lemmas),
        "part_of_speech": synset.part_of_speech,
        "positives": positives_of(synset, candidates),
    }


def _train_row(synset: Synset) -> Row:
    return {
        "id": synset.key,
        "group": synset.key,
        "words": synset.words,
        "lemmas": list(synset.lemmas),
        "part_of_speech": synset.part_of_speech,
        "gloss": synset.gloss,
        "examples": list(synset.examples),
    }
