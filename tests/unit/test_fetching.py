"""Downloads, from a hub on this machine that answers as the real one does: whole, resumed, refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
from replica import png, write_dataset

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

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == f"/api/datasets/toy/rows/tree/{SHA}":
            self._answer(200, json.dumps([{"type": "file", **entry} for entry in self._files("path")]).encode(), {})
        elif path.startswith("/api/datasets/toy/rows"):
            self._described(path.removeprefix("/api/datasets/toy/rows").removeprefix("/revision/"))
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
        return [
            {key: p.relative_to(self.folder).as_posix(), "size": p.stat().st_size, "oid": str(n)}
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
    Hub.folder, Hub.broken, Hub.sent = tmp_path / "origin", set(), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def unite_bench(folder: Path, hub: str, *arguments: str, code: int = 0) -> str:
    own = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1"}
    own |= {"UNITE_BENCH_DATA": str(folder / "data"), "HF_HUB_DOWNLOAD_TIMEOUT": "5"}
    call = [sys.executable, "-c", "from unite_bench.cli import main; main()", *arguments]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, env=os.environ | own)
    assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_data_are_fetched_when_asked_and_verified(tmp_path: Path, hub: str) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", "unpinned"))
    said = unite_bench(tmp_path, hub, "run", "--model", "constant", "--task", "toy.yaml", code=2)
    assert "`unite-bench data get toy.yaml` fetches it" in said and Hub.sent == []
    said = unite_bench(tmp_path, hub, "data", "get", "toy.yaml", "--yes")
    assert f"toy/rows  {SHA[:12]}" in said and "licence: cc0-1.0" in said
    assert f"{tmp_path}/data/hub/toy--rows/{SHA}" in unite_bench(tmp_path, hub, "data", "path", "toy.yaml")
    assert "1 datasets are as they were downloaded" in unite_bench(tmp_path, hub, "data", "verify", "toy.yaml")
    (tmp_path / "suite.yaml").write_text("name: mine\ntasks: [toy.yaml]\n")
    assert "1 datasets are as they were downloaded" in unite_bench(tmp_path, hub, "data", "verify", "suite.yaml")
    count = len(Hub.sent)
    assert "Everything these need" in unite_bench(tmp_path, hub, "data", "get", "toy.yaml")
    unite_bench(tmp_path, hub, "run", "--model", "constant", "--task", "toy.yaml")
    assert len(Hub.sent) == count, "nothing is fetched twice"
    (tmp_path / "data" / "hub" / "toy--rows" / SHA / "README.md").write_text("edited")
    assert "README.md has changed" in unite_bench(tmp_path, hub, "data", "verify", "toy.yaml", code=1)


def test_a_wrong_revision_is_refused(tmp_path: Path, hub: str) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", "d" * 40))
    said = unite_bench(tmp_path, hub, "data", "get", "toy.yaml", "--yes", code=1)
    assert "the hub has no such revision; correct it in the task file" in said
    assert not (tmp_path / "data").exists()


def test_a_broken_transfer_leaves_nothing_that_counts_and_goes_on(tmp_path: Path, hub: str) -> None:
    (tmp_path / "toy.yaml").write_text(TASK.replace("REVISION", SHA))
    (whole,) = (path.relative_to(Hub.folder).as_posix() for path in Hub.folder.rglob("*.parquet"))
    Hub.broken = {whole}
    said = unite_bench(tmp_path, hub, "data", "get", "toy.yaml", "--yes", code=1)
    assert "the download broke off" in said and "run the command again" in said
    assert "(not here)" in unite_bench(tmp_path, hub, "data", "path", "toy.yaml")
    Hub.broken = set()
    unite_bench(tmp_path, hub, "data", "get", "toy.yaml", "--yes")
    assert "toy" in unite_bench(tmp_path, hub, "run", "--model", "constant", "--task", "toy.yaml")
