"""Questions to a process on its standard input, answers from its standard output, and what to do when there are none."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from threading import Event, Timer
from typing import Any

from unite_bench.errors import ModelError, ModelUnavailable

MOST_DEATHS = 8  # in a row: more than halving a batch of 64 down to the item at fault can cause


class Conversation:
    """One process, started at the first question and again at the first after its end. `starts` counts that.

    After anything but a whole answer the process is ended, so that no answer is ever taken for that of a later question;
    the number that it must repeat is the second lock on that door.
    """

    def __init__(self, command: Sequence[str]):
        self.command = tuple(command)
        self.starts = 0
        self.deaths = 0  # in a row; whoever gets something done sets it to 0
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Any = None
        self._asking = False
        self._number = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_process": None, "_log": None, "_asking": False, "starts": 0}

    def __del__(self) -> None:
        self.close()

    @property
    def name(self) -> str:
        return f"command {shlex.join(self.command)!r}"

    @property
    def running(self) -> bool:
        """Whether the next question goes to the process that answered the last one."""
        return self._process is not None and not self._asking

    def ask(self, question: Mapping[str, Any], seconds: float) -> tuple[dict[str, Any], bytes]:
        """The answer, and the bytes that follow it.

        Raises ModelError if the process dies; ModelUnavailable if it gives no answer in time, says what is not the
        protocol, cannot be started, or has died too often.
        """
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        late = Event()

        def end() -> None:
            late.set()
            process.kill()

        alarm = Timer(seconds, end)
        alarm.start()
        self._asking, self._number = True, self._number + 1
        line = raw = b""
        try:
            process.stdin.write(json.dumps({"id": self._number, **question}).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            answer, size = self._parsed(line) if line else ({}, 0)
            raw = process.stdout.read(size)
        except BrokenPipeError:
            answer, size = {}, 0
        finally:
            alarm.cancel()
        if late.is_set():
            self.close()
            raise ModelUnavailable(f"{self.name}: no answer in {seconds:g} s; it was ended")
        if not line.endswith(b"\n") or len(raw) < size:
            raise self._dead(process)
        self._asking = False
        return answer, raw

    def close(self) -> None:
        """End the process; the next question starts a new one."""
        process, self._process, self._asking = self._process, None, False
        if process is not None:
            process.kill()
            process.communicate()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._asking:
            self.close()
        if self._process is None:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the process)
            try:
                self._process = subprocess.Popen(
                    self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
                )
            except OSError as error:
                self.close()
                raise ModelUnavailable(f"{self.name}: cannot be started ({error.strerror})") from error
            self.starts += 1
        return self._process

    def _dead(self, process: subprocess.Popen[bytes]) -> ModelError:
        """The error for a process that ended instead of answering."""
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # it closed its output and lives on
            process.kill()
            code = process.wait()
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip().splitlines()[-3:]
        self.close()
        self.deaths += 1
        said = f"{self.name}: ended with code {code}; its last words: {' / '.join(words) or 'none'}"
        return ModelUnavailable(said) if self.deaths >= MOST_DEATHS else ModelError(said)

    def _parsed(self, line: bytes) -> tuple[dict[str, Any], int]:
        """The answer in a line, and how many bytes follow it."""
        shown = line[:80].decode(errors="replace").strip()
        try:
            answer = json.loads(line)
        except ValueError as error:
            said = f"{self.name}: wrote {shown!r}, which is not the protocol; print to standard error"
            raise ModelUnavailable(said) from error
        if not isinstance(answer, dict) or answer.get("id") != self._number:
            raise ModelUnavailable(
                f"{self.name}: answered {shown!r}, which does not repeat the question's id {self._number}"
            )
        size = answer.get("bytes", 0)
        if not isinstance(size, int) or size < 0:
            raise ModelUnavailable(f"{self.name}: answered bytes={size!r}, which is no number of bytes")
        return answer, size
