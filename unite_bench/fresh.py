"""A new, never-seen set of the scenes tasks: one suite file that draws them from another seed."""

from __future__ import annotations

from pathlib import Path

import yaml

from unite_bench.errors import UsageError
from unite_bench.sources.scenes.world import TEST_SEEDS
from unite_bench.spec.catalogue import load_suite, tasks_of
from unite_bench.spec.source_kinds import ScenesSource

SUITE = "embedded-diagnostic"


def write_fresh_suite(path: Path, seed: int, queries: int) -> int:
    """Write the suite file and return its number of tasks.

    Raises UsageError for a seed that is kept for training or that a shipped task uses, or if the file exists.
    """
    if seed not in TEST_SEEDS:
        raise UsageError(
            f"seed {seed} is kept for training; test seeds are {TEST_SEEDS.start} to {TEST_SEEDS.stop - 1}"
        )
    shipped = tasks_of(load_suite(SUITE))
    sources = [source for task in shipped for source in task.sources]
    if seed in {source.seed for source in sources if isinstance(source, ScenesSource)}:
        raise UsageError(f"seed {seed} is that of the shipped tasks; take another one")
    if path.exists():
        raise UsageError(f"{path} exists; name another file with --out")
    suite = {
        "name": f"scenes-seed-{seed}",
        "title": f"The procedural world, seed {seed}, at most {queries} queries a task",
        "aggregate": False,
        "variant": {"suffix": f"-seed-{seed}-{queries}", "queries": queries, "seed": seed},
        "suites": [SUITE],
    }
    path.write_text(yaml.safe_dump(suite, sort_keys=False), encoding="utf-8")
    return len(tasks_of(load_suite(str(path))))
