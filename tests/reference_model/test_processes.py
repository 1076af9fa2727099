"""Several processes in step: what one of them meets, all of them know."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from reference_model.train.bad_rows import BadRows
from reference_model.train.batch import Batch
from reference_model.train.watching import first_process
from unite_bench.errors import DataError, ModelError

CPU = torch.device("cpu")


def batch(number: int, bad: list[str]) -> Batch:
    """Of one good row, and bad ones."""
    none = torch.empty(0)
    reasons = tuple((row, "torn") for row in bad)
    return Batch(number, ("good",), [], [], none, none, none, none, none, False, reasons)


def one_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}.meeting", world_size=2, rank=rank)
    bad = BadRows(folder, limit=3)
    met = ([["a:1", "a:2"], [], ["a:3"]], [[], ["a:2", "a:1"], ["a:3"]])  # another order in every epoch
    for number, rows in enumerate(met[rank]):
        bad.add(batch(number, rows))
    with pytest.raises(DataError, match="4 rows cannot be trained on, and max_bad_rows is 3"):
        bad.add(batch(3, ["a:4"] if rank == 1 else []))
    again = BadRows(folder, limit=2, first=3)
    with pytest.raises(DataError, match="3 rows cannot be trained on"):
        again.add(batch(3, []))
    with pytest.raises(ModelError if rank else ZeroDivisionError), first_process("dividing", CPU):
        if rank == 0:
            raise ZeroDivisionError
    dist.destroy_process_group()


@pytest.mark.slow
def test_a_bad_row_counts_once_and_an_error_of_the_first_process_ends_all(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    multiprocessing.spawn(one_rank, (folder,), nprocs=2)
    assert sorted(path.name for path in folder.iterdir()) == ["bad-rows-1.jsonl", "bad-rows.jsonl"]


@pytest.mark.parametrize("done", [True, False])
def test_the_others_hear_how_the_first_process_fared(done: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "broadcast", lambda said, src: said.fill_(int(done)))
    failed = pytest.raises(ModelError, match="the evaluation failed in the first process")
    with nullcontext() if done else failed, first_process("the evaluation", CPU):
        pass


def test_the_first_process_says_that_it_failed_and_keeps_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[int] = []
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "broadcast", lambda told, src: said.append(int(told)))
    with pytest.raises(DataError, match="its own"), first_process("the evaluation", CPU):
        raise DataError("its own")
    assert said == [0]
