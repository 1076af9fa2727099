"""Exact ranking of stored vectors against a bare fp32 blocked product over the same shapes: time ratio and peak memory.

    python benchmarks/rank.py [--candidates 1000000] [--queries 1000] [--dim 256] [--runs 5]

Two cases: `tail`, where each positive scores far above the rest (a good embedder), and `random`, where it stands anywhere.
The two programs run in turn, and minima are compared, since a shared machine only ever adds time. Each runs in a process
of its own, so that peak memory is its own; vectors come from a file that is memory-mapped, as the store's are.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def make(folder: Path, candidates: int, queries: int, dim: int) -> None:
    """Random vectors in float32; in the tail case each query is its positive with some noise."""
    random = np.random.default_rng(0)
    held = np.lib.format.open_memmap(folder / "candidates.npy", "w+", np.float32, (candidates, dim))
    for start in range(0, candidates, 50_000):
        held[start : start + 50_000] = random.standard_normal((min(50_000, candidates - start), dim), dtype=np.float32)
    positives = random.choice(candidates, size=queries, replace=False)
    noise = random.standard_normal((queries, dim), dtype=np.float32)
    np.save(folder / "positives.npy", positives)
    np.save(folder / "random.npy", noise)
    np.save(folder / "tail.npy", held[positives] + 0.7 * noise)


def bare(queries: np.ndarray, candidates: np.ndarray, block: int = 4096) -> None:
    """The floor: the product alone, block by block, thrown away."""
    out = np.empty((len(queries), block), dtype=np.float32)
    for start in range(0, len(candidates), block):
        part = candidates[start : start + block]
        np.matmul(queries, part.T, out=out[:, : len(part)])


def one(folder: Path, case: str, program: str) -> dict[str, float]:
    """Run one program once in this process."""
    from unite_bench.ragged import Ragged
    from unite_bench.rank.counts import count
    from unite_bench.rank.top import first

    candidates = np.load(folder / "candidates.npy", mmap_mode="r")
    queries = np.load(folder / f"{case}.npy")
    positives = Ragged.of([[int(p)] for p in np.load(folder / "positives.npy")])
    candidates[:, 0].sum()  # pages are read before the clock starts, for both programs
    start = time.perf_counter()
    median = -1.0
    if program == "bare":
        bare(queries, candidates)
    else:
        median = float(np.median(count(queries, candidates, positives).above))
        if program == "exact and first ten":
            first(queries, candidates, 10)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "median": median}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "CASE", "PROGRAM"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(Path(options.one[0]), *options.one[1:])))
        return
    figures: dict[str, object] = {k: v for k, v in vars(options).items() if k != "one"}
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options.candidates, options.queries, options.dim)
        for case in ("tail", "random"):
            times: dict[str, list[dict[str, float]]] = {"bare": [], "exact": [], "exact and first ten": []}
            for _ in range(options.runs):
                for program, measured in times.items():
                    call = [sys.executable, __file__, "--one", folder, case, program]
                    measured.append(json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout))
            least = {program: min(run["seconds"] for run in runs) for program, runs in times.items()}
            figures[case] = {
                "bare_seconds": round(least["bare"], 3),
                "exact_seconds": round(least["exact"], 3),
                "ratio": round(least["exact"] / least["bare"], 2),
                "ratio_with_first_ten": round(least["exact and first ten"] / least["bare"], 2),
                "exact_peak_mb": round(max(run["peak_mb"] for runs in times.values() for run in runs)),
                "median_above": times["exact"][0]["median"],
            }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
