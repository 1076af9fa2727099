"""Miniature datasets in the layouts of the hub, put under a data root as a download would leave them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

COLOURS = {"red": (220, 20, 20), "green": (20, 160, 20), "blue": (20, 20, 220), "white": (250, 250, 250)}
Rows = Sequence[Mapping[str, Any]]


def png(colour: str, size: int = 40) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (size, size), COLOURS[colour]).save(buffer, format="PNG")
    return buffer.getvalue()


def write_dataset(
    folder: Path,
    splits: Mapping[tuple[str, str], Rows],
    images: Sequence[str] = ("image",),
    videos: Sequence[str] = (),
) -> None:
    """One Parquet file per (config, split) and a card that names the configs."""
    import datasets

    configs: dict[str, list[dict[str, str]]] = {}
    for (config, split), rows in splits.items():
        path = folder / config / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {name: [row.get(name) for row in rows] for name in rows[0]}
        made = datasets.Dataset.from_dict(columns)
        for kind, names in ((datasets.Image, images), (datasets.Video, videos)):
            for name in names:
                if name in made.column_names and isinstance(columns[name][0], dict):  # else it holds names
                    made = made.cast_column(name, kind(decode=False)).cast_column(name, kind())
        made.to_parquet(path)
        configs.setdefault(config, []).append({"split": split, "path": f"{config}/{split}-*.parquet"})
    listed = [{"config_name": name, "data_files": files} for name, files in configs.items()]
    (folder / "README.md").write_text(f"---\nconfigs: {json.dumps(listed)}\n---\n", encoding="utf-8")


def finish(folder: Path, unpacked: Sequence[str] = (), whole: bool = True) -> None:
    """The list of files that a download writes last; the folder is named after the revision."""
    from unite_bench.sources.hub_store import sha256

    files = {
        path.relative_to(folder).as_posix(): [path.stat().st_size, sha256(path)]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }
    content = {"revision": folder.name, "whole": whole, "unpacked": list(unpacked), "files": files}
    (folder.parent / f"{folder.name}.json").write_text(json.dumps(content), encoding="utf-8")


def place(root: Path, dataset: str, revision: str = "a" * 40, pinned: bool = True) -> Path:
    """The (empty) folder of a revision under a data root."""
    folder = root / "hub" / dataset.replace("/", "--") / revision
    folder.mkdir(parents=True)
    if not pinned:
        (folder.parent / "unpinned").write_text(revision + "\n", encoding="utf-8")
    return folder
