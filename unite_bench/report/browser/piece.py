"""All that the page shows of some queries, as plain data: the items once, and what each result makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from unite_bench.items import Item, Role
from unite_bench.report.browser.outcomes import Rank, outcome_of, rank_of
from unite_bench.report.browser.reading import Reading, Row
from unite_bench.report.previews import Previews

LINE = 160  # characters of a query's line in the list
POSITIVES = 24  # positives of a query that are shown, the best-ranked first


class Piece:
    """Some queries with the items that they name; an item stands in `items` once and is named by its place there."""

    def __init__(self, reading: Reading, previews: Previews):
        self.reading = reading
        self.previews = previews
        self.items: list[dict[str, Any]] = []
        self._places: dict[tuple[Role, str], int] = {}

    def query(self, at: int) -> dict[str, Any]:
        """What is shown of the query in row `at`."""
        rows = [of[at] for of in self.reading.rows]
        query, _, _ = self.reading.items(rows[0])
        slices = [of[self.reading.queries[query.id]] for of in self.reading.data.slices.values()]
        sides = [self._side(which, row) for which, row in enumerate(rows)]
        return {"item": self._place("query", query), "slices": slices, "sides": sides}

    def line(self, at: int) -> list[str]:
        """The query in the list: some text, and a picture or the strip of a clip if it has one."""
        query, _, _ = self.reading.items(self.reading.rows[0][at])
        shown = self.items[self._place("query", query)]["parts"]
        picture = next((part["picture"] for part in shown if "picture" in part), "")
        text = " ".join((query.text or query.instruction or query.id)[: 2 * LINE].split())
        return [text if len(text) <= LINE else text[: LINE - 1] + "…", picture]

    def _side(self, which: int, row: Row) -> dict[str, Any]:
        """One result's view of a query: positives by rank, those that could not be ranked, and the first candidates."""
        counts = zip(row["positives"], row["grades"], row["above"], row["tied"], strict=True)
        ranked = sorted(((rank_of(above, tied), id_, grade) for id_, grade, above, tied in counts), key=_by_rank)
        _, positives, _ = self.reading.items(row)
        lost = [item for item in positives if item.id not in set(row["positives"])]
        scores = row["scores"]
        spans = hit_ranks(scores, row["pool"], {id_: rank for rank, id_, _ in ranked}, row["first"])
        right = {item.id for item in positives}
        return {
            "failed": self._failed(which, "query", row["query"]),
            "pool": row["pool"],
            "values": [round(float(row[measure]), 6) for measure in self.reading.task.metrics],
            "positives": [
                [self._candidate(id_), grade, outcome_of(rank), *astuple(rank)]
                for rank, id_, grade in ranked[:POSITIVES]
            ],
            "more": max(0, len(ranked) - POSITIVES),
            "lost": [
                [self._place("candidate", item), self._failed(which, "candidate", item.id)] for item in lost[:POSITIVES]
            ],
            "hits": [
                [self._candidate(id_), score, *span, int(id_ in right)]
                for id_, score, span in zip(row["first"], scores, spans, strict=True)
            ],
        }

    def _failed(self, which: int, role: Role, identity: str) -> str | None:
        """Why the embedder of this result could not encode an item, or None."""
        reason = self.reading.results[which].record["failed"][role].get(identity)
        return None if reason is None else str(reason)

    def _candidate(self, identity: str) -> int:
        return self._place("candidate", self.reading.data.candidates[self.reading.candidates[identity]])

    def _place(self, role: Role, item: Item) -> int:
        key: tuple[Role, str] = (role, item.id)
        if key not in self._places:
            self._places[key] = len(self.items)
            self.items.append(self._shown(role, item))
        return self._places[key]

    def _shown(self, role: Role, item: Item) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": item.id, "parts": [part.as_data() for part in self.previews.of(item)]}
        if item.instruction:
            shown["instruction"] = item.instruction
        if (role, item.id) in self.reading.data.broken:
            shown["lost"] = self.reading.data.broken[role, item.id]
        return shown


def hit_ranks(
    scores: Sequence[float], pool: int, positives: Mapping[str, Rank], ids: Sequence[str]
) -> list[tuple[int, int | None]]:
    """Best and worst rank of each of the first candidates. The worst is None where candidates that are not among them may
    score the same."""
    known = {scores[n]: positives[id_] for n, id_ in enumerate(ids) if id_ in positives}
    spans: list[tuple[int, int | None]] = []
    for score in scores:
        best, worst = sum(s > score for s in scores) + 1, sum(s >= score for s in scores)
        if score in known:
            spans.append((known[score].best, known[score].worst))
        else:
            spans.append((best, None if worst == len(scores) < pool else worst))
    return spans


def _by_rank(ranked: tuple[Rank, str, float]) -> tuple[float, str]:
    return ranked[0].expected, ranked[1]
