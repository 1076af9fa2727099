"""Encoding: items in, one vector each (or their tokens) out, through the store. What is stored is not encoded again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unite_bench import media
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.contract import as_rows, faults_of_items
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.encode.plan import plan
from unite_bench.encode.store import Store, default_root
from unite_bench.errors import ItemFailed, MediaError, ModelError, ModelUnavailable, NotStored, UniteBenchError
from unite_bench.items import Item, Role, Video, content_digest
from unite_bench.rank.maxsim import MOST_QUERY_TOKENS, Tokens

OnError = Literal["fail", "skip"]
Progress = Callable[[int, int], None]  # items done, items to do


@dataclass(frozen=True)
class Encoded:
    """Vectors (items, dim) float32, or with late interaction the tokens of each item. Those of failed items are NaN (one
    token each), and `failed` names them with the reason."""

    vectors: npt.NDArray[np.float32] | Tokens
    failed: Mapping[str, str]
    computed: int
    reused: int

    @property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Which items have a vector, (items,)."""
        if isinstance(self.vectors, Tokens):
            return np.array([bool(np.isfinite(rows[0, 0])) for rows in self.vectors.of], dtype=bool)
        return np.asarray(np.isfinite(self.vectors).all(axis=1))

    @property
    def rankable(self) -> npt.NDArray[np.float32] | Tokens:
        """The vectors with ones in place of NaN: a failed query has no positives left, so its scores count for nothing."""
        if isinstance(self.vectors, Tokens):
            ones = np.ones_like(self.vectors.of[0][:1])
            return Tokens([rows if ok else ones for rows, ok in zip(self.vectors.of, self.usable, strict=True)])
        return np.where(self.usable[:, None], self.vectors, np.float32(1.0))


class Encoder:
    """One embedder and its store; the embedder is set up at the first item that is not in the store.

    `root` is the folder of all stores (default: `default_root()`). With `may_encode` off, what is not in the store raises
    NotStored, and the model is never loaded.
    """

    def __init__(
        self,
        embedder: Embedder,
        root: Path | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        may_encode: bool = True,
    ):
        self.embedder = embedder
        self.fingerprint = content_digest(fingerprint(embedder, dtype), device.split(":")[0])
        self.store = Store(root or default_root(), self.fingerprint)
        self.may_encode = may_encode
        self._setup = (device, dtype)
        self._ready = False

    def encode(
        self,
        items: Sequence[Item],
        role: Role,
        *,
        broken: Mapping[str, str] | None = None,
        on_error: OnError = "fail",
        progress: Progress | None = None,
    ) -> Encoded:
        """Vectors of all items. `broken` names (by id) items without parts and says why.

        Raises ItemFailed at the first item that cannot be encoded, unless `on_error` is "skip". Whatever was encoded
        before an error, an interrupt or a kill is in the store.
        """
        card = self.embedder.card
        failed: dict[str, str] = dict(broken or {})
        keys: list[str | None] = []
        shown: dict[str, Item] = {}
        names: dict[str, str] = {}
        for item in items:
            try:
                key, bare = _key(item, role, card) if item.parts else (None, item)
            except MediaError as error:
                if on_error == "fail":
                    raise ItemFailed(item.id, str(error)) from error
                failed[item.id] = str(error)
                key, bare = None, item
            keys.append(key)
            if key is not None and key not in self.store:
                shown.setdefault(key, bare)
                names.setdefault(key, item.id)
        lost = self._fill(shown, names, role, on_error, progress)
        failed.update({i.id: lost[k] for i, k in zip(items, keys, strict=True) if k in lost})
        reused = len({k for k in keys if k is not None}) - len(shown)
        if card.similarity == "maxsim":
            tokens = self._tokens(items, keys, role, failed, on_error)
            return Encoded(tokens, failed, computed=len(shown) - len(lost), reused=reused)
        found = [n for n, key in enumerate(keys) if key is not None and key in self.store]
        vectors = np.full((len(items), card.dim), np.nan, dtype=np.float32)
        if found:
            vectors[found] = self.store.matrix([keys[n] or "" for n in found], card.dim)
        return Encoded(vectors, failed, computed=len(shown) - len(lost), reused=reused)

    def _tokens(
        self, items: Sequence[Item], keys: Sequence[str | None], role: Role, failed: dict[str, str], on_error: OnError
    ) -> Tokens:
        """The stored tokens of every item. A query of too many is one that cannot be ranked."""
        lost = np.full((1, self.embedder.card.dim), np.nan, dtype=np.float32)
        tokens = [lost if key is None or key not in self.store else self.store.get(key) for key in keys]
        for n, rows in enumerate(tokens):
            if role == "query" and len(rows) > MOST_QUERY_TOKENS:
                reason = f"{len(rows)} tokens; MaxSim takes queries of at most {MOST_QUERY_TOKENS}, so cut or pool them"
                if on_error == "fail":
                    raise ItemFailed(items[n].id, reason)
                failed[items[n].id], tokens[n] = reason, lost
        return Tokens(tokens)

    def _fill(
        self,
        shown: Mapping[str, Item],
        names: Mapping[str, str],
        role: Role,
        on_error: OnError,
        progress: Progress | None,
    ) -> dict[str, str]:
        """Encode and publish the missing items batch by batch; returns the reasons of those that failed."""
        keys = list(shown)
        if not keys:
            return {}
        if not self.may_encode:
            raise NotStored(f"{len(keys)} vectors are not in the store")
        prices = self._prepared([shown[key] for key in keys])
        failed: dict[str, str] = {}
        done = 0
        batches = plan(keys, [shown[key].modality for key in keys], prices)
        announce(self.embedder, [shown[keys[i]] for batch in batches for i in batch], self._given(role))
        for batch in batches:
            self._encode_batch([keys[i] for i in batch], shown, names, role, failed)
            done += len(batch)
            if progress:
                progress(done, len(keys))
            if failed and on_error == "fail":
                key, reason = next(iter(failed.items()))
                raise ItemFailed(names[key], reason)
        return failed

    def _given(self, role: Role) -> Role:
        """The role as the model may see it: not at all, where it is not part of the vector's key."""
        return role if self.embedder.card.role_matters else "query"

    def _prepared(self, items: Sequence[Item]) -> list[float]:
        """Load the model if that was not done yet; the cost of each item."""
        if not self._ready:
            set_up(self.embedder, *self._setup)
            self._ready = True
        return costs(self.embedder, items)

    def _encode_batch(
        self, keys: list[str], shown: Mapping[str, Item], names: Mapping[str, str], role: Role, failed: dict[str, str]
    ) -> None:
        """Publish one batch. If the model raises, halve until the item at fault stands alone; the others are kept."""
        output, reason = None, ""
        try:
            output = ask(self.embedder, [shown[key] for key in keys], self._given(role))
        except ModelUnavailable:
            raise  # no item's fault: halving would only ask again
        except ModelError as error:
            reason = str(error)
        if output is None:  # outside of the handler: the traceback holds all that the failed call had in memory
            if len(keys) == 1:
                failed[keys[0]] = reason
                return
            half = len(keys) // 2
            self._encode_batch(keys[:half], shown, names, role, failed)
            self._encode_batch(keys[half:], shown, names, role, failed)
            return
        rows = as_rows(output, len(keys), self.embedder.card)
        bad = faults_of_items(rows)
        failed.update({keys[n]: reason for n, reason in bad.items()})
        good = [n for n in range(len(keys)) if n not in bad]
        if good:
            self.store.put([keys[n] for n in good], [rows[n] for n in good])


