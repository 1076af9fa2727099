"""`command:LINE`: an embedder in a process of its own, in whatever environment or language. Protocol: docs/adapters.md.

The process reads one JSON object a line on standard input. It answers each with one JSON object a line on standard
output; the answer to `embed` is followed by a safetensors file of as many bytes as its line says.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.embedders.conversation import Conversation
from unite_bench.embedders.handed_over import handed_over
from unite_bench.errors import ModelError, ModelUnavailable, UsageError
from unite_bench.items import Item, Role

PROTOCOL = 1
REQUIRED = ("name", "dim", "modalities")
OPTIONAL = (
    *("revision", "similarity", "role_matters", "instruction_matters", "prompt", "max_frames", "normalised"),
    *("training_sets", "frame_order_matters", "backbone", "size"),
)


class CommandEmbedder(Embedder):
    """`line` is split as a shell would split it, and started without one. `seconds` is how long one answer may take,
    `setup_seconds` how long loading the weights may.
    """

    def __init__(self, line: str, seconds: float = 600.0, setup_seconds: float = 1800.0):
        if not shlex.split(line):
            raise UsageError("command: needs a command line, as in command:'python my_embedder.py'")
        self.process = Conversation(shlex.split(line))
        self.seconds, self.setup_seconds = seconds, setup_seconds
        self._about: dict[str, Any] | None = None
        self._loaded = ("cpu", "float32")
        self._ready_at = 0  # the start of the process that was set up

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ready_at": 0}

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        """What the process says of itself; it is started for that, and must answer before it loads weights."""
        about = self._described()
        unknown = sorted(set(about) - {*REQUIRED, *OPTIONAL, "files"})
        if unknown:
            raise ModelError(f"{self.process.name}: its card has unknown keys: {', '.join(unknown)}")
        more = {key: about[key] for key in OPTIONAL if key in about}
        if more.get("training_sets") is not None:
            more["training_sets"] = frozenset(more["training_sets"])
        try:
            return EmbedderCard(**{key: about[key] for key in REQUIRED}, **more)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.process.name}: its card is not right: {type(error).__name__}: {error}") from error

    def weights(self) -> Sequence[Path]:
        """The files among the words of the command (a script), and those that the card names under `files`."""
        told = [Path(file) for file in self._described().get("files", ())]
        return [*(Path(word) for word in self.process.command if Path(word).is_file()), *told]

    def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
        self._loaded = (device, dtype)
        self._set_up()

    def embed(self, items: Sequence[Item], role: Role) -> Vectors | list[Vectors]:
        """(len(items), dim) as the process sends them; with late interaction, one (tokens, dim) an item.

        Raises ModelError if it dies or does not keep the protocol.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        self._set_up()
        with tempfile.TemporaryDirectory(prefix="unite-bench-") as folder:
            told = [handed_over(item, Path(folder)) for item in items]
            answer, raw = self.process.ask({"embed": {"role": role, "items": told}}, self.seconds)
        self.process.deaths = 0
        if "error" in answer:
            raise ModelError(f"{self.process.name}: {answer['error']}")
        try:
            sent = load(raw)
            vectors, counts = sent["vectors"], sent.get("tokens")
        except (SafetensorError, KeyError) as error:
            raise ModelError(f"{self.process.name}: its answer holds no tensor 'vectors' ({error})") from error
        if counts is None:
            return np.asarray(vectors)
        if counts.shape != (len(items),) or (counts < 1).any() or counts.sum() != len(vectors):
            raise ModelError(
                f"{self.process.name}: 'tokens' must hold the number of rows of each of the {len(items)} items, "
                f"{len(vectors)} in all; it is {counts.tolist()}"
            )
        return np.split(vectors, np.cumsum(counts)[:-1])

    def _described(self) -> Mapping[str, Any]:
        if self._about is None:
            answer, _ = self.process.ask({"card": {"protocol": PROTOCOL}}, self.seconds)
            if answer.get("protocol") != PROTOCOL:
                spoken = answer.get("protocol")
                raise ModelError(f"{self.process.name}: speaks protocol {spoken!r}, this harness {PROTOCOL}")
            self._about = answer.get("card", {})
        return self._about

    def _set_up(self) -> None:
        """Have the weights loaded, also by a process that had to be started again."""
        if self.process.running and self._ready_at == self.process.starts:
            return
        device, dtype = self._loaded
        answer, _ = self.process.ask({"setup": {"device": device, "dtype": dtype}}, self.setup_seconds)
        if "error" in answer:
            raise ModelUnavailable(f"{self.process.name}: could not be set up: {answer['error']}")
        self._ready_at = self.process.starts
