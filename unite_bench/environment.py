"""Where and how long a run took: the part of a result that may differ on rerun."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("unite-bench", "numpy", "scipy", "pillow", "av", "torch", "transformers")


@dataclass
class Phases:
    """Seconds spent in each named phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def describe(phases: Phases, computed: int, reused: int) -> dict[str, Any]:
    """Times per phase, how many vectors were computed in them and how many found in the store, peak memory, hardware,
    package versions, git revision."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": {name: round(value, 4) for name, value in phases.seconds.items()},
        "encoded": {"computed": computed, "reused": reused},
        "peak_memory_mb": round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1),
        "hardware": {"machine": platform.machine(), "system": platform.system(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "git_revision": _git_revision(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


@lru_cache(maxsize=len(PACKAGES))
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=1)
def _git_revision() -> str | None:
    """The revision of the checkout this package runs from, if it runs from one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
