"""The data of the page, in pieces that are loaded as they are needed.

Pages opened from a file may not fetch, so a piece is a script that hands over plain data (`piece(kind, number, data)`).
The index has a line and the filters of every query; pieces of QUERIES queries have all that is shown of them, each item
once; pieces of TEXTS texts serve the search.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from unite_bench.report.browser.filters import FILTERS, mask
from unite_bench.report.browser.outcomes import Read, judge, versus_of
from unite_bench.report.browser.piece import POSITIVES, Piece
from unite_bench.report.browser.reading import Reading, Row
from unite_bench.report.previews import Previews

QUERIES, TEXTS = 50, 1000  # in one piece
SEARCHED = 2000  # characters of a query and its positives that the search looks into


def judged(reading: Reading) -> list[list[Read]]:
    """Every query of every result."""
    return [[judge(row, *reading.items(row)) for row in rows] for rows in reading.rows]


def write_pieces(folder: Path, reading: Reading, reads: Sequence[Sequence[Read]], previews: Previews) -> Iterator[int]:
    """Write all pieces and then the index; gives the number of queries written so far after each piece."""
    folder.mkdir(parents=True, exist_ok=True)
    total = len(reading.rows[0])
    lines: list[list[str]] = []
    for number, start in enumerate(range(0, total, QUERIES)):
        piece = Piece(reading, previews)
        span = range(start, min(start + QUERIES, total))
        queries = [piece.query(at) for at in span]
        lines += [piece.line(at) for at in span]
        _write(folder, "queries", number, {"items": piece.items, "queries": queries})
        yield span.stop
    instructions = len({query.instruction for query in reading.data.queries}) > 1
    for number, start in enumerate(range(0, total, TEXTS)):
        texts = [searched(reading, row, instructions) for row in reading.rows[0][start : start + TEXTS]]
        _write(folder, "texts", number, texts)
    _write(folder, "index", 0, index(reading, reads, lines))


def index(reading: Reading, reads: Sequence[Sequence[Read]], lines: Sequence[Sequence[str]]) -> dict[str, Any]:
    """What the list and the filters need, one entry a query in each column."""
    rows = reading.rows
    primary = reading.task.primary
    values = [[float(row[primary]) for row in of] for of in rows]
    return {
        "names": reading.names,
        "measures": reading.task.metrics,
        "filters": [of.key for of in FILTERS],
        "pieces": {"queries": QUERIES, "texts": TEXTS},
        "ids": [row["query"] for row in rows[0]],
        "lines": [line[0] for line in lines],
        "pictures": [line[1] for line in lines],
        "sides": [
            {
                "values": [round(value, 6) for value in of_values],
                "masks": [mask(read) for read in of_reads],
                "outcomes": [read.outcome for read in of_reads],
                "ranks": [read.rank and astuple(read.rank) for read in of_reads],
                "beaten": [read.beaten_by for read in of_reads],
            }
            for of_values, of_reads in zip(values, reads, strict=True)
        ],
        "versus": [versus_of(*pair) for pair in zip(*values, strict=True)] if len(values) == 2 else None,
        "slices": [
            {"name": name, "values": [of[reading.queries[row["query"]]] for row in rows[0]]}
            for name, of in reading.data.slices.items()
        ],
    }


def searched(reading: Reading, row: Row, instructions: bool) -> str:
    """What the search looks into: id, text and positives' texts of a query, and its instruction where they differ."""
    query, positives, _ = reading.items(row)
    parts = [
        query.id,
        (instructions and query.instruction) or "",
        query.text or "",
        *(positive.text or "" for positive in positives[:POSITIVES]),
    ]
    return "\n".join(filter(None, parts))[:SEARCHED]


def _write(folder: Path, kind: str, number: int, data: Any) -> None:
    """A script that hands one piece over; plain JSON is a JavaScript expression."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    (folder / f"{kind}-{number}.js").write_text(f'piece("{kind}",{number},{text});\n', encoding="utf-8")
