"""Downloading datasets of the hub into the data root: only when asked, resumed where it broke off, and checked.

The transfer is `huggingface_hub`'s. What is ours: sizes and licence beforehand, unpacking that trusts no archive, and a
list of files with their SHA-256 that is written last, so that half a download is never taken for a whole one.
"""

from __future__ import annotations

import json
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from unite_bench.errors import DataError, NotOffered, UsageError
from unite_bench.sources.hub_store import Dataset, home, resolved, sha256, snapshot
from unite_bench.spec.source_kinds import UNPINNED

LARGEST_RATIO = 200  # unpacked to packed; media hardly shrink, so more than this is a bomb
LARGEST_UNPACKED = 2**40  # bytes
CHUNK = 2**20
Member = tuple[str, int, bool, Any]  # of an archive: name, declared size, whether it is no plain file, handle
# What the standard library raises for a cut, damaged or encrypted archive, and the disk when it is full.
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


@dataclass(frozen=True)
class Offer:
    """What a download would bring: the revision, its size in bytes, its licence as the hub states it.

    `digests` are the SHA-256 that the hub states of large files.
    """

    dataset: Dataset
    revision: str
    size: int
    licence: str
    digests: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.dataset.name}  {self.revision[:12]}  {self.size / 1e6:,.1f} MB  licence: {self.licence}"


def offer(dataset: Dataset) -> Offer:
    """Ask the hub about a dataset: at its revision, else at that of its lock, else at the newest.

    Raises NotOffered with the cure if the hub has no such dataset, revision or archive, DataError if it is out of reach.
    """
    hub, errors = _hub()
    try:
        found = hub.HfApi().dataset_info(dataset.name, revision=resolved(dataset), files_metadata=True)
    except errors.RevisionNotFoundError as error:
        raise NotOffered(f"{dataset}: the hub has no such revision; correct it in the task file") from error
    except errors.RepositoryNotFoundError as error:
        raise NotOffered(f"{dataset}: the hub has no such dataset, or it asks for a login (`hf auth login`)") from error
    except _transfer_errors() as error:
        raise DataError(f"{dataset}: the hub cannot be reached ({error})") from error
    licence = getattr(found.card_data, "license", None) or "not stated"
    files = {file.rfilename: file for file in found.siblings or ()}
    for archive in dataset.archives:
        if archive not in files:
            raise NotOffered(f"{dataset}: it holds no archive {archive!r}; correct its name in the task file")
    wanted = [files[name] for name in (files if dataset.whole else dataset.archives)]
    digests = {file.rfilename: str(file.lfs.sha256) for file in wanted if file.lfs is not None}
    return Offer(dataset, str(found.sha), sum(file.size or 0 for file in wanted), str(licence), digests)


def download(offered: Offer) -> Path:
    """Fetch one revision and unpack its archives; files that are there already are not fetched again.

    Raises NotOffered if the hub asks for consent or a login first; DataError for a broken transfer (ask again: it goes on
    where it stopped), for a file that is not what the hub states, and for an archive that is not safe.
    """
    hub, errors = _hub()
    dataset, folder = offered.dataset, home(offered.dataset) / offered.revision
    only = None if dataset.whole else list(dataset.archives)
    try:
        hub.snapshot_download(
            dataset.name,
            repo_type="dataset",
            revision=offered.revision,
            local_dir=folder,
            max_workers=4,
            allow_patterns=only,
        )
    except errors.GatedRepoError as error:
        raise NotOffered(
            f"{dataset}: agree to its terms on its page of the hub, then log in (`hf auth login`) and run the command again"
        ) from error
    except _transfer_errors() as error:
        raise DataError(f"{dataset}: the download broke off ({error}); run the command again to go on") from error
    files = {path.relative_to(folder).as_posix(): [path.stat().st_size, sha256(path)] for path in _files(folder)}
    for name, digest in offered.digests.items():
        if files.get(name, [0, ""])[1] != digest:
            (folder / name).unlink(missing_ok=True)
            raise DataError(f"{dataset}: {name} is not what the hub states; removed, run the command again to fetch it")
    listing = home(dataset) / f"{offered.revision}.json"
    before: dict[str, Any] = {"unpacked": [], "whole": False}
    if listing.exists():
        before = json.loads(listing.read_text(encoding="utf-8"))
    for archive in dataset.archives:
        if archive not in before["unpacked"]:
            unpack(folder / archive, folder / ".unpacked" / archive)
    content = {
        "revision": offered.revision,
        "whole": before["whole"] or dataset.whole,
        "unpacked": sorted({*before["unpacked"], *dataset.archives}),
        "files": files,
    }
    _write_whole(listing, json.dumps(content, indent=1) + "\n")
    if dataset.revision == UNPINNED:
        _write_whole(home(dataset) / UNPINNED, offered.revision + "\n")
    return folder


