"""Tables in the user's own files: JSONL, CSV, Parquet, or a folder of media with an optional captions file."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError
from unite_bench.sources.tables import Table

CAPTION_FILES = ("captions.jsonl", "captions.csv", "captions.txt")
SETTLED = 2 * 10**9  # nanoseconds, more than a tick of any file system's clock
_SURPLUS = "\0"  # where the csv module puts cells beyond the header's; no column is called so
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v"})


def open_table(path: Path) -> Table:
    """Read a table by its suffix, or a folder. Raises DataError naming file and line.

    Files are cached by path, size and modification time, since several tasks and both sides of a task share them; one
    that has just changed is not, because its next change may bear the same time stamp. A folder is listed anew each
    time: its own time stamp says nothing about the files in it.
    """
    if path.is_dir():
        return _folder(path)
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: no such file or folder; paths in a task start from the task file's folder") from error
    if time.time_ns() - stat.st_mtime_ns < SETTLED:
        return _read(path)
    return _open(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _open(path: Path, size: int, mtime_ns: int) -> Table:
    return _read(path)


def _read(path: Path) -> Table:
    readers = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: unknown kind of table {path.suffix!r}; use {', '.join(readers)} or a folder")
    return reader(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _jsonl(path: Path) -> Table:
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error.msg}); one object a line") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: expected an object, found {type(row).__name__}")
        rows.append(row)
        lines.append(number)
    return Table(str(path), _columns(rows), rows, lines)


def _csv(path: Path) -> Table:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), restkey=_SURPLUS, strict=True)
    header = list(reader.fieldnames or ())
    if not all(header) or len(set(header)) != len(header):
        raise DataError(f"{path}:1: every column needs a name of its own; found {', '.join(map(repr, header))}")
    rows: list[Mapping[str, Any]] = []
    lines: list[int] = []
    try:
        for row in reader:
            if _SURPLUS in row or None in row.values():
                raise DataError(f"{path}:{reader.line_num}: the row has more or fewer cells than the header")
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error
    return Table(str(path), tuple(header), rows, lines)


def _parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error})") from error
    return Table(str(path), tuple(table.column_names), table.to_pylist())


def _folder(folder: Path) -> Table:
    """Media of a folder as rows with `id`, `image` or `video`; a captions file beside them adds `caption` and more.

    The captions file is `captions.jsonl` or `captions.csv` with a column `file`, or `captions.txt` with lines
    `name<TAB>caption`. A medium without a caption, or a caption without a medium, is an error.
    """
    media = {p.name: p for p in sorted(folder.iterdir()) if _kind(p) is not None}
    if not media:
        raise DataError(f"{folder}: no images or videos in this folder")
    captions = next((folder / name for name in CAPTION_FILES if (folder / name).exists()), None)
    if captions is None:
        rows: list[dict[str, Any]] = [{"id": name, str(_kind(p)): name} for name, p in media.items()]
        return Table(str(folder), _columns(rows), rows)
    described = _caption_txt(captions) if captions.suffix == ".txt" else open_table(captions)
    if "file" not in described.columns:
        raise DataError(
            f"{captions}: needs a column 'file' that names the medium; found {', '.join(described.columns)}"
        )
    rows = []
    for number, row in enumerate(described.rows):
        name = str(row.get("file"))
        if name not in media:
            raise DataError(f"{described.where(number)}: no medium {name!r} in {folder}")
        rows.append({"id": name, str(_kind(media[name])): name, **{k: v for k, v in row.items() if k != "file"}})
    silent = sorted(set(media) - {str(row.get("file")) for row in described.rows})
    if silent:
        raise DataError(f"{captions}: no caption for {', '.join(silent[:5])}{' ...' if len(silent) > 5 else ''}")
    return Table(described.name, _columns(rows), rows, described.lines)


def _caption_txt(path: Path) -> Table:
    rows, lines = [], []
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        name, tab, caption = line.partition("\t")
        if not tab:
            raise DataError(f"{path}:{number}: expected name<TAB>caption")
        rows.append({"file": name, "caption": caption})
        lines.append(number)
    return Table(str(path), ("file", "caption"), rows, lines)


def _kind(path: Path) -> str | None:
    suffix = path.suffix.lower()
    return "image" if suffix in IMAGE_SUFFIXES else "video" if suffix in VIDEO_SUFFIXES else None


def _columns(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for row in rows for key in row))
