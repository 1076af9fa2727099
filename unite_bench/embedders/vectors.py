"""`vectors:FOLDER`: vectors that were computed elsewhere, found by item id. docs/adapters.md describes the folder.

Ids mean something only within a task, so a folder belongs to the tasks that its `vectors.json` names, and is run on no
other. Nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.embedders.base import Embedder, EmbedderCard, Vectors
from unite_bench.errors import ModelError
from unite_bench.items import Item, Role

ABOUT = "vectors.json"
REQUIRED = ("name", "dim", "modalities", "tasks")
OPTIONAL = ("revision", "similarity", "normalised", "training_sets")
FORMS = (".npy", ".safetensors", ".parquet")


@dataclass(frozen=True)
class Table:
    """`rows` (ids, dim), or with late interaction one (tokens, dim) an id; and at which of them each id stands."""

    at: Mapping[str, int]
    rows: npt.NDArray[Any] | list[npt.NDArray[Any]]


class VectorsEmbedder(Embedder):
    """Looks vectors up in `query.*` and `candidate.*` of a folder. An id that is not there is an error that names it."""

    def __init__(self, folder: str):
        self.folder = Path(folder)

    @property
    def card(self) -> EmbedderCard:  # type: ignore[override]
        about = _about(self.folder / ABOUT)
        more = {key: about[key] for key in OPTIONAL if key in about}
        if more.get("training_sets") is not None:
            more["training_sets"] = frozenset(more["training_sets"])
        try:
            return EmbedderCard(
                name=about["name"],
                modalities=about["modalities"],
                dim=about["dim"],
                tasks=frozenset(about["tasks"]),
                id_matters=True,
                **more,
            )
        except (TypeError, ValueError) as error:
            raise ModelError(f"{self.folder / ABOUT}: {error}") from error

    def weights(self) -> Sequence[Path]:
        """Every file of the folder that decides a vector."""
        found = [path for role in ("query", "candidate") for path in _files(self.folder, role)]
        return [self.folder / ABOUT, *found, *(ids for path in found if (ids := _ids_file(path)).is_file())]

    def embed(self, items: Sequence[Item], role: Role) -> Vectors | list[Vectors]:
        """(len(items), dim) rows as stored, or the tokens of each item.

        Raises ModelError for an id without a vector, and for a wrong file.
        """
        table = self._table(role)
        missing = [item.id for item in items if item.id not in table.at]
        if missing:
            raise ModelError(f"{self.folder}: no {role} vector has the id {missing[0]!r}")
        places = [table.at[item.id] for item in items]
        return [table.rows[n] for n in places] if isinstance(table.rows, list) else table.rows[places]

    def _table(self, role: Role) -> Table:
        files = _files(self.folder, role)
        if len(files) != 1:
            found = " and ".join(path.name for path in files) or "none"
            raise ModelError(f"{self.folder}: one file {role}{{{','.join(FORMS)}}} is needed, there is {found}")
        (path,) = files
        stamps = tuple(file.stat().st_mtime_ns for file in (path, _ids_file(path)) if file.is_file())
        if self.card.similarity == "maxsim":
            if path.suffix != ".safetensors":
                raise ModelError(f"{path}: several vectors an item are read from {role}.safetensors only")
            return _read(path, stamps, late=True)
        table = _read(path, stamps)
        assert not isinstance(table.rows, list)
        if table.rows.ndim != 2 or table.rows.shape[1] != self.card.dim:
            raise ModelError(f"{path}: vectors of shape {table.rows.shape}, {ABOUT} says dim={self.card.dim}")
        return table


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); it names the vectors and their tasks") from error
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}:{error.lineno}: not JSON ({error.msg})") from error
    missing = [key for key in REQUIRED if key not in about]
    unknown = sorted(set(about) - {*REQUIRED, *OPTIONAL})
    if missing or unknown:
        raise ModelError(
            f"{path}: missing {', '.join(missing) or 'nothing'}; unknown {', '.join(unknown) or 'nothing'}"
        )
    return dict(about)


def _files(folder: Path, role: str) -> list[Path]:
    return [path for form in FORMS if (path := folder / f"{role}{form}").is_file()]


def _ids_file(path: Path) -> Path:
    """The ids beside a .npy file, one a line."""
    return path.with_suffix(".ids.txt")


@lru_cache(maxsize=8)
def _read(path: Path, stamps: tuple[int, ...], late: bool = False) -> Table:
    """The table in one file as of its time stamps, with `late` the tokens of each id.

    Raises ModelError if it is damaged or an id stands in it twice.
    """
    try:
        ids, rows = _read_tokens(path) if late else READERS[path.suffix](path)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    at = {name: n for n, name in enumerate(ids)}
    if len(ids) != len(rows):
        raise ModelError(f"{path}: {len(ids)} ids for {len(rows)} vectors")
    if len(at) != len(ids):
        twice = next(name for n, name in enumerate(ids) if at[name] != n)
        raise ModelError(f"{path}: the id {twice!r} stands there twice")
    return Table(at, rows)


def _read_npy(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    ids = _ids_file(path).read_text(encoding="utf-8").splitlines()
    return ids, np.load(path, mmap_mode="r", allow_pickle=False)


def _read_tokens(path: Path) -> tuple[list[str], list[npt.NDArray[Any]]]:
    """One tensor an id, of a .safetensors file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    return list(found), list(found.values())


def _read_safetensors(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    """One tensor (dim,) an id."""
    ids, rows = _read_tokens(path)
    return ids, np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)


def _read_parquet(path: Path) -> tuple[list[str], npt.NDArray[Any]]:
    """Columns `id` and `vector` (a list of floats)."""
    import pyarrow.parquet as parquet

    table = parquet.read_table(path, columns=["id", "vector"])
    vectors = [np.asarray(row) for row in table["vector"].to_pylist()]
    return [str(name) for name in table["id"].to_pylist()], np.stack(vectors)


READERS = {".npy": _read_npy, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
