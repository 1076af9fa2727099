"""Vectors on disk, found by what they are the vectors of.

One folder per embedder fingerprint. A batch is published as one shard: a safetensors file with the keys (n, 32), the
start of each vector's rows (n + 1; ragged from the start, for multi-vector models) and the rows themselves, with a
checksum. A shard is written under a temporary name and then renamed, so it is there whole or not at all, and any number
of processes may write at once; the listing of the folder is the index. Nothing is ever changed in place.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.errors import StoreError

FORMAT = "1"
KEY_BYTES = 32
Rows = npt.NDArray[np.floating[Any]]


def default_root() -> Path:
    """`$UNITE_BENCH_STORE`, or a folder in the user's cache."""
    if chosen := os.environ.get("UNITE_BENCH_STORE"):
        return Path(chosen)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "unite-bench" / "vectors"


@dataclass(frozen=True)
class Shard:
    """One published batch, memory-mapped: `keys[i]` belongs to `rows[starts[i]:starts[i + 1]]`."""

    path: Path
    keys: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    rows: Rows


class Store:
    """The vectors of one embedder. Opening it maps every shard and verifies its checksum."""

    def __init__(self, root: Path, fingerprint: str):
        self.folder = root / fingerprint
        self._shards: dict[str, Shard] = {}
        self._at: dict[bytes, tuple[Shard, int]] = {}
        self.refresh()

    def describe(self, description: Mapping[str, Any]) -> None:
        """Note beside the shards, for people, whose vectors these are."""
        self.folder.mkdir(parents=True, exist_ok=True)
        publish(self.folder / "embedder.json", json.dumps(description, indent=1, sort_keys=True).encode())

    def refresh(self) -> None:
        """Take in shards that this or another process has published since."""
        for path in sorted(self.folder.glob("*.safetensors")):
            if path.name not in self._shards:
                shard = read_shard(path)
                self._shards[path.name] = shard
                for number, key in enumerate(shard.keys):
                    self._at.setdefault(key.tobytes(), (shard, number))

    def __contains__(self, key: str) -> bool:
        return bytes.fromhex(key) in self._at

    def __len__(self) -> int:
        return len(self._at)

    def get(self, key: str) -> Rows:
        """The rows of one key, (tokens, dim); a single vector has one row. Raises KeyError."""
        shard, number = self._at[bytes.fromhex(key)]
        return shard.rows[shard.starts[number] : shard.starts[number + 1]]

    def matrix(self, keys: Sequence[str], dim: int) -> npt.NDArray[np.float32]:
        """Single vectors of many keys as one (n, dim) float32 array."""
        out = np.empty((len(keys), dim), dtype=np.float32)
        for number, key in enumerate(keys):
            out[number] = self.get(key)[0]
        return out

    def put(self, keys: Sequence[str], vectors: Sequence[Rows]) -> None:
        """Publish one batch; `vectors[i]` is (tokens_i, dim). Durable when this returns."""
        starts = np.zeros(len(keys) + 1, dtype=np.int64)
        np.cumsum([len(v) for v in vectors], out=starts[1:])
        rows = np.concatenate(list(vectors))
        names = np.frombuffer(bytes.fromhex("".join(keys)), dtype=np.uint8).reshape(len(keys), KEY_BYTES)
        path = self.folder / f"{hashlib.sha256(names.tobytes()).hexdigest()[:24]}-{uuid.uuid4().hex[:8]}.safetensors"
        self.folder.mkdir(parents=True, exist_ok=True)
        write_shard(path, names, starts, rows)
        self.refresh()


def write_shard(path: Path, keys: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], rows: Rows) -> None:
    """Write one shard under a temporary name and rename it into place."""
    from safetensors.numpy import save

    metadata = {"format": FORMAT, "sha256": _checksum(keys, starts, rows)}
    publish(path, save({"keys": keys, "starts": starts, "rows": np.ascontiguousarray(rows)}, metadata))


def read_shard(path: Path) -> Shard:
    """Map one shard and verify its checksum. Raises StoreError if it is damaged."""
    try:
        with open(path, "rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(handle.read(length))
        arrays = {name: _mapped(path, 8 + length, header[name]) for name in ("keys", "starts", "rows")}
        expected = header["__metadata__"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a readable shard ({error}); {REPAIR}") from error
    if _checksum(arrays["keys"], arrays["starts"], arrays["rows"]) != expected:
        raise StoreError(f"{path}: the checksum does not match its content; {REPAIR}")
    return Shard(path, arrays["keys"], arrays["starts"], arrays["rows"])


REPAIR = (
    "`unite-bench store collect --damaged` (with --store, if it is not the default) removes damaged shards, and the next "
    "run encodes those items again"
)


def _mapped(path: Path, base: int, entry: Mapping[str, Any]) -> Any:
    dtype = {"U8": np.uint8, "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64}[entry["dtype"]]
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if end - start != int(np.prod(shape)) * np.dtype(dtype).itemsize or path.stat().st_size < base + end:
        raise ValueError("the file is shorter than its header says")
    if end == start:
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=base + start, shape=shape)


def _checksum(*arrays: npt.NDArray[Any]) -> str:
    state = hashlib.sha256()
    for array in arrays:
        state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def publish(path: Path, data: bytes) -> None:
    """Write, flush to disk, rename: a reader sees the old state or the whole new file, also after a crash."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    with open(temporary, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


@dataclass(frozen=True)
class Entry:
    """What the store holds of one embedder."""

    name: str
    fingerprint: str
    shards: int
    megabytes: float


def inventory(root: Path) -> list[Entry]:
    """One entry per embedder under a store's root, the largest first."""
    entries = []
    for folder in root.glob("*/"):
        shards = list(folder.glob("*.safetensors"))
        about = folder / "embedder.json"
        name = json.loads(about.read_text(encoding="utf-8"))["name"] if about.exists() else "unnamed"
        entries.append(Entry(name, folder.name, len(shards), sum(s.stat().st_size for s in shards) / 1e6))
    return sorted(entries, key=lambda entry: -entry.megabytes)


def collect(root: Path, damaged: bool = False, fingerprint: str | None = None) -> list[Path]:
    """Remove temporary files older than a day; if asked, damaged shards or all vectors of one embedder. Returns them."""
    doomed = [p for p in root.glob("*/.*.tmp") if _age(p) > 86_400]
    for shard in root.glob("*/*.safetensors"):
        if fingerprint and shard.parent.name.startswith(fingerprint):
            doomed.append(shard)
        elif damaged:
            try:
                read_shard(shard)
            except StoreError:
                doomed.append(shard)
    for path in doomed:
        path.unlink(missing_ok=True)  # another process may collect too
    return doomed


def _age(path: Path) -> float:
    """Seconds since the file was written, 0 if it is gone: a run has just published it."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
