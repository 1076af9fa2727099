"""Checkpoints of other libraries: a folder, or a name on the hub at a pinned revision. Never pickled, never with code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unite_bench.errors import ModelError

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
LEFT_OUT = (*(f"*{suffix}" for suffix in PICKLED), "*.onnx", "*.h5", "*.msgpack", "*.py", "openvino/*", "onnx/*")
DECISIVE = (".safetensors", ".json", ".txt", ".model", ".jinja", ".vocab")


def folder_of(name: str, revision: str | None = None) -> Path:
    """The folder itself, or that of a hub model, fetched or from the local cache. Raises ModelError if there is none."""
    if Path(name).is_dir():
        if revision is not None:
            raise ModelError(f"{name} is a folder, which has no revision {revision!r}")
        return safe(Path(name))
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return safe(Path(snapshot_download(name, revision=revision, ignore_patterns=list(LEFT_OUT))))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise ModelError(f"{name}: no such folder, and not to be had from the hub ({error})") from error


def safe(folder: Path) -> Path:
    """The folder, if none of its weights are pickled without a safetensors file beside them. Raises ModelError."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in PICKLED and not list(path.parent.glob("*.safetensors")):
            raise ModelError(f"{path}: pickled weights can run code and are not loaded; convert them to safetensors")
    return folder


def revision_of(folder: Path, revision: str | None) -> str:
    """The commit of a hub snapshot, which is the name of its folder; else what was asked for."""
    return folder.name if folder.parent.name == "snapshots" else revision or "unversioned"


def decisive_files(folder: Path) -> Sequence[Path]:
    """Every file of the folder that can decide a vector: weights, configuration, vocabulary."""
    return sorted(path for path in folder.rglob("*") if path.suffix in DECISIVE and path.is_file())
