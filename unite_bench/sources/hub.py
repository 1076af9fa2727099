"""Tables from datasets of the hub that lie on this machine, read with the `datasets` library.

Media that lie within the tables are written out as files once, beside the dataset, so that rows stay small and a warm run
decodes nothing.
"""

from __future__ import annotations

from dataclasses import replace
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
ID_COLUMNS = ("id", "_id", "query-id", "corpus-id")


def open_rows(source: HubSource) -> Table:
    """The rows of one split, or the first of them."""
    table = _split(Dataset(source.dataset, source.revision), source.config, source.split)
    return table if source.first is None else replace(table, rows=table.rows[: source.first])


def open_beir(source: HubBeirSource, side: str) -> Table:
    """The corpus, or those queries that are judged; ids stand in `id`, whatever the dataset calls them.

    Queries get a column `judged`: all that they have judgements for, of whatever grade.
    """
    dataset = Dataset(source.dataset, source.revision)
    if side == "candidates":
        return _with_id(_beir_split(dataset, source, source.corpus, ("corpus",)))
    table = _with_id(_beir_split(dataset, source, source.queries, ("query", "queries")))
    judged = _judged(source)
    graded = {query for query, grades in judged.items() if any(grade > 0 for grade in grades.values())}
    rows = [{**row, "judged": list(judged[row["id"]])} for row in table.rows if row["id"] in graded]
    return Table(table.name, tuple(dict.fromkeys((*table.columns, "judged"))), rows)


def beir_judgements(source: HubBeirSource) -> Judgements:
    """Grades above 0 by query and candidate."""
    judged = {
        query: {candidate: grade for candidate, grade in grades.items() if grade > 0}
        for query, grades in _judged(source).items()
    }
    return {query: grades for query, grades in judged.items() if grades}


def _judged(source: HubBeirSource) -> Judgements:
    """Every grade by query and candidate."""
    table = _beir_split(Dataset(source.dataset, source.revision), source, source.qrels, ("default", "qrels"))
    missing = [name for name in ("query-id", "corpus-id", "score") if name not in table.columns]
    if missing:
        raise DataError(f"{table.name}: no column {missing[0]!r}; it has {', '.join(table.columns)}")
    judged: Judgements = {}
    for row in table.rows:
        judged.setdefault(str(row["query-id"]), {})[str(row["corpus-id"])] = read_grade(row["score"])
    return judged


def _beir_split(dataset: Dataset, source: HubBeirSource, named: str | None, usual: tuple[str, ...]) -> Table:
    """One config of the layout; see `HubBeirSource` for how it is found."""
    folder = str(snapshot(dataset))
    known = _datasets().get_dataset_config_names(folder)
    wanted = [f"{source.language}-{name}" if source.language else name for name in ((named,) if named else usual)]
    config = next((name for name in wanted if name in known), None)
    if config is None:
        raise DataError(f"{dataset}: no config {' or '.join(wanted)}; it has {', '.join(known)}")
    splits = _datasets().get_dataset_split_names(folder, config)
    if source.split not in splits and len(splits) != 1:
        raise DataError(f"{dataset}, {config}: no split {source.split!r}; it has {', '.join(splits)}")
    return _split(dataset, config, source.split if source.split in splits else splits[0])


def _with_id(table: Table) -> Table:
    name = next((column for column in ID_COLUMNS if column in table.columns), None)
    if name is None:
        raise DataError(f"{table.name}: no column {' or '.join(ID_COLUMNS)}; it has {', '.join(table.columns)}")
    return Table(
        table.name, tuple(dict.fromkeys(("id", *table.columns))), [{**row, "id": str(row[name])} for row in table.rows]
    )


def _split(dataset: Dataset, config: str | None, split: str) -> Table:
    return _read(snapshot(dataset), str(dataset), config, split)


@lru_cache(maxsize=32)
def _read(folder: Path, name: str, config: str | None, split: str) -> Table:
    """One split as a table; a cell of a media column is a File."""
    datasets = _datasets()
    where = f"{name}, {config or 'default'}/{split}"
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


def _datasets() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise UsageError("datasets of the hub need the library datasets: pip install 'unite-bench[hub]'") from error
    datasets.disable_progress_bars()
    return datasets
