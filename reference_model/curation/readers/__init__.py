"""Readers: from a source of the recipe to rows with their place, and to records that cannot be rows. All stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from reference_model.curation.readers import folder as folders
from reference_model.curation.readers import hub, tables, unite
from reference_model.curation.readers.found import Found, Labels
from reference_model.curation.rows import Granularity, Stage
from reference_model.curation.sources import FolderSource, HubSource, Source, TableSource, UniteSource


def read(source: Source, stages: Mapping[Granularity, Stage], folder: Path, root: Path, kept: Path) -> Iterator[Found]:
    """All of a source: paths start at `folder`, are written from `root`, and media without a file are kept in `kept`.

    Raises DataError for a file that is missing or broken as a whole; single bad records come as `Bad`.
    """
    labels = Labels(source, stages)
    if isinstance(source, UniteSource):
        return unite.read(source, labels, folder, root)
    if isinstance(source, TableSource):
        return tables.read(source, labels, folder, root)
    if isinstance(source, HubSource):
        return hub.read(source, labels, folder, kept)
    assert isinstance(source, FolderSource)
    return folders.read(source, labels, folder, root, kept)