def _key(item: Item, role: Role, card: EmbedderCard) -> tuple[str, Item]:
    """The key of an item's vector, and the item with everything taken off that is not in the key."""
    bare = within_limits(item, card.max_frames).bare(keep_instruction=card.instruction_matters)
    decoder = media.decoder() if any(isinstance(part, Video) for part in bare.parts) else ""
    shown_role = role if card.role_matters else ""
    instruction = "no instruction" if bare.instruction is None else f"instruction {bare.instruction}"
    if not card.id_matters:
        return content_digest("vector", bare.digest, shown_role, instruction, decoder), bare
    key = content_digest("vector by id", item.id, bare.digest, shown_role, instruction, decoder)
    return key, replace(bare, id=item.id)


def set_up(embedder: Embedder, device: str, dtype: str) -> None:
    """Load the model. Whatever a stranger's code raises becomes a ModelError; errors of our own stay as they are."""
    try:
        embedder.setup(device, dtype)
    except UniteBenchError:
        raise
    except Exception as error:  # the plugin boundary
        raise ModelError(f"{embedder.card.name} could not be set up: {type(error).__name__}: {error}") from error


def costs(embedder: Embedder, items: Sequence[Item]) -> list[float]:
    """The cost of each item, under the same rule as `set_up`."""
    try:
        return [float(embedder.cost(item)) for item in items]
    except UniteBenchError:
        raise
    except Exception as error:  # the plugin boundary
        raise ModelError(f"{embedder.card.name}: cost() raised {type(error).__name__}: {error}") from error


def announce(embedder: Embedder, items: Sequence[Item], role: Role) -> None:
    """Tell the embedder what comes, under the same rule as `set_up`."""
    try:
        embedder.upcoming(items, role)
    except UniteBenchError:
        raise
    except Exception as error:  # the plugin boundary
        raise ModelError(f"{embedder.card.name}: upcoming() raised {type(error).__name__}: {error}") from error


def ask(embedder: Embedder, items: Sequence[Item], role: Role) -> Any:
    """What the embedder returns, unchecked. Raises ModelError for whatever it raises, with the type in the message."""
    try:
        return embedder.embed(items, role)
    except ModelUnavailable:
        raise
    except Exception as error:  # the plugin boundary: a stranger's code may raise anything
        raise ModelError(f"{type(error).__name__}: {error}") from error


def within_limits(item: Item, limit: int | None) -> Item:
    """The item with its frames chosen; a model with a lower frame limit takes them thinned, which the record names."""
    if limit is not None and any(isinstance(part, Video) for part in item.parts):
        item = replace(item, parts=tuple(thin(p, limit) if isinstance(p, Video) else p for p in item.parts))
    return media.resolve(item)


def thin(part: Video, limit: int) -> Video:
    """The part with at most `limit` of its frames, at the centres of equal spans."""
    indices = part.indices if part.indices is not None else media.choose(part)
    if len(indices) <= limit:
        return replace(part, indices=indices)
    return replace(part, indices=tuple(indices[int((i + 0.5) * len(indices) / limit)] for i in range(limit)))
