"""What a long run shows: a bar with items/s and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from unite_bench.encode.run import Progress as ItemProgress
    from unite_bench.running import Outcome
    from unite_bench.spec.model import Task

SECONDS_BETWEEN_LINES = 15.0


class Reporter:
    """Reports on standard error, so that standard output stays clean for the table or JSON."""

    def __init__(self, tasks: int, quiet: bool = False):
        self.tasks = tasks
        self.done = 0
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self.live = not quiet and sys.stderr.isatty()
        self.bar = _bar(self.console, self.live)

    def __enter__(self) -> Reporter:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def progress(self, task: Task) -> ItemProgress | None:
        """A callback for one task's encoding."""
        if self.quiet:
            return None
        start = last = time.monotonic()
        line: TaskID = self.bar.add_task(task.name, total=None, rate="")

        def advance(done: int, total: int) -> None:
            nonlocal last
            now = time.monotonic()
            rate = f"{done / max(now - start, 1e-9):.0f} items/s"
            self.bar.update(line, completed=done, total=total, rate=rate, visible=done < total)
            if not self.live and now - last > SECONDS_BETWEEN_LINES:
                last = now
                self.console.print(f"  {task.name}: {done}/{total} items, {rate}")

        return advance

    def finished(self, outcome: Outcome) -> None:
        self.done += 1
        for line in self.bar.task_ids:
            self.bar.remove_task(line)
        if self.quiet:
            return
        result = outcome.result
        primary = outcome.task.primary
        said = f"{primary} {result[primary]:.3f}" if result is not None else f"{outcome.status}: {outcome.reason}"
        self.console.print(f"[{self.done}/{self.tasks}] {outcome.task.name}: {said}", markup=False)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A callback that is told how many are done of how many: a bar on a terminal, nothing elsewhere."""
    with _bar(Console(stderr=True), sys.stderr.isatty()) as bar:
        line = bar.add_task(what, total=None, rate="")
        yield lambda done, total: bar.update(line, completed=done, total=total)


def _bar(console: Console, live: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not live,
    )
