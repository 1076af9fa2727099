"""A folder of images or clips with captions: what somebody has who begins."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reference_model.curation.readers.found import BadRecord, Found, Items, Labels, unicode
from reference_model.curation.readers.sides import text_of
from reference_model.curation.readers.tables import records_of
from reference_model.curation.rows import relative
from reference_model.curation.sources import FolderSource
from unite_bench.errors import DataError
from unite_bench.items import File, Image, Item, Part, Text, Video
from unite_bench.sources.files import CAPTION_FILES, IMAGE_SUFFIXES, VIDEO_SUFFIXES

NO_CAPTION, NO_MEDIUM = "medium without a caption", "caption without a medium"


def read(source: FolderSource, labels: Labels, folder: Path, root: Path, kept: Path) -> Iterator[Found]:
    """Rows in the order of the captions file, or of the media's names; media and captions that are alone as bad records.

    What a curation itself wrote, into `kept`, is no material of the folder.
    """
    place = folder / source.path
    own = Path(os.path.relpath(kept.resolve(), place.resolve()))
    found = (path for path in sorted(place.rglob("*")) if _is_medium(path) and not path.is_relative_to(place / own))
    media = {_plain(relative(path, place)): path for path in found}
    if not media:
        raise DataError(f"{place}: no images or clips in this folder")

    def items(_file: str, _at: int, record: Mapping[str, Any]) -> Items:
        name = _plain(str(record.get("file")))
        if name not in media:
            raise BadRecord(NO_MEDIUM, f"{record.get('file')!r} is no image or clip of the folder")
        unicode(name, "the name of a medium")
        caption = Item((Text(text_of(record.get("caption"), "caption")),))
        shown = Item((_part(media[name]),))
        return (caption, shown, ()) if source.direction == "text>media" else (shown, caption, ())

    return labels.found(_records(place, root, media), items)


def _records(place: Path, root: Path, media: Mapping[str, Path]) -> Iterator[tuple[str, int, Any]]:
    """(file, number in it, {file, caption} or a bad record)."""
    listed = next((place / name for name in CAPTION_FILES if (place / name).exists()), None)
    if listed is None:
        yield from _beside(place, root, media)
        return
    silent = dict.fromkeys(media)
    name, at = relative(listed, root), -1
    for at, record in enumerate(
        _tabbed(listed) if listed.suffix == ".txt" else records_of(listed, ("file", "caption"))
    ):
        if isinstance(record, Mapping):
            silent.pop(_plain(str(record.get("file"))), None)
        yield name, at, record
    for number, medium in enumerate(silent, start=at + 1):
        yield name, number, BadRecord(NO_CAPTION, f"{medium!r} is not in {listed.name}")


def _beside(place: Path, root: Path, media: Mapping[str, Path]) -> Iterator[tuple[str, int, Any]]:
    """Captions in text files of the media's names."""
    if not any(path.with_suffix(".txt").exists() for path in media.values()):
        raise DataError(
            f"{place}: no captions; write captions.txt with lines name<TAB>caption, captions.csv or captions.jsonl with "
            "'file' and 'caption', or a .txt file of the same name beside each medium"
        )
    for name, path in media.items():
        text = path.with_suffix(".txt")
        if not text.exists():
            yield relative(path, root), 0, BadRecord(NO_CAPTION, f"no {text.name} beside {name!r}")
            continue
        try:
            yield relative(text, root), 0, {"file": name, "caption": text.read_text(encoding="utf-8-sig").strip()}
        except UnicodeDecodeError as error:
            yield relative(text, root), 0, BadRecord("not UTF-8", f"{text.name}: {error.reason}")


def _tabbed(path: Path) -> Iterator[Any]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    name, tab, caption = line.rstrip("\r\n").partition("\t")
                    whole = {"file": name, "caption": caption}
                    yield whole if tab else BadRecord("no tab", "expected name<TAB>caption")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from error


def _plain(name: str) -> str:
    """A name as it is looked up: `./a.png` and `sub\\a.png` are files too, and some systems write accents as letters of
    their own."""
    return unicodedata.normalize("NFC", posixpath.normpath(name.replace("\\", "/")))


def _part(path: Path) -> Part:
    return Image(File(path)) if path.suffix.lower() in IMAGE_SUFFIXES else Video(File(path))


def _is_medium(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES and path.is_file()
