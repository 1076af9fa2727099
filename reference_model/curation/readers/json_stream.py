"""The values of one huge JSON array, or of JSON lines, one after the other: the file is never held whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError

CHUNK = 1 << 20  # characters read at a time
LARGEST = 1 << 26  # characters of one value; a larger one is taken for a file that is no such list
_NEAR_END = 16  # an error so close to the end of what was read may be that of a value cut in two


def values(path: Path) -> Iterator[Any]:
    """Each value in order. Raises DataError with the place where the text stops being JSON."""
    decoder = json.JSONDecoder()
    try:
        with path.open(encoding="utf-8-sig") as file:
            buffer, gone = file.read(CHUNK), 0
            array = buffer.lstrip()[:1] == "["
            at, ended, closed = (buffer.index("[") + 1 if array else 0), False, False
            before = "["  # what stood before this place in the array: its beginning, a comma or a value
            while True:
                at = _skip(buffer, at)
                sign = buffer[at : at + 1]
                if array and sign == "]" and before != ",":
                    closed, at = True, at + 1
                    array = False
                    continue
                if array and sign == "," and before == "value":
                    before, at = ",", at + 1
                    continue
                if at < len(buffer):
                    if closed:
                        raise DataError(f"{path}: more text after the end of the array, at character {gone + at:,}")
                    if array and (before == "value" or sign in ",]"):
                        wanted = "a comma" if before == "value" else "a value"
                        raise DataError(_broken(path, gone + at, f"expected {wanted}, found {sign!r}"))
                    try:
                        value, stop = decoder.raw_decode(buffer, at)
                        if stop < len(buffer) or ended:  # a number at the end may go on
                            yield value
                            at, before = stop, "value"
                            continue
                    except json.JSONDecodeError as error:
                        if ended or not _may_go_on(error, len(buffer)) or len(buffer) - at > LARGEST:
                            raise DataError(_broken(path, gone + error.pos, error.msg)) from error
                if ended:
                    if array:
                        raise DataError(f"{path}: the array does not end; the file was cut off at {gone + at:,}")
                    return
                more = file.read(max(CHUNK, len(buffer) - at))
                ended = not more
                gone, buffer, at = gone + at, buffer[at:] + more, 0
    except RecursionError as error:
        raise DataError(f"{path}: a value in it has too many brackets within each other") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason})") from error
    except ValueError as error:  # a number of too many digits
        raise DataError(f"{path}: a value in it cannot be read ({error})") from error


def _skip(buffer: str, at: int) -> int:
    while at < len(buffer) and buffer[at] in " \t\r\n":
        at += 1
    return at


def _may_go_on(error: json.JSONDecodeError, length: int) -> bool:
    """Whether more text could mend it: an open string, or something wrong at the very end."""
    return error.msg.startswith("Unterminated string") or error.pos >= length - _NEAR_END


def _broken(path: Path, place: int, wrong: str) -> str:
    return f"{path}: not JSON at character {place:,} ({wrong}); repair the file or write one object a line"
