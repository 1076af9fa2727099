"""JSON over HTTP with retries: patient with a busy server, honest about a broken one. No key is ever in a message."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from threading import Lock
from typing import Any

from unite_bench.errors import ModelError, ModelUnavailable

BUSY = (408, 425, 429, 500, 502, 503, 504)  # worth asking again
REFUSED = (400, 413, 415, 422)  # this request is not taken; another may be
LONGEST_WAIT = 60.0  # seconds between two attempts


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST loses its body, and would hand the key to another host."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class Patience:
    """`seconds` for one answer, `retries` after the first attempt, `wait` seconds before the first of them; the wait
    doubles from one to the next, and a server that says how long to wait is obeyed up to a minute.
    """

    seconds: float
    retries: int
    wait: float


class Pace:
    """At most so many requests a minute, evenly spaced, over all threads. None sets no limit."""

    def __init__(self, per_minute: float | None):
        self._apart = 60.0 / per_minute if per_minute else 0.0
        self._lock = Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is this request's turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._apart
        if turn > now:
            time.sleep(turn - now)


def post(url: str, body: Mapping[str, Any], key: str | None, patience: Patience, pace: Pace) -> Any:
    """The parsed JSON answer.

    Raises ModelError if this request is refused or the answer is not JSON, ModelUnavailable if the server refuses all
    requests (key, address) or is still busy, silent or unreachable after the last attempt.
    """
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(_NoRedirects)
    said = ""
    for attempt in range(patience.retries + 1):
        wait = patience.wait * 2**attempt
        pace.wait()
        try:
            with opener.open(request, timeout=patience.seconds) as answer:
                return _parsed(_read(answer, time.monotonic() + patience.seconds), url)
        except urllib.error.HTTPError as error:
            said = f"{url}: HTTP {error.code}: {_excerpt(error, key)}"
            if error.code in REFUSED:
                raise ModelError(said) from error
            if error.code not in BUSY:
                raise ModelUnavailable(said) from error
            wait = _asked_to_wait(error, wait)
        except TimeoutError:
            said = f"{url}: no answer in {patience.seconds:g} s"
        except (urllib.error.URLError, HTTPException, ConnectionError) as error:
            said = f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}"
        if attempt < patience.retries:
            time.sleep(min(wait, LONGEST_WAIT))
    raise ModelUnavailable(f"{said} (after {patience.retries + 1} attempts)")


def _read(answer: HTTPResponse, deadline: float) -> bytes:
    """The whole body. Raises TimeoutError if it trickles in until after the deadline."""
    pieces = []
    while piece := answer.read1(1 << 16):
        pieces.append(piece)
        if time.monotonic() > deadline:
            raise TimeoutError
    return b"".join(pieces)


def _parsed(raw: bytes, url: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError as error:
        raise ModelError(f"{url}: the answer is not JSON: {raw[:80].decode(errors='replace')!r}") from error


def _excerpt(error: urllib.error.HTTPError, key: str | None) -> str:
    """The beginning of the server's explanation, without the key, which some servers repeat."""
    text = error.read(2000).decode(errors="replace").strip() or error.reason
    return (text.replace(key, "***") if key else text)[:300]


def _asked_to_wait(error: urllib.error.HTTPError, otherwise: float) -> float:
    asked = error.headers.get("Retry-After", "")
    return float(asked) if asked.replace(".", "", 1).isdigit() else otherwise
