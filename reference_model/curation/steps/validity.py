"""Validity: media that open and decode, texts of sensible length, in declared scripts. Beyond the paper.

Scripts stand in for languages, and only that: the share of a text's letters that belong to the declared scripts of Unicode.
It tells Chinese from English, never French from English.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import regex
from pydantic import Field

from reference_model.curation.pool import Numbers, Pool
from reference_model.curation.rows import Banks, item_from_json
from reference_model.curation.step import Context, Decision, Step, StepSettings
from reference_model.prompt import SPECIAL_TOKENS
from unite_bench import media
from unite_bench.errors import MediaError
from unite_bench.items import Image, Part, Text

REASONS = (
    "medium cannot be read",
    "picture too small",
    "picture too narrow",
    "text too short",
    "text too long",
    "script",
    "a token of the prompt in a text",
)
UNREADABLE, SMALL, NARROW, SHORT, LONG, SCRIPT, TOKEN = range(1, 8)
TOKENS = (*SPECIAL_TOKENS, "<|IMAGE|>", "<|VIDEO|>")  # training refuses texts that hold one
MESSAGES = 20  # told of unreadable media at most
NOTED = 25_000  # rows between two lines of progress
REMEMBERED = 100_000  # media whose verdict is kept, so that a picture with five captions is decoded once
Script = Annotated[str, Field(pattern=r"^[A-Za-z_]+$")]


class Settings(StepSettings):
    """Lengths are in characters of all texts of an item; an item without text has no length. Texts that hold a token of the
    prompt, such as `<|image_pad|>`, are dropped in any case: training refuses them."""

    kind: Literal["validity"] = "validity"
    media: bool = Field(True, description="decode every medium")
    least_side: int = Field(8, ge=1, description="pixels of the shorter side of a picture")
    most_ratio: float = Field(100.0, gt=1, strict=False, description="longer to shorter side; Qwen2-VL refuses 200")
    least_characters: int = Field(1, ge=0)
    most_characters: int = Field(20_000, ge=1)
    scripts: tuple[Script, ...] = Field((), strict=False, description="such as Latin, Han; none given, none checked")
    script_share: float = Field(0.5, gt=0, le=1, strict=False, description="of a text's letters, at least")


@dataclass(frozen=True)
class Found:
    """What is wrong with a row: the reason, and for unreadable media the message."""

    reason: int
    message: str = ""


def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision:
    """Drops a row for the first of REASONS that holds for its query, its target or any negative."""
    look = _Look(settings, pool.root, pool.banks)
    reasons = np.zeros(alive.size, dtype=np.uint8)
    messages: list[str] = []
    done = 0
    with ThreadPoolExecutor(max(1, context.threads)) as workers:
        for numbers, table in pool.batches(("id", "query", "target", "negatives"), alive):
            columns = (table[name].to_pylist() for name in ("id", "query", "target", "negatives"))
            found = list(workers.map(look.row, *columns)) if settings.media else list(map(look.row, *columns))
            reasons[done : done + numbers.size] = [one.reason for one in found]
            messages += [one.message for one in found if one.message][: MESSAGES - len(messages)]
            done += numbers.size
            if done < alive.size and done // NOTED > (done - numbers.size) // NOTED:
                context.note(f"validity: {done:,} of {alive.size:,} rows looked at")
    return Decision.dropping(reasons, REASONS, messages=messages)


class _Look:
    """Looks at rows; remembers the verdict of recent media."""

    def __init__(self, settings: Settings, root: Path, banks: Banks | None):
        self._settings, self._root, self._banks = settings, root, banks
        self._verdict = lru_cache(maxsize=REMEMBERED)(self._medium)

    def row(self, identity: str, query: str, target: str, negatives: list[str]) -> Found:
        found = [self._item(text) for text in (query, target, *negatives)]
        worst = min((one for one in found if one.reason), key=lambda one: one.reason, default=Found(0))
        return Found(worst.reason, f"{identity}: {worst.message}" if worst.message else "")

    def _item(self, text: str) -> Found:
        item = json.loads(text)
        parts = item["parts"]
        if self._settings.media:
            for part in parts:
                if "text" not in part:
                    verdict = self._verdict(json.dumps(part))
                    if verdict.reason:
                        return verdict
        texts = [part["text"] for part in parts if "text" in part]
        wrong = self._text(texts)
        if not wrong and any(_TOKEN.search(said) for said in (*texts, item.get("instruction", ""))):
            return Found(TOKEN)
        return Found(wrong)

    def _medium(self, written: str) -> Found:
        (part,) = item_from_json(f'{{"parts":[{written}]}}', self._root, self._banks).parts
        try:
            height, width = _size(part)
        except MediaError as error:
            return Found(UNREADABLE, str(error).replace(f"{self._root}/", ""))
        if min(height, width) < self._settings.least_side:
            return Found(SMALL)
        return Found(NARROW if max(height, width) > self._settings.most_ratio * min(height, width) else 0)

    def _text(self, texts: list[str]) -> int:
        if not texts:
            return 0
        length = sum(len(text.strip()) for text in texts)
        if length < self._settings.least_characters:
            return SHORT
        if length > self._settings.most_characters:
            return LONG
        share = script_share("\n".join(texts), self._settings.scripts)
        return SCRIPT if share is not None and share < self._settings.script_share else 0


def _size(part: Part) -> tuple[int, int]:
    """(height, width) in pixels; decodes the whole picture, or the frames that a policy of eight frames picks."""
    assert not isinstance(part, Text)
    pixels = media.pixels(part) if isinstance(part, Image) else media.frames(part).pixels[0]
    return int(pixels.shape[0]), int(pixels.shape[1])


def script_share(text: str, scripts: tuple[str, ...]) -> float | None:
    """Share of the text's letters in the given scripts of Unicode; None without scripts or without letters."""
    letters = len(_LETTERS.findall(text)) if scripts else 0
    return len(_of_scripts(scripts).findall(text)) / letters if letters else None


def _check(settings: Settings, _folder: Path) -> Iterable[str]:
    for script, count in Counter(settings.scripts).items():
        try:
            _of_scripts((script,))
        except regex.error:
            yield f"{script!r} is no script of Unicode; they are called Latin, Han, Cyrillic, Arabic, Hiragana, ..."
        if count > 1:
            yield f"script {script!r} stands {count} times"
    if settings.least_characters > settings.most_characters:
        yield f"least_characters {settings.least_characters} is more than most_characters {settings.most_characters}"


_TOKEN = regex.compile("|".join(map(regex.escape, TOKENS)))
_LETTERS = regex.compile(r"\p{Letter}")


@lru_cache(maxsize=64)
def _of_scripts(scripts: tuple[str, ...]) -> Any:
    of_one = "".join(rf"\p{{Script={script}}}" for script in scripts)
    return regex.compile(rf"(?V1)[[{of_one}]&&\p{{Letter}}]")


STEP = Step(Settings, run, "media that open, texts of sensible length, declared scripts", check=_check)
