"""Datasets of the hub, streamed with the `datasets` library; media within the rows are written out as files, by content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reference_model.curation.readers import unite
from reference_model.curation.readers.found import BadRecord, Found, Items, Labels, path_of
from reference_model.curation.readers.sides import items_of
from reference_model.curation.readers.tables import check_columns, columns_of
from reference_model.curation.sources import HubSource
from unite_bench.errors import DataError, UsageError
from unite_bench.items import File
from unite_bench.spec.source_kinds import UNPINNED


def read(source: HubSource, labels: Labels, folder: Path, kept: Path) -> Iterator[Found]:
    """Rows and bad records of the split; encoded media go to `kept`, one file a content."""
    where = f"hub:{source.dataset}/{source.config or 'default'}/{source.split}"
    columns = columns_of(source)
    rows = _streamed(source, _opened(source, folder, columns))

    def locate(column: str, cell: Any) -> File:
        if isinstance(cell, Mapping):
            data, cell = cell.get("bytes"), cell.get("path")
            if isinstance(data, bytes):
                return _written(kept, data, Path(str(cell or "")).suffix.lower())
        if isinstance(cell, bytes):
            return _written(kept, cell, "")
        if isinstance(cell, str) and (folder / source.dataset / path_of(cell, f"column {column!r}")).is_file():
            return File(folder / source.dataset / cell)
        raise BadRecord("no medium", f"column {column!r} holds neither bytes nor a path that lies in the dataset")

    def items(_file: str, _at: int, record: Mapping[str, Any]) -> Items:
        if source.query is None or source.target is None:
            return unite.items_of(record, locate)
        return items_of(source.query, source.target, source.negatives, record, locate)

    return labels.found(((where, at, row) for at, row in enumerate(rows)), items)


def pinned(source: HubSource, folder: Path) -> HubSource:
    """The source at the newest revision of now, if it names none; a folder has no revision. Raises DataError."""
    if source.revision != UNPINNED or (folder / source.dataset).is_dir():
        return source
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        found = huggingface_hub.HfApi().dataset_info(source.dataset).sha
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise DataError(f"{source.dataset}: the hub cannot be asked for the newest revision ({error})") from error
    return source.model_copy(update={"revision": str(found)})


def _opened(source: HubSource, folder: Path, columns: tuple[str, ...]) -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise UsageError("datasets of the hub need the library datasets: pip install 'unite-bench[hub]'") from error
    datasets.disable_progress_bars()
    local = folder / source.dataset
    name, revision = (str(local), None) if local.is_dir() else (source.dataset, source.revision)
    try:
        rows = datasets.load_dataset(name, source.config, split=source.split, streaming=True, revision=revision)
        features = rows.features or {}
        if features:
            check_columns(f"{source.dataset}, {source.split}", columns, features)
            rows = rows.select_columns([name for name in features if name in {*columns, *unite.KEYS}])
        for column, feature in features.items():
            if column in columns and type(feature).__name__ in ("Image", "Video"):
                rows = rows.cast_column(column, type(feature)(decode=False))
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"{source.dataset}: cannot be read ({error}); check name, config, split and revision"
        ) from error
    return rows


def _streamed(source: HubSource, rows: Iterable[Any]) -> Iterator[Any]:
    """The rows; a shard that turns out broken, or a connection that is lost, is an error of the dataset."""
    import datasets
    import httpx2  # what huggingface_hub transfers with
    import pyarrow as pa

    read = 0
    try:
        for row in rows:
            yield row
            read += 1
    except (ValueError, OSError, pa.ArrowException, datasets.exceptions.DatasetsError, httpx2.HTTPError) as error:
        raise DataError(
            f"{source.dataset}: cannot be read beyond row {read:,} of split {source.split} ({error}); "
            "try again, and if the row is the same, fetch the dataset again or take another revision"
        ) from error


def _written(kept: Path, data: bytes, suffix: str) -> File:
    """The bytes as a file named by their digest; written once, under another name until it is whole."""
    digest = hashlib.sha256(data).hexdigest()
    path = kept / digest[:2] / f"{digest}{suffix}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.unfinished")
        unfinished.write_bytes(data)
        unfinished.replace(path)
    return File(path)
