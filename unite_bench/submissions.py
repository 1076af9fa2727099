"""Who measured the results of an embedder, and who has measured them again: `SUBMISSION.yaml` beside its results.

From it and the records comes what a reader needs to know about how far a row can be trusted, the badge: whether each record
is complete (everything to make it again is noted), whether somebody else has made it again, and whether those who made the
model reported it themselves.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from unite_bench.results import Result
from unite_bench.spec.reader import checked
from unite_bench.spec.source_kinds import Strict
from unite_bench.spec.yaml_reader import read

FILE = "SUBMISSION.yaml"
Outcome = Literal["same record", "within the interval", "differs"]


class Rerun(Strict):
    """Somebody else's run of some of the results, by their identities (the end of a file's name), or of `all`."""

    by: str
    date: datetime.date
    results: list[str] | Literal["all"]
    outcome: Outcome
    link: str | None = None


class Submission(Strict):
    """What stands in the file. `reported: baseline` is for embedders of this package, which anyone can run by name."""

    embedder: str
    by: str = Field(description="who measured")
    reported: Literal["self", "others", "baseline"] = Field(description="self: by those who made the model")
    model: str = Field(description="where the model can be had")
    command: str = Field(description="what makes the results again")
    reruns: list[Rerun] = Field(default=[])

    @model_validator(mode="after")
    def _by_others(self) -> Submission:
        for rerun in self.reruns:
            if rerun.by.casefold() == self.by.casefold():
                raise ValueError(f"a rerun is by somebody else than {self.by}")
        return self

    def confirmed(self, identity: str) -> bool:
        """Whether somebody else got this result again, and nobody got another."""
        outcomes = {rerun.outcome for rerun in self.reruns if rerun.results == "all" or identity in rerun.results}
        return bool(outcomes) and "differs" not in outcomes


@dataclass(frozen=True)
class Badge:
    """How far the results of an embedder can be trusted. Counts are of its results."""

    embedder: str
    reported: str
    results: int
    complete: int
    rerun: int
    gaps: tuple[str, ...]


def read_submission(path: Path) -> Submission:
    """Raises SpecError with every finding, each as `file:line:column`."""
    return checked(Submission, read(path))


def submissions(folders: Iterable[Path]) -> dict[str, Submission]:
    """Embedder to submission, of the folders of results that have one."""
    files = (folder / FILE for folder in dict.fromkeys(folders))
    return {held.embedder: held for held in map(read_submission, filter(Path.is_file, files))}


def gaps(result: Result) -> list[str]:
    """What keeps a record from being complete: what it would take to make it again, and is not noted."""
    environment, record = result.environment, result.record
    revision, version = environment.get("git_revision"), environment.get("packages", {}).get("unite-bench", "")
    found = []
    if revision is None and (not version or "dev" in version):
        found.append("neither a revision nor a released version of unite-bench")
    if str(revision).endswith("-dirty"):
        found.append("made in a checkout with changes that are not committed")
    if "numpy" not in environment.get("packages", {}):
        found.append("no versions of packages")
    if not record["embedder"]["fingerprint"]:
        found.append("no fingerprint of the embedder")
    if record["partial"]:
        found.append("partial (--limit)")
    return found


def badge(submission: Submission, results: Sequence[Result]) -> Badge:
    """The badge of one embedder's results."""
    lacking = [gaps(result) for result in results]
    return Badge(
        submission.embedder,
        submission.reported,
        len(results),
        sum(not found for found in lacking),
        sum(submission.confirmed(result.identity) for result in results),
        tuple(sorted({gap for found in lacking for gap in found})),
    )
