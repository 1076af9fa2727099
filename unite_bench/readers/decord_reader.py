"""decord, kept at arm's length: it decodes in a process that is killed and replaced when it hangs or dies.

The process reads one JSON line a request and answers with one JSON line, followed by the raw frames. It is
`python -m unite_bench.readers.decord_worker`; nothing of decord is ever imported here.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.errors import MediaError, UsageError
from unite_bench.items import RGB, Blob, File

WORKER = (sys.executable, "-m", "unite_bench.readers.decord_worker")
SECONDS = 60.0  # for one clip
TOLERANCE = 1e-3  # seconds: decord rounds its time stamps


class DecordReader:
    """Decodes in a process of its own. `seconds` is how long one clip may take before that process is killed."""

    _process: subprocess.Popen[bytes] | None = None

    def __init__(self, seconds: float = SECONDS, worker: Sequence[str] = WORKER):
        if importlib.util.find_spec("decord") is None:
            raise UsageError("the frame reader decord is not installed: pip install 'unite-bench[video]', or use pyav")
        self.seconds = seconds
        self.worker = tuple(worker)

    def read(self, medium: File | Blob, indices: Sequence[int], times: npt.NDArray[np.float64]) -> list[RGB]:
        if isinstance(medium, File):
            return self._frames(medium.path, medium.name, indices, times)
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            file.write(medium.data)
            file.flush()
            return self._frames(Path(file.name), medium.name, indices, times)

    def close(self) -> None:
        """End the process; the next clip starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def __del__(self) -> None:
        self.close()

    def _frames(self, path: Path, name: str, indices: Sequence[int], times: npt.NDArray[np.float64]) -> list[RGB]:
        header, raw = self._asked(path, name, indices)
        if "error" in header:
            raise MediaError(f"{name}: decord cannot read it ({header['error']}); use the reader pyav")
        wrong = np.abs(np.array(header["times"]) - (times[list(indices)] - times[0])) > TOLERANCE
        if wrong.any():
            raise MediaError(f"{name}: decord gives frames of other times than the frame table; use the reader pyav")
        return list(np.frombuffer(raw, dtype=np.uint8).reshape(header["shape"]))

    def _asked(self, path: Path, name: str, indices: Sequence[int]) -> tuple[dict[str, Any], bytes]:
        """One question to the process, which is started if there is none, and killed if it does not answer in time."""
        if self._process is None:
            self._process = subprocess.Popen(self.worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        alarm = Timer(self.seconds, process.kill)
        alarm.start()
        try:
            process.stdin.write(json.dumps({"path": str(path), "indices": list(indices)}).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            header = json.loads(line) if line else {}
            raw = process.stdout.read(header.get("bytes", 0))
        except BrokenPipeError:
            header, raw = {}, b""
        finally:
            alarm.cancel()
        if not header or len(raw) < header.get("bytes", 0):
            self.close()
            raise MediaError(f"{name}: decord died or gave no answer in {self.seconds:g} s; use the reader pyav")
        return header, raw
