"""How long a stage lasts: a number of steps, or of minutes; and the learning rate that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """`steps` makes a run repeatable; `minutes` makes it end on time, and the log says how many steps it took."""

    steps: int | None = None
    minutes: float | None = None

    def progress(self, step: int, seconds: float) -> float:
        """Share of the stage that is done, from 0 to 1."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / 60 / self.minutes if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))


def learning_rate(peak: float, progress: float, step: int, warmup: int = 60) -> float:
    """Linear warm-up over `warmup` steps, then a cosine from `peak` to 2 % of it."""
    falling = 0.02 + 0.98 * (1 + math.cos(math.pi * progress)) / 2
    return peak * falling * min(1.0, (step + 1) / warmup)
