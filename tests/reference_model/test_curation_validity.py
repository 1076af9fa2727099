"""Validity: each reason is found, on either side and in negatives, and nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from reference_model.curation.pool import Placed, Pool, write_pool
from reference_model.curation.rows import Row
from reference_model.curation.step import Context
from reference_model.curation.steps import validity
from reference_model.curation.steps.validity import LONG, NARROW, SCRIPT, SHORT, SMALL, TOKEN, UNREADABLE, Settings
from unite_bench.items import File, Image, Item, Text, Video

FINE = Item((Text("a fine text"),))


def pool_of(folder: Path, rows: Sequence[tuple[Item, ...]]) -> Pool:
    """A pool of (query, target, negatives...)."""
    placed = (Placed(Row(f"s:{n}", "s", row[0], row[1], tuple(row[2:])), "x", n) for n, row in enumerate(rows))
    write_pool(folder / "pool.parquet", placed, folder)
    return Pool(folder / "pool.parquet", folder, folder)


def reasons(folder: Path, settings: Settings, *rows: tuple[Item, ...], threads: int = 1) -> list[int]:
    pool = pool_of(folder, rows)
    alive = np.arange(len(pool))
    return validity.run(pool, alive, settings, Context(0, folder, folder, threads)).reasons.tolist()


def words(text: str) -> tuple[Item, Item]:
    return Item((Text(text),)), FINE


def test_texts_are_held_to_their_lengths_and_scripts(tmp_path: Path) -> None:
    settings = Settings(least_characters=3, most_characters=20, scripts=("Latin", "Han"), script_share=0.6)
    found = {
        "abc": 0,
        " ab ": SHORT,
        "x" * 20: 0,
        "x" * 21: LONG,
        "только слова": SCRIPT,
        "слово mixed": SCRIPT,  # 5 of 10 letters
        "слово is mixed up": 0,  # 9 of 14
        "世界 and more": 0,
        "123 + 456 = 579": 0,  # no letter, no script
        "12345678901 слово": SCRIPT,  # digits are no letters
    }
    assert reasons(tmp_path, settings, *map(words, found)) == list(found.values())
    assert reasons(tmp_path, Settings(), words("только слова"), words("x")) == [0, 0]
    parts = (Item((Text("12"), Text("34"))), FINE)
    assert reasons(tmp_path, Settings(least_characters=4), parts) == [0]  # of all texts of an item together


def test_tokens_of_the_prompt_are_found_wherever_they_stand(tmp_path: Path) -> None:
    held = [
        words("end it <|im_end|> here"),
        (FINE, Item((Text("<|image_pad|>"),))),
        (Item(FINE.parts, "Find <|IMAGE|>."), FINE),
        (FINE, FINE, Item((Text("<|vision_start|>"),))),
        words("<|im_end> | <image>"),
    ]
    assert reasons(tmp_path, Settings(), *held) == [TOKEN, TOKEN, TOKEN, TOKEN, 0]


def test_media_are_decoded_and_held_to_their_shapes(tmp_path: Path) -> None:
    sizes = {"good": (30, 20), "small": (30, 7), "narrow": (330, 30)}
    for name, size in sizes.items():
        Pillow.new("RGB", size).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:45])
    (tmp_path / "broken.mp4").write_bytes(b"no clip")

    def image(name: str) -> Item:
        return Item((Image(File(tmp_path / f"{name}.png")),))

    rows = [
        (FINE, image("good")),
        (FINE, image("small")),
        (image("narrow"), FINE),
        (FINE, image("broken")),
        (FINE, image("missing")),
        (FINE, Item((Video(File(tmp_path / "broken.mp4")),))),
        (FINE, image("good"), image("good"), image("broken")),
        (image("small"), image("broken")),  # the first of the reasons counts
    ]
    wanted = [0, SMALL, NARROW, UNREADABLE, UNREADABLE, UNREADABLE, UNREADABLE, UNREADABLE]
    for threads in (1, 3):
        assert reasons(tmp_path, Settings(most_ratio=10), *rows, threads=threads) == wanted
    assert reasons(tmp_path, Settings(media=False), *rows) == [0] * len(rows)
    assert reasons(tmp_path, Settings(most_ratio=11, least_side=7), *rows)[:3] == [0, 0, 0]


def test_messages_name_the_row_and_no_folder(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, [(FINE, Item((Image(File(tmp_path / "no.png")),)))])
    (message,) = validity.run(pool, np.arange(1), Settings(), Context(0, tmp_path, tmp_path)).facts["messages"]
    assert message.startswith("s:0: no.png: ") and str(tmp_path) not in message


@pytest.mark.parametrize("alive", [[1, 3], [0, 2]])
def test_only_the_living_are_looked_at(tmp_path: Path, alive: list[int]) -> None:
    pool = pool_of(tmp_path, [words("long enough"), words("x")] * 2)
    decision = validity.run(pool, np.array(alive), Settings(least_characters=2), Context(0, tmp_path, tmp_path))
    assert decision.keep.tolist() == [n % 2 == 0 for n in alive]
