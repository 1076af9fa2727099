"""Rows, splits and manifests: what every set writes in the same way."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .packages import Package

Row = dict[str, Any]

GROUP_HASH_BYTES = 5
"""With 250,000 train keys against 1,000 test keys, a chance collision of 40-bit hashes has odds of 1 in 4,000."""


def order(key: str) -> bytes:
    """A fixed random order of keys: sorting by it samples without a seed and without depending on row order."""
    return hashlib.sha256(f"unite-bench embedded 1:{key}".encode()).digest()


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines, one row each; returns how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def fresh_folder(folder: Path) -> Path:
    """An empty folder, so that a rebuild leaves no file of an older build behind."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def group_hash(group: str) -> bytes:
    return hashlib.sha256(group.encode()).digest()[:GROUP_HASH_BYTES]


def write_train_groups(data: Path, groups: Iterable[str]) -> None:
    """Leave the train side's group ids, hashed and sorted, beside the test rows.

    The train rows are not committed, so this file is what lets a test notice a group on both sides.
    """
    hashes = sorted({group_hash(group) for group in groups})
    (data / "train_groups.bin").write_bytes(b"".join(hashes))


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below a folder, in name order."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def finish_train_set(train: Path, name: str, rows: Sequence[Row], packages: Sequence[Package]) -> None:
    """Write a train set's rows, enter it into ``manifest.json`` and mark it as complete with ``DONE-<set>``."""
    write_rows(train / name / "rows.jsonl", rows)
    path = train / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    manifest[name] = {
        "rows": len(rows),
        "groups": len({row["group"] for row in rows}),
        "packages": [package.label for package in packages],
        "sha256": folder_digest(train / name),
    }
    path.write_text(json.dumps(dict(sorted(manifest.items())), indent=1) + "\n", encoding="utf-8")
    (train / f"DONE-{name}").touch()
