"""Exact ranking where every query has a pool of its own, against a bare fp32 `bmm` over the same shapes: seconds and ratio.

    python benchmarks/rank_pools.py [--queries 1000] [--pool 1000] [--dim 1536] [--corpus 20000] [--runs 5]

Two cases: `shared`, where pools are drawn from one corpus, and `distinct`, where every candidate of every pool has a
vector of its own (about 6 GB by default). The programs run in turn in one process, and minima are compared, since a shared
machine only ever adds time. Two threads each, unless OMP_NUM_THREADS says otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before any library reads it

import numpy as np
import torch

from unite_bench.ragged import Ragged
from unite_bench.rank.counts import count
from unite_bench.rank.top import first


def case(name: str, options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, Ragged, Ragged]:
    """Queries, candidates, positives and pools. Each query is its positive with some noise."""
    random = np.random.default_rng(0)
    size = options.corpus if name == "shared" else options.queries * options.pool
    candidates = np.empty((size, options.dim), dtype=np.float32)
    random.standard_normal(out=candidates, dtype=np.float32)
    if name == "shared":
        pools = Ragged.of([np.sort(random.choice(size, options.pool, replace=False)) for _ in range(options.queries)])
    else:
        pools = Ragged.of(np.arange(size).reshape(options.queries, options.pool))
    own = np.array([pools[q][random.integers(options.pool)] for q in range(options.queries)])
    noise = random.standard_normal((options.queries, options.dim), dtype=np.float32)
    return candidates[own] + 0.7 * noise, candidates, Ragged.of([[int(c)] for c in own]), pools


def seconds(program: Callable[[], object]) -> float:
    start = time.perf_counter()
    program()
    return time.perf_counter() - start


def timed(name: str, options: argparse.Namespace) -> dict[str, float]:
    """The least times of one case. Where pools share a corpus, a tenth of them laid out is enough to time the floor."""
    queries, candidates, positives, pools = case(name, options)
    laid_out = candidates if name == "distinct" else candidates[pools.indices[: options.queries // 10 * options.pool]]
    stacked = torch.from_numpy(laid_out.reshape(-1, options.pool, options.dim)).transpose(1, 2)
    asked = torch.from_numpy(queries[: len(stacked), None])
    programs: dict[str, Callable[[], object]] = {
        "bmm": lambda: torch.bmm(asked, stacked),
        "exact": lambda: count(queries, candidates, positives, pools),
        "first ten": lambda: first(queries, candidates, 10, pools),
    }
    least = dict.fromkeys(programs, float("inf"))
    for _ in range(options.runs):
        for program, run in programs.items():
            least[program] = min(least[program], seconds(run))
    bare, exact = least["bmm"] * options.queries / len(stacked), least["exact"]
    return {
        "bmm_seconds": round(bare, 3),
        "exact_seconds": round(exact, 3),
        "exact_and_first_ten_seconds": round(exact + least["first ten"], 3),
        "ratio": round(exact / bare, 2),
        "ratio_with_first_ten": round((exact + least["first ten"]) / bare, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=1536)
    parser.add_argument("--corpus", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    figures: dict[str, object] = {**vars(options), "threads": threads}
    for name in ("shared", "distinct"):
        figures[name] = timed(name, options)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
