"""The committed real data holds together: rows, media, qrels, splits and texts.

If one of these fails, a score on the embedded suite would measure a mistake in the data. Only committed files are read.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2] / "unite_bench" / "tasks" / "embedded"
SETS = ("animations", "emoji", "flags", "lucide", "openclipart", "wordnet")
TABLES = sorted(ROOT.glob("*/data/*.jsonl")) if (ROOT / "wordnet").is_dir() else []
TASKS = sorted(path for name in SETS for path in (ROOT / name).glob("*.yaml"))
MEDIA = ("image", "video")
GROUP_HASH_BYTES = 5
SMALL_WORDS = "a an and as at be by for from in into is it no not of off on one or out that the to up with"


@cache
def rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@cache
def task(path: Path) -> Row:
    spec: Row = yaml.safe_load(path.read_text(encoding="utf-8"))
    return spec


def queries(path: Path) -> list[Row]:
    return rows(path.parent / task(path)["source"]["path"])


def candidates(path: Path) -> list[Row]:
    return rows(path.parent / task(path)["candidates"]["source"]["path"])


def positives(path: Path, row: Row) -> list[str]:
    value = row[task(path)["qrels"]["column"]]
    return [value] if isinstance(value, str) else value


def name(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}" if path.suffix == ".yaml" else f"{path.parents[1].name}-{path.stem}"


def media_paths() -> list[Path]:
    named = {table.parent / row[kind] for table in TABLES for row in rows(table) for kind in MEDIA if kind in row}
    return sorted(named)


def test_all_sets_and_tasks_are_here() -> None:
    assert len(TASKS) == 14
    assert all((ROOT / name / "LICENSE.md").is_file() for name in SETS)


def test_total_size_is_within_its_budget() -> None:
    size = sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file())
    assert size <= 40 * 2**20


@pytest.mark.parametrize("table", TABLES, ids=name)
def test_ids_are_unique(table: Path) -> None:
    ids = [row["id"] for row in rows(table)]
    assert ids
    assert len(ids) == len(set(ids))


def test_every_medium_is_used_and_every_used_medium_exists() -> None:
    stored = {
        path for name in SETS for folder in ("images", "clips") for path in (ROOT / name / "data" / folder).glob("*")
    }
    assert stored == set(media_paths())


def test_images_open_in_full_and_are_large_enough() -> None:
    for path in media_paths():
        if path.suffix != ".mp4":
            with Image.open(path) as picture:
                picture.load()
                assert max(picture.size) >= 128, path.name
                assert np.asarray(picture.convert("L")).std() > 1, f"{path.name} is blank"


def test_clips_open_in_both_readers_with_the_same_frames() -> None:
    av = pytest.importorskip("av")
    decord = pytest.importorskip("decord")
    for path in media_paths():
        if path.suffix == ".mp4":
            reader = decord.VideoReader(str(path))
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                frames = sum(1 for _ in container.decode(stream))
                assert (stream.width, stream.height, stream.codec_context.name) == (320, 240, "h264"), path.name
            assert frames == len(reader) == 48, path.name


@pytest.mark.parametrize("path", TASKS, ids=name)
def test_positives_are_candidates_and_lie_in_the_pool(path: Path) -> None:
    known = {row["id"] for row in candidates(path)}
    pool_column = task(path)["pool"].get("per-query") if isinstance(task(path)["pool"], dict) else None
    for row in queries(path):
        wanted = positives(path, row)
        assert wanted and len(wanted) == len(set(wanted))
        pool = set(row[pool_column]) if pool_column else known
        assert set(wanted) <= pool <= known, row["id"]
        assert len(pool) > len(wanted), row["id"]


@pytest.mark.parametrize("path", TASKS, ids=name)
def test_columns_of_the_task_are_filled(path: Path) -> None:
    for side, table in (("queries", queries(path)), ("candidates", candidates(path))):
        columns = [task(path)[side][part] for part in task(path)[side]["modality"].split("+")]
        instruction = task(path)[side].get("instruction")
        columns += [instruction["column"]] if isinstance(instruction, dict) else []
        for row in table:
            assert all(isinstance(row[column], str) and row[column].strip() for column in columns), row["id"]


@pytest.mark.parametrize("path", TASKS, ids=name)
def test_equal_query_texts_have_equal_positives(path: Path) -> None:
    """Two rows that ask the same thing with different right answers would make the qrels incomplete."""
    parts = [task(path)["queries"][part] for part in task(path)["queries"]["modality"].split("+")]
    seen: dict[tuple[str, ...], set[str]] = {}
    for row in queries(path):
        key = tuple(row[part].lower() for part in parts)
        assert seen.setdefault(key, set(positives(path, row))) == set(positives(path, row)), key


@pytest.mark.parametrize("path", [path for path in TASKS if "text" in path.read_text()], ids=name)
def test_candidate_texts_differ(path: Path) -> None:
    """A text that stands in the pool twice would be right under one id and wrong under the other."""
    if task(path)["candidates"]["modality"] == "text":
        column = task(path)["candidates"]["text"]
        texts = [(row.get("type"), row[column].lower()) for row in candidates(path)]
        assert len(texts) == len(set(texts))


@cache
def train_groups(name: str) -> set[bytes]:
    packed = (ROOT / name / "data" / "train_groups.bin").read_bytes()
    return {packed[i : i + GROUP_HASH_BYTES] for i in range(0, len(packed), GROUP_HASH_BYTES)}


def group_hash(group: str) -> bytes:
    return hashlib.sha256(group.encode()).digest()[:GROUP_HASH_BYTES]


@pytest.mark.parametrize("name", ["emoji", "flags", "lucide", "openclipart"])
def test_no_test_group_is_a_train_group(name: str) -> None:
    groups = {row["group"] for path in (ROOT / name / "data").glob("*.jsonl") for row in rows(path) if "group" in row}
    assert groups
    assert not {group for group in groups if group_hash(group) in train_groups(name)}


def test_no_word_of_a_wordnet_query_is_a_train_word() -> None:
    lemmas = {lemma.lower() for row in rows(ROOT / "wordnet/data/queries.jsonl") for lemma in row["lemmas"]}
    assert len(train_groups("wordnet")) > 100_000
    assert not {lemma for lemma in lemmas if group_hash(f"lemma:{lemma}") in train_groups("wordnet")}


def plain_words(text: str) -> set[str]:
    return {re.sub(r"(?<=...)(?:s|es|ed|ing|ly)$", "", word) for word in re.findall(r"[a-z]+", text.lower())}


def singular_words(text: str) -> set[str]:
    return {re.sub(r"(?<=..[^s])s$", "", word) for word in re.findall(r"[a-z]+", text.lower())}


def share_stem(first: str, second: str) -> bool:
    """The builder's rule, written again: four letters in front and all but three of the shorter, or a common end."""
    shorter, longer = sorted((first, second), key=len)
    if shorter == longer or (len(shorter) >= 4 and longer.endswith(shorter)):
        return True
    needed = max(4, len(shorter) - 3)
    return len(shorter) >= 4 and shorter[:needed] == longer[:needed]