def _write_whole(path: Path, text: str) -> None:
    """By renaming, so that a killed run leaves no half of it."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def unpack(archive: Path, into: Path) -> None:
    """Unpack a zip or tar file beside its place, then move it there whole.

    Raises DataError, leaving nothing behind, for a member whose path climbs out of the folder, that is a link or a device,
    for an archive that swells beyond reason, and for one that is cut or broken.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: the dataset holds no such archive; correct its name in the task file")
    fresh = into.with_name(into.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _unpack(archive, fresh)
        shutil.rmtree(into, ignore_errors=True)
        fresh.replace(into)
    except _BROKEN as error:
        raise DataError(f"{archive}: not a whole archive ({error}); delete it and download again") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def changed_members(dataset: Dataset) -> Iterator[str]:
    """What was unpacked and is missing or is not as the archives hold it, if these are whole; reads every byte of both."""
    folder = snapshot(dataset)
    for archive in dataset.archives:
        with _opened(folder / archive) as (members, opened):
            for name, _, _, handle in {member[0]: member for member in members}.values():  # the last of a name was kept
                path = folder / ".unpacked" / archive / name
                if not path.is_file():
                    yield f"{dataset}: {name} of {archive} is missing"
                elif not _equal(opened(handle), path):
                    yield f"{dataset}: {name} of {archive} has changed since it was unpacked"


def _equal(packed: IO[bytes], path: Path) -> bool:
    with packed, path.open("rb") as held:
        while chunk := packed.read(CHUNK):
            if held.read(len(chunk)) != chunk:
                return False
        return not held.read(1)


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[list[Member], Any]]:
    """The members of an archive that are no folders, and what opens one by its handle."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as held:
            packed = [(m.filename, m.file_size, stat.S_ISLNK(m.external_attr >> 16), m) for m in held.infolist()]
            yield [m for m in packed if not m[3].is_dir()], held.open
    else:
        with tarfile.open(archive) as held:
            members = [(m.name, m.size, not m.isfile(), m) for m in held.getmembers() if not m.isdir()]
            yield members, held.extractfile


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    with _opened(archive) as (members, opened):
        _write(archive, folder, members, opened)


def _write(archive: Path, folder: Path, members: Sequence[Member], opened: Any) -> None:
    """Write members under `folder`."""
    most = min(LARGEST_UNPACKED, LARGEST_RATIO * archive.stat().st_size)
    if sum(size for _, size, _, _ in members) > most:
        raise DataError(f"{archive}: unpacks to more than {most:,} bytes, which no archive of media does; not unpacked")
    left = most
    for name, _, special, handle in members:
        path = PurePosixPath(name)
        if special or path.is_absolute() or ".." in path.parts or "\\" in name:
            raise DataError(f"{archive}: member {name!r} is a link or climbs out of its folder; nothing was unpacked")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened(handle) as source, target.open("wb") as out:
            left -= _copied(source, out, left, archive)


def _copied(source: IO[bytes], out: IO[bytes], most: int, archive: Path) -> int:
    """Bytes copied; a member may be longer than the archive declares."""
    copied = 0
    while chunk := source.read(CHUNK):
        copied += len(chunk)
        if copied > most:
            raise DataError(f"{archive}: swells beyond what it declares; not unpacked")
        out.write(chunk)
    return copied


def _files(folder: Path) -> Iterator[Path]:
    """The dataset's own files: not what was unpacked, written out or left by the transfer."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.relative_to(folder).parts[0].startswith("."):
            yield path


def _transfer_errors() -> tuple[type[Exception], ...]:
    import httpx2  # what huggingface_hub transfers with; a connection that breaks raises its errors

    _, errors = _hub()
    return errors.HfHubHTTPError, errors.OfflineModeIsEnabled, OSError, httpx2.HTTPError


def _hub() -> tuple[Any, Any]:
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ModuleNotFoundError as error:
        raise UsageError("downloads need the library huggingface_hub: pip install 'unite-bench[hub]'") from error
    return huggingface_hub, errors
