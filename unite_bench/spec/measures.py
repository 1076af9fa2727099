"""The closed grammar of measures: `hit@1`, `ndcg@10`, `mrr`, ... as values that print as they are written.

Only names live here, so that a task file can be checked without the code that computes them
(`unite_bench.metrics`). `hit@k` and `recall@k` are different measures and never aliases.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

WITH_CUTOFF = ("hit", "recall", "precision", "map", "ndcg", "ndcg_exp", "modality", "content")
QUARTET = ("text_score", "image_score", "group_score", "pairwise")
WITHOUT_CUTOFF = ("mrr", "median_rank", "all_first", *QUARTET)
LOWER_IS_BETTER = frozenset({"median_rank"})


@dataclass(frozen=True, order=True)
class Measure:
    """A measure and its cutoff `k` (None for measures over the whole ranking)."""

    name: str
    k: int | None = None

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}@{self.k}"

    @property
    def of_quartets(self) -> bool:
        """Whether it is measured over two queries and their two candidates together."""
        return self.name in QUARTET

    @property
    def of_forms(self) -> bool:
        """Whether it compares what a query asks for, its target modality, with the forms of the candidates."""
        return self.name in ("modality", "content")

    @property
    def lower_is_better(self) -> bool:
        return self.name in LOWER_IS_BETTER


def parse_measure(text: str) -> Measure:
    """Parse one name. Raises ValueError with a suggestion for anything outside the grammar."""
    match = re.fullmatch(r"([a-z_]+)(?:@([1-9][0-9]*))?", text)
    if match:
        name, cutoff = match[1], match[2]
        if name in WITH_CUTOFF and cutoff:
            return Measure(name, int(cutoff))
        if name in WITHOUT_CUTOFF and not cutoff:
            return Measure(name)
    known = [f"{name}@10" for name in WITH_CUTOFF] + list(WITHOUT_CUTOFF)
    near = difflib.get_close_matches(text, known, n=1, cutoff=0.4)
    hint = f", did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown measure {text!r}{hint} (one of {', '.join(known)})")
