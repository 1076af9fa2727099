"""Downloads, from a hub on this machine that answers as the real one does: whole, resumed, refused."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
from replica import png, write_dataset

from unite_bench.errors import DataError

pytest.importorskip("datasets")
SHA = "c" * 40
RESOLVE = f"/datasets/toy/rows/resolve/{SHA}/"
TASK = """
name: toy
version: 1
granularity: coarse
source: {kind: hub, dataset: toy/rows, config: small, revision: REVISION}
queries: {modality: text, text: caption}
candidates: {modality: image, image: image}
qrels: by-row
metrics: [hit@1]
primary: hit@1
"""


class Hub(BaseHTTPRequestHandler):
    """The two requests of a download: what is there, and a file of it."""

    folder: ClassVar[Path]
    broken: ClassVar[set[str]] = set()
    sent: ClassVar[list[str]] = []
    gated: ClassVar[bool] = False  # whether files are given after consent alone
    stated: ClassVar[str] = ""  # a SHA-256 that the hub states of its tables, if any

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == f"/api/datasets/toy/rows/tree/{SHA}":
            self._answer(200, json.dumps([{"type": "file", **entry} for entry in self._files("path")]).encode(), {})
        elif path.startswith("/api/datasets/toy/rows"):
            self._described(path.removeprefix("/api/datasets/toy/rows").removeprefix("/revision/"))
        elif path.startswith(RESOLVE) and self.gated:
            self._answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif path.startswith(RESOLVE):
            self._file(path.removeprefix(RESOLVE))
        else:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _file(self, name: str) -> None:
        content = (self.folder / name).read_bytes()
        if self.command == "GET":
            self.sent.append(name)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        cut = len(content) // 2 if name in self.broken and self.command == "GET" else len(content)
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": SHA, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206 if start else 200, content[start:cut], headers, declared=len(content) - start)

    def _files(self, key: str) -> list[dict[str, object]]:
        found = [p for p in sorted(self.folder.rglob("*")) if p.is_file()]
        lfs = {"lfs": {"sha256": self.stated, "size": 1, "pointerSize": 1}} if self.stated else {}
        return [
            {
                key: p.relative_to(self.folder).as_posix(),
                "size": p.stat().st_size,
                "oid": str(n),
                **(lfs if key == "rfilename" and p.suffix == ".parquet" else {}),
            }
            for n, p in enumerate(found)
        ]

    def _described(self, revision: str) -> None:
        if revision not in ("", "main", SHA):
            self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return
        told = {
            "id": "toy/rows",
            "sha": SHA,
            "siblings": self._files("rfilename"),
            "cardData": {"license": "cc0-1.0"},
            "private": False,
        }
        self._answer(200, json.dumps(told | {"downloads": 0, "likes": 0, "tags": []}).encode(), {})

    def _answer(self, code: int, content: bytes, headers: dict[str, str], declared: int | None = None) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content) if declared is None else declared), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    rows = [{"caption": name, "image": {"bytes": png(name), "path": None}} for name in ("red", "blue")]
    write_dataset(tmp_path / "origin", {("small", "test"): rows})
    Hub.folder, Hub.broken, Hub.sent, Hub.stated, Hub.gated = tmp_path / "origin", set(), [], "", False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def unite_bench(
    tmp_path: Path, hub: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The command line in the folder of the test, with the data root `data` there and the hub of the test."""
    from huggingface_hub import constants

    from unite_bench.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 60)
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_XET_CACHE"):
        monkeypatch.setattr(constants, name, str(tmp_path / "hf" / name), raising=False)

    def call(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["unite-bench", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        said = "".join(capfd.readouterr())
        assert (left.value.code or 0) == code, f"{arguments}: exit {left.value.code}\n{said}"
        return said

    return call


def test_data_are_fetched_when_asked_and_verified(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", "unpinned"))
    said = unite_bench("run", "--model", "constant", "--task", "toy.yaml", code=2)
    assert "`unite-bench data get toy.yaml` fetches it" in said and Hub.sent == []
    said = unite_bench("data", "get", "toy.yaml", "--yes")
    assert f"toy/rows  {SHA[:12]}" in said and "licence: cc0-1.0" in said
    assert "toy: 2 queries, 2 candidates" in said, "rows are counted once they are there"
    assert (tmp_path / "data" / "hub" / "toy--rows" / "unpinned").read_text() == SHA + "\n", "the lock"
    assert f"{tmp_path}/data/hub/toy--rows/{SHA}" in unite_bench("data", "path", "toy.yaml")
    assert "1 datasets are as they were downloaded" in unite_bench("data", "verify", "toy.yaml")
    (tmp_path / "suite.yaml").write_text("name: mine\ntasks: [toy.yaml]\n")
    assert "1 datasets are as they were downloaded" in unite_bench("data", "verify", "suite.yaml")
    count = len(Hub.sent)
    assert "Everything these need" in unite_bench("data", "get", "toy.yaml")
    unite_bench("run", "--model", "constant", "--task", "toy.yaml")
    assert len(Hub.sent) == count, "nothing is fetched twice"
    (tmp_path / "data" / "hub" / "toy--rows" / SHA / "README.md").write_text("edited")
    assert "README.md has changed" in unite_bench("data", "verify", "toy.yaml", code=1)


def test_everything_that_is_written_lies_under_the_data_root(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", SHA))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    said = unite_bench("run", "--model", "constant", "--task", "toy.yaml", "--download")
    assert "MB  licence: cc0-1.0" in said, "size and licence are said without being asked"
    roots = {"data", "unite-bench-results", "store"}
    after = {
        path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file() and path not in before
    }
    assert after <= roots, after - roots


def test_a_file_that_is_not_what_the_hub_states_is_removed(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", SHA))
    Hub.stated = "0" * 64
    said = unite_bench("data", "get", "toy.yaml", "--yes", code=1)
    assert "is not what the hub states; removed, run the command again" in said
    assert not list((tmp_path / "data" / "hub" / "toy--rows").rglob("*.parquet"))
    assert "(not here)" in unite_bench("data", "path", "toy.yaml")


def test_a_lock_is_kept_when_the_hub_has_moved_on(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    """Data that were lost are fetched again at the revision of the lock, not at the newest."""
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", "unpinned"))
    lock = tmp_path / "data" / "hub" / "toy--rows" / "unpinned"
    lock.parent.mkdir(parents=True)
    lock.write_text("d" * 40 + "\n")
    assert "the hub has no such revision" in unite_bench("data", "get", "toy.yaml", "--yes", code=1)
    lock.unlink()
    unite_bench("data", "get", "toy.yaml", "--yes")
    assert lock.read_text() == SHA + "\n"


def test_of_a_dataset_of_archives_only_those_asked_for_are_fetched(
    tmp_path: Path, unite_bench: Callable[..., str]
) -> None:
    from unite_bench.fetching import download, offer
    from unite_bench.sources.hub_store import Dataset, changed_files, manifest

    for name in ("clips", "more"):
        with zipfile.ZipFile(Hub.folder / f"{name}.zip", "w") as held:
            held.writestr(f"{name}.txt", name)
    clips, more = (Dataset("toy/rows", "unpinned", (f"{name}.zip",), whole=False) for name in ("clips", "more"))
    whole = Dataset("toy/rows", "unpinned", ("clips.zip",))
    offered = offer(clips)
    assert offered.size == (Hub.folder / "clips.zip").stat().st_size
    folder = download(offered)
    assert Hub.sent == ["clips.zip"] and (folder / ".unpacked" / "clips.zip" / "clips.txt").read_text() == "clips"
    assert manifest(clips) and not manifest(more) and not manifest(whole)
    download(offer(whole))
    assert Hub.sent.count("clips.zip") == 1 and manifest(whole) and manifest(clips)
    assert not manifest(more), "it is there, but not unpacked"
    download(offer(more))
    assert manifest(more) and manifest(whole) and not list(changed_files(whole))
    with pytest.raises(DataError, match=r"it holds no archive 'none.zip'; correct its name in the task file"):
        offer(Dataset("toy/rows", "unpinned", ("none.zip",), whole=False))


def test_a_wrong_revision_is_refused(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", "d" * 40))
    said = unite_bench("data", "get", "toy.yaml", "--yes", code=1)
    assert "the hub has no such revision; correct it in the task file" in said
    assert not (tmp_path / "data").exists()


def test_a_dataset_that_is_not_given_keeps_no_other_back(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", SHA))
    (tmp_path / "gone.yaml").write_text(TASK.replace("REVISION", "d" * 40).replace("name: toy", "name: gone"))
    (tmp_path / "mine.yaml").write_text("name: mine\ntasks: [gone.yaml, toy.yaml]\n")
    said = unite_bench("data", "get", "mine.yaml", "--yes", code=1)
    assert "the hub has no such revision" in said and "not fetched: 1 of 2 datasets" in said
    assert "toy: 2 queries, 2 candidates" in said
    assert "toy" in unite_bench("run", "--model", "constant", "--task", "toy.yaml")


def test_a_dataset_that_asks_for_consent_names_that_cure(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", SHA))
    Hub.gated = True
    said = unite_bench("data", "get", "toy.yaml", "--yes", code=1)
    assert "agree to its terms on its page of the hub" in said and "broke off" not in said
    assert "(not here)" in unite_bench("data", "path", "toy.yaml")


def test_unpacked_media_are_verified_against_their_archive(tmp_path: Path, unite_bench: Callable[..., str]) -> None:
    with zipfile.ZipFile(Hub.folder / "clips.zip", "w") as held:
        for name in ("a", "b", "c"):
            held.writestr(f"frames/{name}.png", png("red"))
    archive = "revision: REVISION, archive: {file: clips.zip, root: frames}"
    (tmp_path / "toy.yaml").write_text(TASK.replace("revision: REVISION", archive).replace("REVISION", SHA))
    unite_bench("data", "get", "toy.yaml", "--yes")
    assert "1 datasets are as they were downloaded" in unite_bench("data", "verify", "toy.yaml")
    unpacked = tmp_path / "data" / "hub" / "toy--rows" / SHA / ".unpacked" / "clips.zip" / "frames"
    (unpacked / "a.png").unlink()
    (unpacked / "b.png").write_bytes(png("red") + b"more")
    (unpacked / "c.png").write_bytes(png("red")[:-1])
    said = unite_bench("data", "verify", "toy.yaml", code=1)
    assert "frames/a.png of clips.zip is missing" in said
    assert "frames/b.png of clips.zip has changed" in said and "frames/c.png of clips.zip has changed" in said


def test_what_is_incomplete_is_said_when_data_are_asked_for(unite_bench: Callable[..., str]) -> None:
    said = unite_bench("data", "get", "uvrb", code=2)
    assert "16 tasks are incomplete" in said and "on this machine" not in said
    assert "12 tasks are incomplete" in unite_bench("data", "path", "mmeb-v2-video")
    assert "all 16 tasks of uvrb are incomplete" in unite_bench("run", "--model", "random", "--suite", "uvrb", code=2)


def test_a_broken_transfer_leaves_nothing_that_counts_and_goes_on(
    tmp_path: Path, unite_bench: Callable[..., str]
) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", SHA))
    (whole,) = (path.relative_to(Hub.folder).as_posix() for path in Hub.folder.rglob("*.parquet"))
    Hub.broken = {whole}
    said = unite_bench("data", "get", "toy.yaml", "--yes", code=1)
    assert "the download broke off" in said and "run the command again" in said
    assert "(not here)" in unite_bench("data", "path", "toy.yaml")
    Hub.broken = set()
    unite_bench("data", "get", "toy.yaml", "--yes")
    assert "toy" in unite_bench("run", "--model", "constant", "--task", "toy.yaml")
