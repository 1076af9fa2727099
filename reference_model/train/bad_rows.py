"""Rows that a run leaves out because they cannot be trained on: listed, counted, and never more than declared."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.distributed as dist

from reference_model.train.batch import Batch
from reference_model.train.gathering import gather_rows
from unite_bench.encode.store import publish
from unite_bench.errors import DataError
from unite_bench.items import content_digest


class BadRows:
    """One line a row in `bad-rows.jsonl` (of each process its own file, if there are several). A row that several processes
    meet, each in another epoch, counts once.

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
            whole = [line for line in lines if line.endswith("\n")]  # a kill may have torn the last
            kept = [line for line in whole if json.loads(line)["batch"] < first]
            self.reasons = {row["row"]: row["reason"] for row in map(json.loads, kept)}
            publish(self.path, "".join(kept).encode())
        self._untold = [_number(row) for row in self.reasons]  # what the other processes have not heard of
        self._everywhere: set[int] = set()

    def add(self, batch: Batch) -> None:
        """Note the batch's bad rows. Raises DataError, in every process, if there are now more than the limit, or if nothing
        is left of the batch."""
        for row, reason in batch.bad:
            if row not in self.reasons:
                self.reasons[row] = reason
                self._untold.append(_number(row))
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"row": row, "batch": batch.number, "reason": reason}) + "\n")
        empty = self._exchanged(len(batch) == 0)
        if len(self._everywhere) > self.limit:
            last = f"; the last here: {next(reversed(self.reasons.items()))}" if self.reasons else ""
            raise DataError(
                f"{len(self._everywhere)} rows cannot be trained on, and max_bad_rows is {self.limit}{last}. They stand in "
                f"{self.path.parent}/bad-rows*.jsonl; mend their media or allow more, and go on, or curate without them"
            )
        if empty:
            raise DataError(
                f"batch {batch.number}: no row of a process's share is left; the rows stand in {self.path}: mend their "
                "media and go on, or curate without them"
            )

    def _exchanged(self, empty: bool) -> bool:
        """Every process learns of the bad rows of all; whether one of them has an empty batch."""
        told, self._untold = torch.tensor(self._untold, dtype=torch.int64), []
        if dist.is_initialized():
            device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
            held = torch.tensor([len(told), int(empty)], device=device)
            dist.all_reduce(held)
            told = gather_rows(told.to(device)) if held[0] else told
            empty = bool(held[1])
        self._everywhere.update(told.tolist())
        return empty


def _number(row: str) -> int:
    """60 bits that stand for the row in every process."""
    return int(content_digest("row", row)[:15], 16)
