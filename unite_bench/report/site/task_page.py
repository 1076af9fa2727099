"""What the page of a task tells: what it asks, its protocol, the embedders on it, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from unite_bench.report.catalogue import asks
from unite_bench.report.leaderboard import notes, stands_apart
from unite_bench.report.site.collect import Collected, Standing
from unite_bench.report.site.drawing import stack, whisker
from unite_bench.report.site.queries import PLACES, Queries
from unite_bench.report.table import Row, Table, ordered
from unite_bench.results import Result
from unite_bench.spec.model import Task

NOUNS = {
    "text": ("a text", "texts"),
    "image": ("a picture", "pictures"),
    "video": ("a clip", "clips"),
    "image+text": ("a picture with a text", "pictures with texts"),
    "text+video": ("a clip with a text", "clips with texts"),
    "image+video": ("a picture with a clip", "pictures with clips"),
    "image+text+video": ("a picture with a clip and a text", "pictures with clips and texts"),
}
MEANING = {
    "hit": "share of queries with a positive among the first k",
    "recall": "share of a query's positives among the first k",
    "precision": "share of positives among the first k",
    "mrr": "mean of 1 over the rank of the first positive",
    "map": "mean average precision over the first k",
    "ndcg": "discounted gain of the first k over the best possible",
    "ndcg_exp": "discounted gain of the first k over the best possible, exponential in the grade",
    "median_rank": "median rank of the first positive",
    "modality": "share of the first k that have the wanted modality",
    "content": "hits among the candidates of the wanted modality alone",
    "all_first": "share of queries whose positives all stand before everything else",
    "text_score": "both captions of a quartet find their own scene",
    "image_score": "both scenes of a quartet find their own caption",
    "group_score": "both captions and both scenes of a quartet find their own",
    "pairwise": "share of the four choices in a quartet that are right",
}
CONTROLS = {
    "one-frame": "a single frame of each clip",
    "shuffled": "the frames of each clip in a random order",
    "wrong-instruction": "an instruction for something else",
}


BINS = ("1", *(f"{before + 1} to {last}" for before, last in pairwise(PLACES)), f"after {PLACES[-1]}")


@dataclass(frozen=True)
class Ranked:
    """A row of the ranking. `place` is 1 for best, 2 for second, else 0; `places` is None where no rows were read."""

    name: str
    page: str
    below: bool
    place: int
    marks: tuple[str, ...]
    standing: Standing
    places: Markup | None

    @property
    def text(self) -> str:
        return self.standing.text

    @property
    def interval(self) -> str:
        return self.standing.interval

    @property
    def whisker(self) -> Markup:
        return whisker(self.standing.measured)


def task_page(
    collected: Collected, task: Task, queries: Queries, examples: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Everything that `templates/task.html` reads."""
    standings = collected.on(task)
    first = next(iter(standings.values())).result
    held = [(name, standing.cell) for name, standing in standings.items()]
    rows = ordered([Row(name, (cell,), stands_apart(name, [cell.marks])) for name, cell in held])
    table = Table("", "embedder", (task.primary,), rows, notes(rows))
    return {
        "task": task,
        "asks": asks(task),
        "question": question(first),
        "measures": [(str(m), MEANING[m.name]) for m in task.measures],
        "control": task.control
        and (CONTROLS[task.control.kind], task.control.of, _page_of(collected, task.control.of)),
        "data": first.record["data"],
        "instructions": first.record["protocol"]["instruction_text"],
        "frames": _frames(task),
        "protocol": first.record["protocol"],
        "suites": [suite.title or suite.name for suite, tasks in collected.suites if suite.aggregate and task in tasks],
        "chance": next(iter(standings.values())).measured["chance"],
        "ranking": _ranking(collected, task, table, standings, queries),
        "bins": BINS,
        "scores": [standing.result.primary for standing in standings.values()],
        "slices": _slices(standings),
        "notes": table.notes,
        "examples": examples,
    }


def question(result: Result) -> str:
    """What is asked of an embedder, in a sentence."""
    record = result.record
    query = " or ".join(NOUNS[form][0] for form in record["task"]["queries"])
    candidates = " or ".join(NOUNS[form][1] for form in record["task"]["candidates"])
    count = record["data"]["candidates"]
    own = record["protocol"]["pool"] == "per-query"
    where = f"the {candidates} of its own list ({count:,} in all)" if own else f"{count:,} {candidates}"
    return f"Given {query}, find what belongs to it among {where}."


def _frames(task: Task) -> str:
    """How many frames of a clip the task shows; empty without clips."""
    policies = dict.fromkeys(side.frame_policy for side in (task.queries, *task.corpora) if side.video is not None)
    told = [
        f"{p.frames}, uniform" if p.fps is None else f"{p.fps:g} a second, {p.max_frames} at most" for p in policies
    ]
    return "; ".join(told)


def _ranking(
    collected: Collected, task: Task, table: Table, standings: Mapping[str, Standing], queries: Queries
) -> list[Ranked]:
    """The embedders by score, those below the rule last."""
    best = {row: place for (row, _), place in table.places().items()}
    rows = []
    for n, row in enumerate(table.rows):
        places = queries.places.get((task.label, row.name))
        standing, cell = standings[row.name], row.cells[0]
        rows.append(
            Ranked(
                row.name,
                collected.pages[row.name],
                row.below_rule,
                best.get(n, 0),
                cell.marks,
                standing,
                None if places is None else stack(places, BINS),
            )
        )
    return sorted(rows, key=lambda row: (row.below, -row.standing.result.primary))


def _slices(standings: Mapping[str, Standing]) -> list[dict[str, Any]]:
    """The primary measure within each value of each slice, one table a slice."""
    held = {name: s.result.record["slices"] for name, s in standings.items()}
    first = next(iter(held.values()))
    return [
        {
            "name": name,
            "values": [(value, int(of["queries"])) for value, of in values.items()],
            "rows": [(embedder, [own[name][value]["value"] for value in values]) for embedder, own in held.items()],
        }
        for name, values in first.items()
    ]


def _page_of(collected: Collected, name: str) -> str | None:
    return next((collected.pages[task.label] for task in collected.tasks if task.name == name), None)
