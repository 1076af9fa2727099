"""`api:URL`: a local server that behaves, and one that fails, stalls, rate-limits, and answers with the wrong vectors."""

from __future__ import annotations

import base64
import io
import json
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from unite_bench.embedders import posting
from unite_bench.embedders.api import ApiEmbedder
from unite_bench.embedders.fusion import FusedEmbedder
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.encode.run import Encoder
from unite_bench.errors import ItemFailed, ModelError, ModelUnavailable, UsageError
from unite_bench.items import Item, Text
from unite_bench.protocol import Settings
from unite_bench.recording import describe_embedder
from unite_bench.registry import load_embedder
from unite_bench.testing import material, run_checks

DIM = HashedTextEmbedder.card.dim
KEY = "sk-secret-0123456789"
Answer = Callable[[dict[str, Any], int], tuple[int, Any, dict[str, str]]]


def vector_of(text: str) -> list[float]:
    rows: list[float] = HashedTextEmbedder().embed([Item((Text(text),))], "query")[0].tolist()
    return rows


def honest(body: dict[str, Any], number: int) -> tuple[int, Any, dict[str, str]]:
    """Texts by their words; a picture by its mean colour, put into the first three places."""
    inputs = body.get("input") or [body["messages"][0]["content"]]
    data = []
    for n, given in enumerate(inputs):
        parts = [{"type": "text", "text": given}] if isinstance(given, str) else given
        vector = np.array(vector_of(" ".join(part["text"] for part in parts if part["type"] == "text")))
        for part in parts:
            if part["type"] == "image_url":
                raw = base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
                vector[:3] += 1 + np.asarray(Pillow.open(io.BytesIO(raw)), dtype=float).mean(axis=(0, 1))
        data.append({"index": n, "embedding": vector.tolist()})
    return 200, {"data": data[::-1]}, {}  # in another order: the index decides


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answer: Answer = staticmethod(honest)
    key: str | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.running = self.most = 0
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.bodies)
            self.server.bodies.append(body)
            self.server.times.append(time.monotonic())
            self.server.running += 1
            self.server.most = max(self.server.most, self.server.running)
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            status, answer, headers = 401, {"error": f"wrong key: {self.headers.get('Authorization')}"}, {}
        else:
            status, answer, headers = self.server.answer(body, number)
        with self.server.lock:
            self.server.running -= 1
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has given up, as it should

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("UNITE_BENCH_API_KEY", raising=False)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def model(server: Server, **more: Any) -> ApiEmbedder:
    quick = {"wait": 0.01, "retries": 3, "seconds": 60.0, **more}
    return ApiEmbedder(f"http://127.0.0.1:{server.server_port}/v1", model="hashed", dim=DIM, **quick)


def items(*texts: str) -> list[Item]:
    return [Item((Text(text),), id=text) for text in texts]


def test_vectors_come_back_in_order_over_several_requests(server: Server) -> None:
    texts = [f"word{n}" for n in range(37)]
    found = model(server, batch=5, concurrency=3).embed(items(*texts), "query")
    np.testing.assert_allclose(found, [vector_of(text) for text in texts], rtol=1e-6)
    assert sorted(len(body["input"]) for body in server.bodies) == [2, 5, 5, 5, 5, 5, 5, 5]
    assert {body["model"] for body in server.bodies} == {"hashed"}


def test_requests_run_at_once_up_to_the_limit(server: Server) -> None:
    together = threading.Barrier(3, timeout=60)

    def answered_three_by_three(body: dict[str, Any], number: int) -> tuple[int, Any, dict[str, str]]:
        together.wait()
        return honest(body, number)

    server.answer = answered_three_by_three
    model(server, batch=1, concurrency=3).embed(items(*"abcdefghi"), "query")
    assert server.most == 3


def test_the_rate_is_kept(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    stopped = SimpleNamespace(monotonic=lambda: 100.0, sleep=slept.append)
    monkeypatch.setattr(posting, "time", stopped)
    model(server, batch=1, concurrency=4, per_minute=1200).embed(items(*"abcdef"), "query")
    assert len(server.times) == 6
    assert sorted(slept) == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25]), "20 a second, over all threads"


def test_a_busy_server_is_asked_again_and_obeyed(server: Server) -> None:
    def busy(body: dict[str, Any], number: int) -> tuple[int, Any, dict[str, str]]:
        if number == 0:
            return 429, {"error": "slow down"}, {"Retry-After": "0.3"}
        return (503, b"restarting", {}) if number == 1 else honest(body, number)

    server.answer = busy
    found = model(server).embed(items("a"), "query")
    np.testing.assert_allclose(found, [vector_of("a")])
    assert len(server.bodies) == 3
    assert server.times[1] - server.times[0] >= 0.3, "Retry-After"


