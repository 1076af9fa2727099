"""Write unite_bench/tasks/digests.txt: what each task of each version means, as a digest. A test compares the two.

    python tools/spec_digests.py

From 0.1 on a version never changes its meaning: the file only grows, and a task that changed needs a new version. Before 0.1
the file is written anew.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from unite_bench import __version__
from unite_bench.spec.catalogue import load_entry, task_files, tasks_root, varied_tasks
from unite_bench.spec.model import Task

FILE = tasks_root() / "digests.txt"
Digests = dict[str, str]  # name@version -> digest of what the task file fixes about the measurement


def current() -> Digests:
    """Of every complete task that ships, and of those that suites draw again under names of their own."""
    entries = [*map(load_entry, task_files()), *varied_tasks().values()]
    return {entry.label: entry.protocol_digest for entry in entries if isinstance(entry, Task)}


def committed(file: Path = FILE) -> Digests:
    """What the file says."""
    return dict(line.split() for line in file.read_text(encoding="utf-8").splitlines())


def frozen(version: str = __version__) -> bool:
    """Whether meanings may no longer change."""
    return not version.startswith(("0.0.", "0.1.0.dev"))


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The labels whose meaning is not what it was."""
    return [label for label, digest in now.items() if before.get(label, digest) != digest]


def faults(before: Mapping[str, str], now: Mapping[str, str], fixed: bool) -> list[str]:
    """What is wrong with the file, each with the cure."""
    cure = "raise its version and run" if fixed else "run"
    found = [f"{label}: its meaning changed; {cure} tools/spec_digests.py" for label in changed(before, now)]
    found += [f"{label}: is not in the file; run tools/spec_digests.py" for label in now if label not in before]
    if not fixed:
        found += [f"{label}: is no task any more; run tools/spec_digests.py" for label in before if label not in now]
    return found


def rewritten(before: Mapping[str, str], now: Mapping[str, str], fixed: bool) -> Digests:
    """The new content of the file. Raises ValueError if a meaning changed that may not."""
    if not fixed:
        return dict(now)
    if broken := changed(before, now):
        raise ValueError(f"versions never change meaning; raise those of {', '.join(broken)}")
    return {**before, **now}


if __name__ == "__main__":
    known = committed() if FILE.exists() else {}
    try:
        lines = [f"{label} {digest}\n" for label, digest in sorted(rewritten(known, current(), frozen()).items())]
    except ValueError as error:
        sys.exit(str(error))
    FILE.write_text("".join(lines), encoding="utf-8")
    print(f"{FILE.name}: {len(lines)} tasks")
