"""Where datasets of the hub lie on this machine, and whether they are whole. Nothing here reaches the network.

`$UNITE_BENCH_DATA/hub/OWNER--NAME/REVISION/` holds the files of one revision; `REVISION.json` beside it is written last and
lists them with size and SHA-256: without it the revision counts as not there. `unpinned` is the lock of an unpinned dataset:
it names the revision that the first download found, which is read from then on, and which records name.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError
from unite_bench.spec.source_kinds import (
    HUB_SOURCES,
    UNPINNED,
    AnySource,
    Archive,
    HubBeirSource,
    HubSource,
    MmebSource,
)


@dataclass(frozen=True)
class Dataset:
    """A dataset at a revision, and the archives in it that hold media; those alone if it is not needed `whole`."""

    name: str
    revision: str
    archives: tuple[str, ...] = ()
    whole: bool = True

    def __str__(self) -> str:
        return f"{self.name} at {self.revision[:12]}"


def data_root() -> Path:
    """`$UNITE_BENCH_DATA`, else the user's data folder."""
    given = os.environ.get("UNITE_BENCH_DATA")
    return Path(given) if given else Path.home() / ".local" / "share" / "unite-bench"


def datasets_of(source: HubSource | HubBeirSource | MmebSource) -> list[Dataset]:
    """What must be on this machine for a source to be read."""
    archive: Archive | None = getattr(source, "archive", None)
    if archive is None:
        return [Dataset(source.dataset, source.revision)]
    if archive.dataset is None:
        return [Dataset(source.dataset, source.revision, (archive.file,))]
    return [Dataset(source.dataset, source.revision), _media(archive.dataset, archive)]


def _media(name: str, archive: Archive) -> Dataset:
    return Dataset(name, archive.revision, (archive.file,), whole=False)


def home(dataset: Dataset) -> Path:
    """The folder with all revisions of a dataset."""
    return data_root() / "hub" / dataset.name.replace("/", "--")


def resolved(dataset: Dataset) -> str | None:
    """The revision that is read: the pinned one, or the one found by the first download; None before it."""
    if dataset.revision != UNPINNED:
        return dataset.revision
    note = home(dataset) / UNPINNED
    return note.read_text(encoding="utf-8").strip() if note.exists() else None


def manifest(dataset: Dataset) -> dict[str, Any] | None:
    """The list of files of the revision that is read, or None if it is not (wholly) there."""
    revision = resolved(dataset)
    path = home(dataset) / f"{revision}.json"
    if revision is None or not path.exists():
        return None
    found = dict(json.loads(path.read_text(encoding="utf-8")))
    enough = set(dataset.archives) <= set(found["unpacked"]) and (found["whole"] or not dataset.whole)
    return found if enough else None


def snapshot(dataset: Dataset) -> Path:
    """The folder with the dataset's files. Raises DataError if it was not downloaded, or not to the end."""
    if manifest(dataset) is None:
        raise DataError(
            f"{dataset}: not on this machine; `unite-bench data get` with the task's or suite's name fetches it"
        )
    return home(dataset) / str(resolved(dataset))


def unpacked(dataset: Dataset, archive: Archive) -> Path:
    """The folder that paths within an archive start from."""
    return snapshot(dataset) / ".unpacked" / archive.file / archive.root


def revisions_read(sources: Iterable[AnySource]) -> dict[str, str]:
    """The revision of each dataset that sources of the hub read, by name."""
    datasets = [dataset for source in sources if isinstance(source, HUB_SOURCES) for dataset in datasets_of(source)]
    return {dataset.name: str(resolved(dataset)) for dataset in sorted(datasets, key=str)}


def changed_files(dataset: Dataset) -> Iterator[str]:
    """What is missing or is not as it was downloaded; reads every byte."""
    listed, folder = manifest(dataset), home(dataset) / str(resolved(dataset))
    if listed is None:
        yield f"{dataset}: not downloaded"
        return
    for name, (size, digest) in sorted(listed["files"].items()):
        path = folder / name
        if not path.is_file():
            yield f"{dataset}: {name} is missing"
        elif path.stat().st_size != size or sha256(path) != digest:
            yield f"{dataset}: {name} has changed since it was downloaded"


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
