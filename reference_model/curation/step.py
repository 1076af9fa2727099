"""The contract of a step: it looks at the rows that are still alive and decides which stay, with a reason for each.

A step is a module of `reference_model/curation/steps/`, named in its MODULES, with a settings class and one `STEP`:

    class Settings(StepSettings):
        kind: Literal["lengths"] = "lengths"
        most: int = 1000

    def run(pool: Pool, alive: Numbers, settings: Settings, context: Context) -> Decision: ...

    STEP = Step(Settings, run, "drops texts that are too long")

In a recipe it stands as `- {kind: lengths, most: 500}`. A step never rewrites rows, draws chance from `context.random()`
alone, and gives the same decision for the same pool, settings and seed, whatever `context.threads` is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict

from reference_model.curation.pool import Numbers, Pool
from unite_bench.items import content_digest
from unite_bench.spec.source_kinds import Strict

KEPT = "kept"


class StepSettings(Strict):
    """Base of the settings of all steps: frozen, unknown keys forbidden; a subclass declares `kind: Literal[NAME]`."""

    model_config = ConfigDict(allow_inf_nan=False)

    kind: str


@dataclass(frozen=True)
class Context:
    """What a run gives to a step. `work` is a folder of the step's own; it may be deleted after the run."""

    seed: int
    work: Path
    folder: Path  # the recipe's: paths in settings start there
    threads: int = 1
    note: Callable[[str], None] = lambda _: None  # one line for whoever waits
    weights: npt.NDArray[np.float32] | None = None  # (alive,) so far, of the source and of earlier steps; None: all 1

    def random(self, *names: str) -> np.random.Generator:
        """A generator that follows from the seed and the names alone."""
        return np.random.default_rng(int(content_digest(str(self.seed), *names)[:16], 16))


@dataclass(frozen=True)
class Decision:
    """What a step decides for `alive` rows, in their order.

    `keep` (alive,) bool; `reasons` (alive,) uint8, positions in `names`, of which the first is "kept" and stands for every
    kept row; `weights` (alive,) float32 multiplies the rows' weights, None leaves them. `facts` is plain data (str, int,
    float, bool, None, list, dict with string keys) for the report: figures, thresholds, models; `examples` holds a few
    row numbers by reason worth showing, and `partners` for a few dropped rows the row that each was dropped for.
    """

    keep: npt.NDArray[np.bool_]
    reasons: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    weights: npt.NDArray[np.float32] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    examples: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    partners: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError for arrays that do not fit each other: a defect of the step, not of the data."""
        if self.names[:1] != (KEPT,) or len(set(self.names)) != len(self.names):
            raise ValueError(f"names must be distinct and begin with {KEPT!r}: {self.names}")
        if self.keep.dtype != np.bool_ or self.reasons.dtype != np.uint8 or self.keep.shape != self.reasons.shape:
            raise ValueError("keep (bool) and reasons (uint8) must be of one shape")
        if not np.array_equal(self.keep, self.reasons == 0):
            raise ValueError(f"exactly the kept rows have the reason {KEPT!r}")
        if self.reasons.size and int(self.reasons.max()) >= len(self.names):
            raise ValueError("a reason without a name")
        if self.weights is not None and (self.weights.shape != self.keep.shape or self.weights.dtype != np.float32):
            raise ValueError("weights must be float32, one a row")
        if self.weights is not None and not (np.isfinite(self.weights) & (self.weights >= 0)).all():
            raise ValueError("weights must be finite and not negative")

    @classmethod
    def keeping(cls, alive: Numbers, **facts: Any) -> Decision:
        """Everything stays."""
        return cls(np.ones(alive.size, np.bool_), np.zeros(alive.size, np.uint8), (KEPT,), facts=facts)

    @classmethod
    def dropping(cls, reasons: npt.NDArray[np.uint8], names: tuple[str, ...], **facts: Any) -> Decision:
        """What has reason 0 stays; `names` are those of the other reasons, from 1."""
        return cls(reasons == 0, reasons, (KEPT, *names), facts=facts)


@dataclass(frozen=True)
class Step:
    """One kind of step: the class of its settings, what runs it, and a line for the report.

    `beyond` is True for everything that the paper does not do; reports and the documentation label it so. `check` finds
    what is wrong with settings before anything is read: missing files, unknown models; it takes the settings and the
    recipe's folder and gives one message a problem.
    """

    settings: type[StepSettings]
    run: Callable[[Pool, Numbers, Any, Context], Decision]
    about: str
    beyond: bool = True
    check: Callable[[Any, Path], Iterable[str]] = lambda _settings, _folder: ()

    @property
    def kind(self) -> str:
        return str(self.settings.model_fields["kind"].default)
