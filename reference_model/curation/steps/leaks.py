"""Looking rows up among the texts and media of evaluation sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reference_model.curation.steps import pictures, texts
from reference_model.curation.steps.bands import Buckets
from reference_model.curation.steps.evaluation_sets import TaskParts, medium_key
from unite_bench.errors import MediaError
from unite_bench.items import Image, Item, Kind, Text, Video

Tasks = frozenset[str]
NONE: Tasks = frozenset()
TEXTS_AT_ONCE = 512
MOST_SEEN = 100_000  # media of the pool whose answer is kept, as pictures often stand in many rows


@dataclass(frozen=True)
class Found:
    """The tasks that hold something equal to, or near, a part of an item."""

    equal: Tasks = NONE
    near: Tasks = NONE

    def __or__(self, other: Found) -> Found:
        return Found(self.equal | other.equal, self.near | other.near)


class Leaks:
    """All texts and media of the sets, ready to be looked up. `not_compared` counts lookups that met a crowded bucket."""

    rows_at_once = 4096

    def __init__(self, tasks: Sequence[TaskParts], near_text: float | None, near_picture: int | None):
        self._text_tasks, self._media_tasks = _by_part(tasks)
        self._near_text, self._near_picture = near_text, near_picture
        self.not_compared = 0
        self._texts = sorted(self._text_tasks)
        self._height = 0 if near_text is None else texts.rows_at(near_text)[0]
        self._text_buckets = (
            Buckets(texts.bands_of(self._texts, self._height)) if self._height and self._texts else None
        )
        self._media = _Media(tasks) if near_picture is not None else None
        self._seen: dict[str, Tasks] = {}

    def of(self, items: Sequence[Item]) -> list[Found]:
        """What each item leaks. Raises MediaError, naming the item, for a medium that cannot be read."""
        words = [[texts.normalised(p.text) for p in item.parts if isinstance(p, Text)] for item in items]
        near_words = self._near_texts(sorted({word for own in words for word in own} - self._text_tasks.keys()))
        found = []
        for item, own in zip(items, words, strict=True):
            equal = [self._text_tasks.get(word, NONE) for word in own]
            near = [near_words.get(word, NONE) for word in own]
            for part in item.parts:
                if not isinstance(part, Text):
                    part_equal, part_near = self._of_medium(part, item.id)
                    equal.append(part_equal)
                    near.append(part_near)
            found.append(Found(NONE.union(*equal), NONE.union(*near)))
        return found

    def _near_texts(self, asked: Sequence[str]) -> dict[str, Tasks]:
        if self._text_buckets is None or self._near_text is None or not asked:
            return {}
        found: dict[str, Tasks] = {}
        for start in range(0, len(asked), TEXTS_AT_ONCE):
            own = asked[start : start + TEXTS_AT_ONCE]
            pairs, cut = self._text_buckets.candidates(texts.bands_of(own, self._height))
            self.not_compared += cut
            for i, j in pairs.tolist():
                similarity = texts.jaccard(texts.shingles(own[i]), texts.shingles(self._texts[j]))
                if similarity >= self._near_text:
                    found[own[i]] = found.get(own[i], NONE) | self._text_tasks[self._texts[j]]
        return found

    def _of_medium(self, part: Image | Video, row: str) -> tuple[Tasks, Tasks]:
        try:
            key = medium_key(part)
        except MediaError as error:
            raise MediaError(f"row {row}: {error}; the step `validity` finds and drops such rows") from error
        equal = self._media_tasks.get(key, NONE)
        if equal or self._media is None or self._near_picture is None:
            return equal, NONE
        key = f"{key} {getattr(part, 'start', None)} {getattr(part, 'end', None)}"
        if key not in self._seen:
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            near, cut = self._media.near(part.kind, pictures.thumbnail_of(part, row), self._near_picture)
            self.not_compared += cut
            self._seen[key] = NONE.union(*(self._media_tasks[name] for name in near))
        return NONE, self._seen[key]


class _Media:
    """Thumbnails of all media of the sets, by kind."""

    def __init__(self, tasks: Sequence[TaskParts]):
        parts = {key: part for task in tasks for key, part in task.media.items()}
        self._names: dict[Kind, list[str]] = {}
        self._thumbnails: dict[Kind, pictures.Thumbnails] = {}
        self._buckets: dict[Kind, Buckets] = {}
        kinds: tuple[Kind, ...] = ("image", "video")
        for kind in kinds:
            readable: dict[str, pictures.Thumbnails] = {}
            for key in sorted(key for key, part in parts.items() if part.kind == kind):
                try:
                    readable[key] = pictures.thumbnail(parts[key])
                except MediaError:
                    for task in tasks:
                        task.unreadable += key in task.media
            if readable:
                self._names[kind] = list(readable)
                self._thumbnails[kind] = np.stack(list(readable.values()))
                self._buckets[kind] = Buckets(pictures.bands_of(self._thumbnails[kind]))

    def near(self, kind: Kind, thumbnail: pictures.Thumbnails, most: int) -> tuple[list[str], int]:
        if kind not in self._buckets:
            return [], 0
        pairs, cut = self._buckets[kind].candidates(pictures.bands_of(thumbnail[None]))
        held = self._thumbnails[kind][pairs[:, 1]]
        close = pairs[pictures.difference(np.broadcast_to(thumbnail, held.shape), held) <= most, 1]
        return [self._names[kind][at] for at in close.tolist()], cut


def _by_part(tasks: Sequence[TaskParts]) -> tuple[dict[str, Tasks], dict[str, Tasks]]:
    words: dict[str, Tasks] = {}
    media: dict[str, Tasks] = {}
    for task in tasks:
        for word in task.texts:
            words[word] = words.get(word, NONE) | {task.name}
        for key in task.media:
            media[key] = media.get(key, NONE) | {task.name}
    return words, media
