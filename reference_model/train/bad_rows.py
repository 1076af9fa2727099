"""Rows that a run leaves out because a medium could not be opened: listed, counted, and never more than declared."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.distributed as dist

from reference_model.train.batch import Batch
from unite_bench.errors import DataError


class BadRows:
    """One line a row in `bad-rows.jsonl` (of each process its own file, if there are several).

    `first` is the batch that the run begins or goes on with: what was noted of it and of later ones is forgotten, because
    the run comes to them again, and their media may have been mended.
    """

    def __init__(self, folder: Path, limit: int, first: int = 0):
        rank = dist.get_rank() if dist.is_initialized() else 0
        self.path = folder / ("bad-rows.jsonl" if rank == 0 else f"bad-rows-{rank}.jsonl")
        self.limit = limit
        self.reasons: dict[str, str] = {}
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["batch"] < first]
            self.reasons = {row["row"]: row["reason"] for row in map(json.loads, kept)}
            self.path.write_text("".join(kept), encoding="utf-8")

    def add(self, batch: Batch) -> None:
        """Note the batch's bad rows. Raises DataError, in every process, if there are now more than the limit, or if nothing
        is left of the batch."""
        for row, reason in batch.bad:
            if row not in self.reasons:
                self.reasons[row] = reason
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"row": row, "batch": batch.number, "reason": reason}) + "\n")
        bad, empty = self._over_processes(len(self.reasons), int(len(batch) == 0))
        if bad > self.limit:
            last = f"; the last here: {next(reversed(self.reasons.items()))}" if self.reasons else ""
            raise DataError(
                f"{bad} rows have a medium that cannot be opened, and max_bad_rows is {self.limit}{last}. They stand in "
                f"{self.path.parent}/bad-rows*.jsonl; curate without them, or allow more"
            )
        if empty:
            raise DataError(f"batch {batch.number}: no row is left of it; the rows stand in {self.path}")

    def _over_processes(self, *counts: int) -> tuple[int, ...]:
        if not dist.is_initialized():
            return counts
        device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
        held = torch.tensor(counts, device=device)
        dist.all_reduce(held)
        return tuple(held.tolist())