def test_waits_double(server: Server) -> None:
    server.answer = lambda body, number: (500, b"broken", {})
    with pytest.raises(ModelUnavailable, match=r"HTTP 500: broken \(after 4 attempts\)"):
        model(server, wait=0.05).embed(items("a"), "query")
    gaps = np.diff(server.times)
    assert gaps[0] >= 0.05 and gaps[1] >= 0.1 and gaps[2] >= 0.2


def test_a_server_that_stalls_is_left(server: Server) -> None:
    left = threading.Event()

    def stalls(body: dict[str, Any], number: int) -> tuple[int, Any, dict[str, str]]:
        left.wait(60)
        return honest(body, number)

    server.answer = stalls
    with pytest.raises(ModelUnavailable, match=r"no answer in 0.2 s \(after 2 attempts\)"):
        model(server, seconds=0.2, retries=1).embed(items("a"), "query")
    left.set()


def test_a_server_that_trickles_is_left_too(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def trickle(self: Handler) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "200")
        self.end_headers()
        try:
            for _ in range(200):  # ten seconds and more
                self.wfile.write(b" ")
                time.sleep(0.05)
        except (BrokenPipeError, ConnectionResetError):
            pass

    monkeypatch.setattr(Handler, "do_POST", trickle)
    with pytest.raises(ModelUnavailable, match=r"no answer in 0.2 s"):  # the whole answer would be no JSON
        model(server, seconds=0.2, retries=0).embed(items("a"), "query")


def test_a_lost_server_stops_the_run_at_once(server: Server, tmp_path: Path) -> None:
    server.answer = lambda body, number: (500, b"broken", {})
    with pytest.raises(ModelUnavailable):
        Encoder(model(server, retries=1), tmp_path).encode(items(*"abcdefgh"), "query", on_error="skip")
    assert len(server.bodies) == 2, "one request and its retry; halving the batch would only ask again"
    with pytest.raises(ModelUnavailable, match="refused"):
        ApiEmbedder("http://127.0.0.1:9", model="m", dim=2, retries=1, wait=0.01).embed(items("a"), "query")


def test_what_the_server_refuses_is_an_error_of_the_item(server: Server, tmp_path: Path) -> None:
    def refuses(body: dict[str, Any], number: int) -> tuple[int, Any, dict[str, str]]:
        return (400, {"error": "too long"}, {}) if "long" in str(body["input"]) else honest(body, number)

    server.answer = refuses
    with pytest.raises(ItemFailed, match=r"'long': .*HTTP 400: .*too long"):
        Encoder(model(server), tmp_path).encode(items("a", "b", "long", "c"), "query")


def spoiled(change: Callable[[list[Any]], Any]) -> Answer:
    def answer(body: dict[str, Any], number: int) -> tuple[int, Any, dict[str, str]]:
        data = honest(body, number)[1]["data"]
        return 200, {"data": change(data)}, {}

    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (spoiled(lambda data: data[:-1]), r"1 vectors, with indices \[1\], for 2 inputs"),
        (spoiled(lambda data: [*data, data[0]]), "3 vectors"),
        (spoiled(lambda data: [data[0], data[0]]), r"with indices \[1\], for 2 inputs"),
        (
            spoiled(lambda data: [{**entry, "embedding": entry["embedding"][:-1]} for entry in data]),
            "size 1023, the card",
        ),
        (spoiled(lambda data: [{**entry, "embedding": "AAAA"} for entry in data]), "size str"),
        (
            spoiled(lambda data: [{**entry, "embedding": [None] * DIM} for entry in data]),
            "holds something that is no number",
        ),
        (spoiled(lambda data: [entry["embedding"] for entry in data]), "no list `data` of index and embedding"),
        (lambda body, number: (200, b"<html>", {}), "the answer is not JSON: '<html>'"),
        (lambda body, number: (200, {"error": "quota"}, {}), "no list `data`"),
        (lambda body, number: (404, {"error": "no such model"}, {}), "HTTP 404: .*no such model"),
        (lambda body, number: (302, b"", {"Location": "http://127.0.0.1:9/"}), "HTTP 302"),
    ],
)
def test_a_wrong_answer_is_an_error_never_a_vector(server: Server, answer: Answer, message: str) -> None:
    server.answer = answer
    with pytest.raises(ModelError, match=message):
        model(server).embed(items("a", "b"), "query")


