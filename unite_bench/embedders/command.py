"""`command:LINE`: an embedder in a process of its own, in whatever environment or language. Protocol: docs/adapters.md.

The process reads one JSON object a line on standard input. It answers each with one JSON object a line on standard
output; the answer to `embed` is followed by a safetensors file of as many bytes as its line says.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Timer
from typing import Any

import numpy as np

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.handed_over import handed_over
from unite_bench.errors import ModelError, ModelUnavailable, UsageError
from unite_bench.items import Item, Role

PROTOCOL = 1
MOST_DEATHS = 8  # in a row: more than halving a batch of 64 down to the item at fault can cause
CARD_KEYS = (
    *("revision", "similarity", "role_matters", "instruction_matters", "prompt", "max_frames", "normalised"),
    *("training_sets", "frame_order_matters"),
)


class CommandEmbedder(Embedder):
    """`line` is split as a shell would split it, and started without one. `seconds` is how long one answer may take,
    `setup_seconds` how long loading the weights may.
    """

    def __init__(self, line: str, seconds: float = 600.0, setup_seconds: float = 1800.0):
        self.command = shlex.split(line)
        if not self.command:
            raise UsageError("command: needs a command line, as in command:'python my_embedder.py'")
        self.seconds, self.setup_seconds = seconds, setup_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Any = None
        self._about: dict[str, Any] | None = None
        self._loaded = ("cpu", "float32")
        self._ready = False
        self._deaths = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_process": None, "_log": None, "_ready": False}

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        """What the process says of itself; it is started for that, and must answer before it loads weights."""
        about = self._described()
        unknown = sorted(set(about) - {"name", "dim", "modalities", "files", *CARD_KEYS})
        if unknown:
            raise ModelError(f"{self._named}: its card has unknown keys: {', '.join(unknown)}")
        more = {key: about[key] for key in CARD_KEYS if key in about}
        if more.get("training_sets") is not None:
            more["training_sets"] = frozenset(more["training_sets"])
        try:
            return EmbedderCard(name=about["name"], modalities=about["modalities"], dim=about["dim"], **more)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self._named}: its card is not right: {type(error).__name__}: {error}") from error

    def weights(self) -> Sequence[Path]:
        """The files among the words of the command (a script), and those that the card names under `files`."""
        told = [Path(file) for file in self._described().get("files", ())]
        return [*(Path(word) for word in self.command if Path(word).is_file()), *told]

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        self._loaded = (device, dtype)
        self._set_up()

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        """(len(items), dim) as the process sends them. Raises ModelError if it dies or does not keep the protocol."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        self._set_up()
        with tempfile.TemporaryDirectory(prefix="unite-bench-") as folder:
            told = [handed_over(item, Path(folder)) for item in items]
            answer, raw = self._asked({"embed": {"role": role, "items": told}}, self.seconds)
        self._deaths = 0
        if "error" in answer:
            raise ModelError(f"{self._named}: {answer['error']}")
        try:
            vectors: Vectors = load(raw)["vectors"]
        except (SafetensorError, KeyError) as error:
            raise ModelError(f"{self._named}: its answer holds no tensor 'vectors' ({error})") from error
        return np.asarray(vectors)

    def close(self) -> None:
        """End the process; the next question starts a new one."""
        process, self._process, self._ready = self._process, None, False
        if process is not None:
            process.kill()
            process.communicate()
        if self._log is not None:
            self._log.close()
            self._log = None

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.close()

    @property
    def _named(self) -> str:
        return f"command {shlex.join(self.command)!r}"

    def _described(self) -> Mapping[str, Any]:
        if self._about is None:
            answer, _ = self._asked({"card": {"protocol": PROTOCOL}}, self.seconds)
            if answer.get("protocol") != PROTOCOL:
                raise ModelError(f"{self._named}: speaks protocol {answer.get('protocol')!r}, this harness {PROTOCOL}")
            self._about = answer.get("card", {})
        return self._about

    def _set_up(self) -> None:
        if self._ready:
            return
        device, dtype = self._loaded
        answer, _ = self._asked({"setup": {"device": device, "dtype": dtype}}, self.setup_seconds)
        if "error" in answer:
            raise ModelUnavailable(f"{self._named}: could not be set up: {answer['error']}")
        self._ready = True

    def _asked(self, request: Mapping[str, Any], seconds: float) -> tuple[dict[str, Any], bytes]:
        """One question and its answer. A process that hangs is killed; one that keeps dying is given up."""
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        late = Event()

        def end() -> None:
            late.set()
            process.kill()

        alarm = Timer(seconds, end)
        alarm.start()
        line = raw = b""
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            answer = _parsed(line, self._named) if line else {}
            size = answer.get("bytes", 0)
            raw = process.stdout.read(size)
        except BrokenPipeError:
            answer, size = {}, 0
        finally:
            alarm.cancel()
        if late.is_set():
            self.close()
            raise ModelUnavailable(f"{self._named}: no answer in {seconds:g} s; it was ended")
        if not line.endswith(b"\n") or len(raw) < size:
            self._died(process)
        return answer, raw

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the process)
            try:
                self._process = subprocess.Popen(
                    self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
                )
            except OSError as error:
                self.close()
                raise ModelUnavailable(f"{self._named}: cannot be started ({error.strerror})") from error
        return self._process

    def _died(self, process: subprocess.Popen[bytes]) -> None:
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its output and lives on
            process.kill()
            code = process.wait()
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip().splitlines()[-3:]
        self.close()
        self._deaths += 1
        said = f"{self._named}: ended with code {code}; its last words: {' / '.join(words) or 'none'}"
        raise ModelUnavailable(said) if self._deaths >= MOST_DEATHS else ModelError(said)


def _parsed(line: bytes, name: str) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError as error:
        shown = line[:80].decode(errors="replace").strip()
        raise ModelUnavailable(
            f"{name}: wrote {shown!r}, which is not the protocol; print to standard error"
        ) from error
    if not isinstance(answer, dict):
        raise ModelUnavailable(f"{name}: answered {str(answer)[:80]!r}, which is not a JSON object")
    return answer
