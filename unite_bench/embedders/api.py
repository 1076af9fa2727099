"""`api:URL`: an embedding server that speaks the OpenAI protocol (`POST URL/embeddings`), for texts and, as vLLM's
pooling servers take them, pictures.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.handed_over import png
from unite_bench.embedders.posting import Pace, Patience, post
from unite_bench.errors import ModelError, UsageError
from unite_bench.items import Item, Role, Text, Video


class ApiEmbedder(Embedder):
    """The card is what you declare, because a server does not say: `dim`, `modalities` (`text`, `image`, `image+text`),
    `revision`. Without a revision, vectors are reused within this run only: nothing tells when a server changes its model.

    `query_prefix` and `candidate_prefix` stand before the text of their role; an instruction is sent only if `instruction`
    says how, as in "Instruct: {instruction}\\nQuery: ", and then in place of the prefix. The key is read from the
    environment variable `key_variable` when it is needed; it is kept nowhere.

    `batch` texts go into one request, `concurrency` requests at once, at most `per_minute`. `seconds` is how long one
    answer may take; a busy or silent server is asked `retries` times more, after 1, 2, 4, ... seconds times `wait`.
    """

    def __init__(
        self,
        url: str,
        model: str,
        dim: int,
        modalities: tuple[str, ...] = ("text",),
        revision: str | None = None,
        query_prefix: str = "",
        candidate_prefix: str = "",
        instruction: str | None = None,
        key_variable: str = "UNITE_BENCH_API_KEY",
        batch: int = 16,
        concurrency: int = 4,
        per_minute: float | None = None,
        seconds: float = 60.0,
        retries: int = 5,
        wait: float = 1.0,
    ):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(f"api: {url!r} is not an address, as in api:http://localhost:8000/v1")
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise UsageError(f"api: the address stands in the record; put the key into ${key_variable}, not into it")
        if not key_variable.isidentifier():
            raise UsageError("key_variable is the name of an environment variable, never the key itself")
        if instruction is not None and "{instruction}" not in instruction:
            raise UsageError(f"instruction={instruction!r} has no place for the words: write {{instruction}} in it")
        if min(batch, concurrency) < 1 or retries < 0:
            raise UsageError("batch and concurrency are at least 1, retries at least 0")
        self.url, self.model = f"{url.rstrip('/')}/embeddings", model
        self.prefixes: Mapping[Role, str] = {"query": query_prefix, "candidate": candidate_prefix}
        self.instruction, self.key_variable = instruction, key_variable
        self.batch, self.concurrency, self.per_minute = batch, concurrency, per_minute
        self.patience = Patience(seconds, retries, wait)
        self._pace: Pace | None = None
        self.card = EmbedderCard(
            name=f"api:{model}",
            modalities=frozenset(modalities),
            dim=dim,
            revision=revision or f"unpinned, run {uuid.uuid4().hex[:12]}",
            role_matters=query_prefix != candidate_prefix,
            instruction_matters=instruction is not None,
            prompt=f"query {query_prefix!r}, candidate {candidate_prefix!r}, instruction {instruction!r}",
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pace": None}

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        """(len(items), dim) float32. Texts are sent many at a time, an item with a picture by itself.

        Raises ModelError for an answer that does not fit what was sent, ModelUnavailable if the server is lost.
        """
        wrong = {item.modality for item in items} - self.card.modalities
        if wrong:
            raise ModelError(f"{self.card.name} does not take {', '.join(sorted(wrong))}")
        texts = [n for n, item in enumerate(items) if item.modality == "text"]
        groups = [texts[n : n + self.batch] for n in range(0, len(texts), self.batch)]
        groups += [[n] for n, item in enumerate(items) if item.modality != "text"]
        bodies = [self._body([items[n] for n in group], role) for group in groups]
        rows = np.empty((len(items), self.card.dim), dtype=np.float32)
        self._pace = self._pace or Pace(self.per_minute)
        with ThreadPoolExecutor(self.concurrency) as pool:
            for group, found in zip(groups, pool.map(self._vectors, bodies, map(len, groups)), strict=True):
                rows[group] = found
        return rows

    def _body(self, items: Sequence[Item], role: Role) -> dict[str, Any]:
        common = {"model": self.model, "encoding_format": "float"}
        if items[0].modality == "text":
            return {**common, "input": [self._before(item, role) + (item.text or "") for item in items]}
        (item,) = items
        before = self._before(item, role)
        content = [{"type": "text", "text": before}] if before else []
        return {**common, "messages": [{"role": "user", "content": [*content, *map(_content, item.parts)]}]}

    def _before(self, item: Item, role: Role) -> str:
        if item.instruction is not None and self.instruction is not None:
            return self.instruction.replace("{instruction}", item.instruction)
        return self.prefixes[role]

    def _vectors(self, body: Mapping[str, Any], count: int) -> Vectors:
        assert self._pace is not None
        answer = post(self.url, body, os.environ.get(self.key_variable), self.patience, self._pace)
        return in_order(answer, count, self.card.dim, self.url)


def in_order(answer: Any, count: int, dim: int, url: str) -> Vectors:
    """(count, dim) vectors of an answer, by their `index`. Raises ModelError for too few, twice the same, or wrong-sized."""
    try:
        found = {int(entry["index"]): entry["embedding"] for entry in answer["data"]}
    except (TypeError, KeyError, ValueError) as error:
        raise ModelError(f"{url}: the answer has no list `data` of index and embedding ({error!r})") from error
    if len(answer["data"]) != count or found.keys() != set(range(count)):
        raise ModelError(f"{url}: {len(answer['data'])} vectors, with indices {sorted(found)[:5]}, for {count} inputs")
    wrong = [n for n in range(count) if not isinstance(found[n], list) or len(found[n]) != dim]
    if wrong:
        size = len(found[wrong[0]]) if isinstance(found[wrong[0]], list) else type(found[wrong[0]]).__name__
        raise ModelError(f"{url}: a vector of size {size}, the card says dim={dim}")
    if not all(type(value) in (float, int) for vector in found.values() for value in vector):
        raise ModelError(f"{url}: a vector holds something that is no number")
    return np.array([found[n] for n in range(count)], dtype=np.float32)


def _content(part: Any) -> dict[str, Any]:
    """A part as the content of a chat message: a text, or a picture as PNG in a data URL."""
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Video):
        raise ModelError("clips cannot be sent to a server; use --fuse, which sends their frames")
    data = base64.b64encode(png(media.pixels(part))).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