def test_vectors_that_are_not_finite_name_the_item(server: Server, tmp_path: Path) -> None:
    def nan(body: dict[str, Any], number: int) -> tuple[int, Any, dict[str, str]]:
        data = honest(body, number)[1]["data"]
        for entry in data:
            if body["input"][entry["index"]] == "b":
                entry["embedding"][3] = float("nan")
        return 200, {"data": data}, {}

    server.answer = nan
    with pytest.raises(ItemFailed, match="'b': the model returned a vector with NaN"):
        Encoder(model(server), tmp_path).encode(items("a", "b", "c"), "query")


def test_the_key_comes_from_the_environment_and_goes_nowhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = KEY
    embedder = model(server)
    with pytest.raises(ModelUnavailable, match="HTTP 401"):
        embedder.embed(items("a"), "query")
    monkeypatch.setenv("UNITE_BENCH_API_KEY", "sk-another-key")
    with pytest.raises(ModelUnavailable, match=r"wrong key: Bearer \*\*\*"):
        embedder.embed(items("a"), "query")
    monkeypatch.setenv("UNITE_BENCH_API_KEY", KEY)
    encoder = Encoder(embedder, tmp_path)
    encoder.encode(items("a"), "query")
    told = json.dumps(describe_embedder(encoder, Settings())) + str(vars(embedder)) + repr(pickle.dumps(embedder))
    assert KEY not in told
    for url in ("http://user:pw@host/v1", f"http://host/v1?key={KEY}", "host/v1", "ftp://host/v1"):
        with pytest.raises(UsageError):
            ApiEmbedder(url, model="m", dim=2)
    with pytest.raises(UsageError, match="never the key itself") as refused:
        ApiEmbedder("http://host/v1", model="m", dim=2, key_variable=KEY)
    assert KEY not in str(refused.value)


def test_prefixes_and_instructions_are_sent_as_declared(server: Server) -> None:
    plain, prefixed = model(server), model(server, query_prefix="query: ", instruction="Do {instruction}: ")
    assert (plain.card.role_matters, plain.card.instruction_matters) == (False, False)
    assert (prefixed.card.role_matters, prefixed.card.instruction_matters) == (True, True)
    asked = [Item((Text("a"),), "find"), Item((Text("b"),))]
    for embedder in (plain, prefixed):
        embedder.embed(asked, "query")
    prefixed.embed(asked[1:], "candidate")
    assert [body["input"] for body in server.bodies] == [["a", "b"], ["Do find: a", "query: b"], ["b"]]


def test_pictures_are_sent_one_by_one_beside_their_text(server: Server) -> None:
    embedder = model(server, modalities=("text", "image", "image+text"))
    found = embedder.embed(material.items("image+text")[:3], "query")
    assert len({row.tobytes() for row in found}) == 3
    (first, *_) = [body["messages"][0]["content"] for body in server.bodies if material.TEXTS[0] in str(body)]
    assert [part["type"] for part in first] == ["image_url", "text"]
    with pytest.raises(ModelError, match="does not take video"):
        embedder.embed(material.items("video")[:1], "query")
    assert "video" in FusedEmbedder(embedder).card.modalities


def test_without_a_revision_vectors_are_kept_for_this_run_only(server: Server, tmp_path: Path) -> None:
    def print_of(**more: Any) -> str:
        return Encoder(model(server, **more), tmp_path).fingerprint

    assert print_of() != print_of()
    assert print_of(revision="2026-01") == print_of(revision="2026-01") != print_of(revision="2026-02")


@pytest.mark.parametrize("modalities", [("text",), ("text", "image", "image+text")])
def test_it_passes_the_kit(server: Server, modalities: tuple[str, ...]) -> None:
    embedder = model(server, modalities=modalities, instruction="{instruction} ")
    assert {name: v.said for name, v in run_checks(embedder) if v.status == "failed"} == {}


def test_by_name_with_typed_arguments() -> None:
    embedder = load_embedder("api:http://localhost:8000/v1", ["model=m", "dim=8", "modalities=text,image", "retries=0"])
    assert (embedder.card.dim, embedder.card.modalities) == (8, {"text", "image"})
    with pytest.raises(UsageError, match="missing 1 required positional argument: 'dim'"):
        load_embedder("api:http://localhost:8000/v1", ["model=m"])
