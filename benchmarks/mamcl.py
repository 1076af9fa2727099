"""The masked loss in blocks against its dense form: time and peak memory of one forward and backward pass.

    python benchmarks/mamcl.py [--rows 16384] [--width 1536] [--modalities 4] [--runs 3]

The dense form is the leanest that autograd allows: one matrix product, one masked fill, one cross entropy. Each run is
a process of its own; extra memory is the peak beyond what inputs, labels and libraries take. The two forms run in turn
and minima are compared, since a shared machine only ever adds time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch.nn import functional

from reference_model.train.mamcl import Direction, Side, mamcl_loss
from reference_model.train.mamcl_blocks import blocked_losses

TAU = 0.03


def lean_dense_losses(side: Direction, temperature: float, _: object) -> torch.Tensor:
    """The mask as one bool matrix, cross entropy over the masked scores."""
    target = side.columns.contents[side.at]
    kept = side.columns.sets == side.columns.sets[side.at][:, None]
    kept &= side.columns.contents != target[:, None]
    kept.scatter_(1, side.at[:, None], True)
    scores = side.anchors @ side.columns.vectors.T / temperature
    return functional.cross_entropy(scores.masked_fill_(~kept, -torch.inf), side.at, reduction="none")


FORMS = {"dense": lean_dense_losses, "blocked": blocked_losses}


def sides(rows: int, width: int, modalities: int) -> tuple[Side, Side]:
    draw = torch.Generator().manual_seed(0)

    def side(start: int) -> Side:
        vectors = functional.normalize(torch.randn(rows, width, generator=draw), dim=-1).requires_grad_()
        sets = torch.randint(1, modalities + 1, (rows,), generator=draw)
        return Side(vectors, sets, start + torch.arange(rows))

    return side(0), side(rows)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(form: str, rows: int, width: int, modalities: int) -> dict[str, float]:
    """One pass in this process, after one over a few rows that loads the kernels."""
    few = sides(64, width, modalities)
    mamcl_loss(*few, torch.arange(64), TAU, losses=FORMS[form]).backward()
    queries, candidates = sides(rows, width, modalities)
    for side in (queries, candidates):
        side.vectors.grad = torch.zeros_like(side.vectors)
    before, start = peak(), time.perf_counter()
    loss = mamcl_loss(queries, candidates, torch.arange(rows), TAU, losses=FORMS[form])
    loss.backward()
    return {"seconds": time.perf_counter() - start, "extra_mb": peak() - before, "loss": loss.item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16384)
    parser.add_argument("--width", type=int, default=1536)
    parser.add_argument("--modalities", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=FORMS)
    options = parser.parse_args()
    shape = (options.rows, options.width, options.modalities)
    if options.one:
        print(json.dumps(one(options.one, *shape)))
        return
    runs: dict[str, list[dict[str, float]]] = {form: [] for form in FORMS}
    for _ in range(options.runs):
        for form, measured in runs.items():
            call = [sys.executable, __file__, "--one", form, "--rows", str(shape[0]), "--width", str(shape[1])]
            call += ["--modalities", str(shape[2])]
            measured.append(json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout))
    seconds = {form: min(run["seconds"] for run in measured) for form, measured in runs.items()}
    extra = {form: max(run["extra_mb"] for run in measured) for form, measured in runs.items()}
    figures = {
        **dict(zip(("rows", "width", "modalities"), shape, strict=True)),
        "threads": torch.get_num_threads(),
        "loss": {form: round(measured[0]["loss"], 5) for form, measured in runs.items()},
        "seconds": {form: round(value, 2) for form, value in seconds.items()},
        "extra_mb": {form: round(value) for form, value in extra.items()},
        "time_ratio": round(seconds["blocked"] / seconds["dense"], 3),
        "memory_ratio": round(extra["blocked"] / extra["dense"], 3),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
