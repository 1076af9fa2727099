"""Tables from datasets of the hub that lie on this machine, read with the `datasets` library.

Media that lie within the tables are written out as files once, beside the dataset, so that rows stay small and a warm run
decodes nothing.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from unite_bench.errors import DataError, UsageError
from unite_bench.items import File
from unite_bench.sources.hub_store import Dataset, data_root, snapshot
from unite_bench.sources.judgements import Judgements, read_grade
from unite_bench.sources.tables import Table
from unite_bench.spec.source_kinds import HubBeirSource, HubSource

MEDIA_FOLDER = ".media"


def open_rows(source: HubSource) -> Table:
    """The rows of one split."""
    return _split(Dataset(source.dataset, source.revision), source.config, source.split)


def open_beir(source: HubBeirSource, side: str) -> Table:
    """The corpus, or those queries that are judged."""
    dataset = Dataset(source.dataset, source.revision)
    if side == "candidates":
        return _split(dataset, source.corpus, source.split)
    table = _split(dataset, source.queries, source.split)
    judged = beir_judgements(source)
    name = next((column for column in ("id", "query-id", "_id") if column in table.columns), None)
    if name is None:
        raise DataError(f"{table.name}: no column of ids; it has {', '.join(table.columns)}")
    rows = [row for row in table.rows if str(row[name]) in judged]
    return Table(table.name, table.columns, rows)


def beir_judgements(source: HubBeirSource) -> Judgements:
    """Grades above 0 by query and candidate."""
    table = _split(Dataset(source.dataset, source.revision), source.qrels, source.split)
    missing = [name for name in ("query-id", "corpus-id", "score") if name not in table.columns]
    if missing:
        raise DataError(f"{table.name}: no column {missing[0]!r}; it has {', '.join(table.columns)}")
    judged: Judgements = {}
    for row in table.rows:
        grade = read_grade(row["score"])
        if grade > 0:
            judged.setdefault(str(row["query-id"]), {})[str(row["corpus-id"])] = grade
    return judged


def _split(dataset: Dataset, config: str | None, split: str) -> Table:
    return _read(snapshot(dataset), str(dataset), config, split)


@lru_cache(maxsize=32)
def _read(folder: Path, name: str, config: str | None, split: str) -> Table:
    """One split as a table; a cell of a media column is a File."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise UsageError("datasets of the hub need the library datasets: pip install 'unite-bench[hub]'") from error
    where = f"{name}, {config or 'default'}/{split}"
    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(str(folder), config, split=split, cache_dir=str(data_root() / "tables"))
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{where}: cannot be read ({error}); check config and split, or fetch the dataset again"
        ) from error
    media = [column for column, feature in loaded.features.items() if type(feature).__name__ in ("Image", "Video")]
    for column in media:
        loaded = loaded.cast_column(column, type(loaded.features[column])(decode=False))
    rows: list[dict[str, Any]] = loaded.remove_columns(media).to_list() if media else loaded.to_list()
    rows = rows or [{} for _ in range(len(loaded))]
    for column in media:
        kept = folder / MEDIA_FOLDER / (config or "default") / split / column
        kept.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rows):
            row[column] = _file(loaded, column, number, kept)
    return Table(where, tuple(loaded.column_names), rows)


def _file(loaded: Any, column: str, number: int, folder: Path) -> File | None:
    """The medium of one cell as a file; written on first sight, by renaming, so that a killed run leaves none half."""
    path, nothing = folder / str(number), folder / f"{number}.none"
    if path.exists():
        return File(path)
    if nothing.exists():
        return None
    cell = loaded[number][column]
    if cell is None:
        nothing.touch()
        return None
    if cell.get("bytes") is None:
        return File(Path(cell["path"]))
    (folder / f"{number}.new").write_bytes(cell["bytes"])
    (folder / f"{number}.new").replace(path)
    return File(path)