def test_no_positive_gloss_shares_a_stem_with_its_query() -> None:
    small = set(re.findall("[a-z]+", SMALL_WORDS))
    glosses = {row["id"]: row["gloss"] for row in rows(ROOT / "wordnet/data/glosses.jsonl")}
    for row in rows(ROOT / "wordnet/data/queries.jsonl"):
        asked = plain_words(row["words"]) - small
        for key in row["positives"]:
            shared = [(a, b) for a in asked for b in plain_words(glosses[key]) if share_stem(a, b)]
            assert not shared, (row["words"], glosses[key], shared)


def test_every_sense_in_the_pool_is_a_positive() -> None:
    lemmas = {
        row["group"]: {lemma.lower() for lemma in row["lemmas"]} for row in rows(ROOT / "wordnet/data/queries.jsonl")
    }
    for row in rows(ROOT / "wordnet/data/queries.jsonl"):
        same = {key for key, others in lemmas.items() if others & lemmas[row["group"]]}
        assert same <= set(row["positives"]), row["words"]


def test_every_icon_with_all_tags_is_a_positive() -> None:
    icons = {row["id"]: set(row["tags"]) for row in rows(ROOT / "lucide/data/icons.jsonl")}
    for row in rows(ROOT / "lucide/data/queries.jsonl"):
        asked = set(row["tags"].split(", "))
        assert {key for key, tags in icons.items() if asked <= tags} == set(row["positives"]), row["id"]


def test_no_title_also_fits_a_drawing_that_is_not_its_positive() -> None:
    titles = {row["id"]: row["title"] for row in rows(ROOT / "openclipart/data/drawings.jsonl")}
    for row in rows(ROOT / "openclipart/data/titles.jsonl"):
        asked = singular_words(row["title"])
        wrong = [titles[key] for key in titles.keys() - set(row["positives"]) if asked < singular_words(titles[key])]
        assert not wrong, (row["title"], wrong)


@pytest.mark.parametrize("table", ["animations", "long_animations"])
def test_no_description_names_its_animation_an_author_or_a_year(table: str) -> None:
    credits = " ".join(row["written_by"] for row in rows(ROOT / "animations/data/credits.jsonl"))
    authors = set(re.findall(r"[A-Z][a-z]{3,}", credits))
    assert "Zawinski" in authors
    for row in rows(ROOT / f"animations/data/{table}.jsonl"):
        text = row["description"]
        assert not re.search(r"\d{4}", text)
        assert not [word for word in plain_words(text) if len(word) > 3 and share_stem(row["id"], word)], row["id"]
        assert not authors & set(re.findall(r"[A-Z][a-z]+", text)), row["id"]
        assert table == "animations" or len(text.split()) >= 15, row["id"]


def test_pictures_that_look_the_same_answer_the_same() -> None:
    """All but equal pictures in one pool must be right together, or one of them makes a right answer wrong."""
    for table, query, limit in (
        ("lucide/icons", "lucide/queries", 0.01),
        ("openclipart/drawings", "openclipart/titles", 0.01),
    ):
        (set_, images), (_, asked) = table.split("/"), query.split("/")
        pictures = {
            row["id"]: fingerprint(ROOT / set_ / "data" / row["image"])
            for row in rows(ROOT / set_ / "data" / f"{images}.jsonl")
        }
        right = {row["id"]: set(row["positives"]) for row in rows(ROOT / set_ / "data" / f"{asked}.jsonl")}
        for first, second in combinations(pictures, 2):
            if np.abs(pictures[first] - pictures[second]).mean() < limit:
                apart = [key for key, found in right.items() if len(found & {first, second}) == 1]
                assert not apart, (first, second, apart)


def test_emoji_pictures_differ() -> None:
    digests = [
        hashlib.sha256(Image.open(path).convert("RGB").tobytes()).hexdigest()
        for path in (ROOT / "emoji/data/images").glob("*")
    ]
    assert len(digests) == len(set(digests))
    for row in rows(ROOT / "emoji/data/queries.jsonl"):
        assert row["source"] not in row["positives"]


def fingerprint(path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The picture on a 32 x 32 grid, 0 to 1."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((32, 32)), dtype=np.float32) / np.float32(255)
