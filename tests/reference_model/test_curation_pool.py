"""The pool: streamed batches of chosen rows, items, and digests that are computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reference_model.curation.digests import Digests, _blocks
from reference_model.curation.groups import Groups
from reference_model.curation.pool import Placed, Pool, write_pool
from reference_model.curation.rows import Row
from unite_bench.errors import MediaError, StoreError
from unite_bench.items import File, Image, Item, Text


def texts(folder: Path, count: int) -> Pool:
    """A pool of `count` rows, "q N" to "t N"."""
    rows = (Placed(Row(f"s:{n}", "s", Item((Text(f"q {n}"),)), Item((Text(f"t {n}"),))), "x", n) for n in range(count))
    write_pool(folder / "pool.parquet", rows, folder)
    return Pool(folder / "pool.parquet", folder, folder)


BLOCK = 16


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_model.curation.pool.BLOCK", BLOCK)


def test_batches_give_exactly_the_rows_asked_for(tmp_path: Path) -> None:
    pool = texts(tmp_path, 2 * BLOCK + 5)
    assert len(pool) == 2 * BLOCK + 5
    everything = list(pool.batches(["id", "row"]))
    assert [len(numbers) for numbers, _ in everything] == [BLOCK, BLOCK, 5]
    asked = np.array([0, 7, BLOCK - 1, BLOCK, 2 * BLOCK + 4], dtype=np.int64)
    found = list(pool.batches(["id", "row"], asked))
    assert np.concatenate([numbers for numbers, _ in found]).tolist() == asked.tolist()
    assert [name for _, table in found for name in table["id"].to_pylist()] == [f"s:{n}" for n in asked]
    assert list(pool.batches(["id"], np.array([], dtype=np.int64))) == []
    assert [(item.id, item.text) for item in pool.items(asked[1:3], "target")] == [
        ("s:7", "t 7"),
        (f"s:{BLOCK - 1}", f"t {BLOCK - 1}"),
    ]


def test_digests_are_those_of_the_content_and_computed_once(tmp_path: Path) -> None:
    pool = texts(tmp_path, 100)
    rows = np.array([3, 4, 90], dtype=np.int64)
    ((numbers, digests),) = pool.digests(rows, "query")
    assert numbers.tolist() == rows.tolist()
    assert [bytes(row).hex() for row in digests] == [Item((Text(f"q {n}"),)).content for n in rows]
    kept = Digests(tmp_path / "query.digests", 100)
    written = np.fromfile(kept.path, dtype=np.uint8).reshape(100, 32)
    assert np.flatnonzero(written.any(axis=1)).tolist() == [3, 4, 90] and (written[rows] == digests).all()
    with kept.path.open("r+b") as file:  # what is there is not computed again
        file.seek(4 * 32)
        file.write(bytes([7] * 32))
    ((_, again),) = pool.digests(np.arange(100), "query")
    assert again[4].tolist() == [7] * 32
    assert bytes(again[99]).hex() == Item((Text("q 99"),)).content


def test_rows_are_taken_in_spans() -> None:
    rows = np.array([0, 9, 10, 11, 35, 39, 40], dtype=np.int64)
    assert [block.tolist() for block in _blocks(rows, span=10)] == [[0, 9], [10, 11], [35, 39], [40]]
    assert list(_blocks(np.array([], dtype=np.int64))) == []


def test_groups_are_counted_over_many_blocks(tmp_path: Path) -> None:
    def row(n: int) -> Placed:
        target = Text("t") if n % 3 else Image(File(tmp_path / "x.png"))
        return Placed(Row(f"s:{n}", "s", Item((Text("q"),)), Item((target,))))

    write_pool(tmp_path / "pool.parquet", map(row, range(100)), tmp_path)
    groups = Groups(Pool(tmp_path / "pool.parquet", tmp_path, tmp_path))
    assert {group.pair: n for group, n in groups.counts().items()} == {"text>image": 34, "text>text": 66}
    chosen = np.array([0, 3, 30, 31, 99], dtype=np.int64)
    assert {group.pair: n for group, n in groups.counts(chosen).items()} == {"text>image": 4, "text>text": 1}
    sums = groups.sums(chosen, np.array([1, 2, 4, 8, 16], dtype=np.float32))
    assert {group.pair: weight for group, weight in sums.items()} == {"text>image": 23.0, "text>text": 8.0}


def test_a_missing_medium_names_its_row_and_the_cure(tmp_path: Path) -> None:
    row = Row("s:0", "s", Item((Text("a cat"),)), Item((Image(File(tmp_path / "none.png")),)))
    write_pool(tmp_path / "pool.parquet", [Placed(row)], tmp_path)
    pool = Pool(tmp_path / "pool.parquet", tmp_path, tmp_path)
    with pytest.raises(MediaError, match=r"row s:0: .*none\.png.*`validity`"):
        list(pool.digests(np.arange(1), "target"))
    with pytest.raises(StoreError, match="read the sources again"):
        len(Pool(tmp_path / "other.parquet", tmp_path, tmp_path))
