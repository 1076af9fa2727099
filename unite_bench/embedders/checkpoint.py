"""Checkpoints of other libraries: a folder, or a name on the hub at a pinned revision, and what loading one may do.

Code that comes with a checkpoint and pickled weights can do anything on the machine that loads them. Both are refused
unless asked for by `--model-arg trust_remote_code=true` and `pickle_weights=true`, which the record shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

from unite_bench.errors import ModelError

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
LEFT_OUT = ("*.onnx", "*.h5", "*.msgpack", "openvino/*", "onnx/*")
SHARD = re.compile(r"-\d+-of-\d+\.safetensors$")
DECISIVE = (".safetensors", ".json", ".txt", ".model", ".jinja", ".vocab")


@dataclass(frozen=True)
class Trust:
    """What the user lets a checkpoint do. The fields are named like the arguments of the adapters that take them."""

    trust_remote_code: bool = False
    pickle_weights: bool = False

    @contextmanager
    def loading(self, name: str) -> Iterator[None]:
        """While it is open, whatever library loads a model, code and pickles that are not trusted raise ModelError.

        Libraries have flags of their own, but some of those that load models for us set them without asking.
        """
        import torch
        from transformers import dynamic_module_utils

        def no_code(*args: Any, **kwargs: Any) -> Any:
            raise ModelError(_no_code(name))

        def no_pickle(*args: Any, **kwargs: Any) -> Any:
            raise ModelError(_no_pickle(name))

        code, load = dynamic_module_utils.get_class_in_module, torch.load
        try:
            dynamic_module_utils.get_class_in_module = code if self.trust_remote_code else no_code
            torch.load = load if self.pickle_weights else no_pickle
            yield
        except ValueError as error:
            if "trust_remote_code" not in str(error):
                raise
            raise ModelError(_no_code(name)) from error  # the library's advice names an argument of its own
        finally:
            dynamic_module_utils.get_class_in_module, torch.load = code, load

    @property
    def _unasked(self) -> tuple[str, ...]:
        """Endings of the files that are neither fetched nor read."""
        return (*(() if self.pickle_weights else PICKLED), *(() if self.trust_remote_code else (".py",)))

    def folder_of(self, name: str, revision: str | None = None) -> Path:
        """The folder itself, or that of a hub model, fetched or from the local cache.

        Raises ModelError if there is none, or if its weights are pickled and that was not asked for.
        """
        if Path(name).is_dir():
            if revision is not None:
                raise ModelError(f"{name} is a folder, which has no revision {revision!r}")
            return self._checked(Path(name))
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        left_out = [*LEFT_OUT, *(f"*{suffix}" for suffix in self._unasked)]
        try:
            return self._checked(Path(snapshot_download(name, revision=revision, ignore_patterns=left_out)))
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
            raise ModelError(f"{name}: no such folder, and not to be had from the hub ({error})") from error

    def _checked(self, folder: Path) -> Path:
        for path in sorted(folder.rglob("*")):
            pickled = path.suffix in PICKLED and not list(path.parent.glob("*.safetensors"))
            if pickled and not self.pickle_weights:
                raise ModelError(_no_pickle(str(path)))
        return folder

    def decisive_files(self, folder: Path) -> Sequence[Path]:
        """Every file of the folder that can decide a vector: weights, configuration, vocabulary, and trusted code."""
        kinds = {*DECISIVE, *PICKLED, ".py"} - set(self._unasked)
        return sorted(path for path in folder.rglob("*") if path.suffix in kinds and path.is_file())


def size_of(files: Iterable[Path]) -> str | None:
    """How many parameters the weights among these files have, as papers write it ("22.7M", "2.21B").

    None where that cannot be told: pickled weights, quantised ones, which hold several in a number, or more than one set of
    weights in a folder. Whole numbers that are no weights (positions, int64) do not count.

    Raises ModelError for a safetensors file that is none.
    """
    from safetensors import SafetensorError, safe_open

    held_in: dict[Path, list[Path]] = {}
    for path in files:
        if path.suffix in PICKLED:
            return None
        if path.suffix == ".safetensors":
            held_in.setdefault(path.parent, []).append(path)
    if any(len(found) > 1 and not all(SHARD.search(path.name) for path in found) for found in held_in.values()):
        return None
    total = 0
    for path in chain.from_iterable(held_in.values()):
        try:
            with safe_open(path, framework="numpy") as held:
                tensors = [(of.get_dtype(), prod(of.get_shape())) for of in map(held.get_slice, held.keys())]
        except SafetensorError as error:
            raise ModelError(f"{path}: not a safetensors file, or not all of it ({error}); fetch it again") from error
        if any(not kind.startswith(("F", "BF", "I64", "BOOL")) for kind, _ in tensors):
            return None
        total += sum(count for kind, count in tensors if kind.startswith(("F", "BF")))
    unit, name = (1e9, "B") if total >= 999.5e6 else (1e6, "M")
    number = total / unit
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}{name}" if total else None


def revision_of(folder: Path, revision: str | None) -> str:
    """The commit of a hub snapshot, which is the name of its folder; else what was asked for."""
    return folder.name if folder.parent.name == "snapshots" else revision or "unversioned"


def _no_code(what: str) -> str:
    return (
        f"{what}: loading it runs code that comes with the checkpoint; if you trust its authors, "
        "give --model-arg trust_remote_code=true"
    )


def _no_pickle(what: str) -> str:
    return (
        f"{what}: pickled weights can run code and are not loaded; convert them to safetensors, or if you trust their "
        "authors, give --model-arg pickle_weights=true"
    )
