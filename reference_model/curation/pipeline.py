"""A curation from recipe to manifest: read, decide step by step, write. All that is held is a few bytes a row."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from filelock import FileLock, Timeout

from reference_model.curation import steps
from reference_model.curation.composition import Group
from reference_model.curation.groups import Groups
from reference_model.curation.manifest import SCHEMA, write_manifest
from reference_model.curation.pool import Numbers, Placed, Pool, write_pool
from reference_model.curation.readers import read
from reference_model.curation.readers.found import Bad
from reference_model.curation.readers.hub import pinned
from reference_model.curation.recipe import Plan
from reference_model.curation.rows import Banks
from reference_model.curation.sources import HubSource, Source
from reference_model.curation.step import Context
from reference_model.curation.taking import Taken, take
from unite_bench.errors import DataError, UsageError
from unite_bench.spec.source_kinds import UNPINNED

MANIFEST, REJECTED, UNFINISHED, MEDIA = "manifest.parquet", "rejected.jsonl", "rejected.jsonl.unfinished", "media"
COMPUTED = ("weight", "query_digest", "target_digest")
COLUMNS = [name for name in SCHEMA.names if name not in COMPUTED]  # what the manifest takes over from the pool
Note = Callable[[str], None]


@dataclass(frozen=True)
class Intake:
    """What was read of one source: rows, bad records by reason, and the revision of a dataset of the hub."""

    name: str
    kind: str
    rows: int
    bad: Mapping[str, int]
    revision: str | None = None


@dataclass(frozen=True)
class Curated:
    """A curation that is done; the report is drawn from it. `alive` are the rows of the manifest, in its order; `weights`
    are theirs, added up."""

    plan: Plan
    pool: Pool
    intake: tuple[Intake, ...]
    taken: tuple[Taken, ...]
    found: Mapping[Group, int]
    kept: Mapping[Group, int]
    weights: Mapping[Group, float]
    alive: Numbers
    manifest: Path
    seconds: Mapping[str, float]


def curate(
    plan: Plan, out: Path, work: Path, threads: int = 1, note: Note = lambda _: None, banks: Banks | None = None
) -> Curated:
    """Run a checked recipe; writes the manifest and the list of bad records into `out`.

    Raises DataError for a source without a usable row, and where no row is left after a step; UsageError where another
    curation works in `work`.
    """
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(work / "curation.lock", blocking=False):
            return _curate(plan, out, work, threads, note, banks)
    except Timeout:
        raise UsageError(
            f"{work}: another curation works in this folder; wait for it, or give a folder of its own by `work` or --work"
        ) from None


def _curate(plan: Plan, out: Path, work: Path, threads: int, note: Note, banks: Banks | None) -> Curated:
    started = time.perf_counter()
    pool, intake = _gather(plan, out, work, note, banks)
    groups, seconds = Groups(pool), {"read": time.perf_counter() - started}
    alive, weights = np.arange(len(pool), dtype=np.int64), _weights(pool)
    taken: list[Taken] = []
    context = Context(plan.recipe.seed, work, plan.folder, threads, note)
    for number, settings in enumerate(plan.recipe.steps):
        decision, one = take(number, settings, pool, alive, groups, replace(context, weights=weights[alive]))
        if decision.weights is not None:
            weights[alive] *= decision.weights
        lost = ", ".join(f"{name}: {n:,}" for name, n in one.dropped.items())
        why = f"; dropped: {lost}" if lost else ""
        note(f"{one.kind}: {alive.size:,} rows in, {int(decision.keep.sum()):,} left ({one.seconds:.0f} s){why}")
        alive = alive[decision.keep]
        taken.append(one)
        if not alive.size:
            first = "".join(f", and look at what could not be read: {m}" for m in one.facts.get("messages", ())[:1])
            raise DataError(f"no row is left after step {number + 1}, {one.kind} ({lost}); check its settings{first}")
    started = time.perf_counter()
    manifest, found, kept = out / MANIFEST, groups.counts(), groups.counts(alive)
    drawn = groups.sums(alive, weights[alive])
    write_manifest(manifest, _tables(pool, alive, weights, note), pool.root, _facts(plan, intake, found, kept))
    (out / UNFINISHED).replace(out / REJECTED)
    seconds["manifest"] = time.perf_counter() - started
    return Curated(plan, pool, intake, tuple(taken), found, kept, drawn, alive, manifest, seconds)


def _gather(plan: Plan, out: Path, work: Path, note: Note, banks: Banks | None) -> tuple[Pool, tuple[Intake, ...]]:
    """Read all sources into the pool. What an earlier run computed of its rows is of no use any more and goes."""
    for kind in steps.known():
        for old in work.glob(f"step-[0-9]*-{kind}"):
            shutil.rmtree(old)
    for old in work.glob("*.digests"):
        old.unlink()
    folder, root = plan.folder.resolve(), (plan.folder / plan.recipe.root).resolve()
    intake: list[Intake] = []

    def rows() -> Iterator[Placed]:
        with (out / UNFINISHED).open("w", encoding="utf-8") as rejected:
            for declared in plan.sources:
                source = pinned(declared, folder) if isinstance(declared, HubSource) else declared
                good, bad, first = 0, Counter[str](), ""
                for found in read(source, plan.stages, folder, root, out.resolve() / MEDIA):
                    if isinstance(found, Bad):
                        bad[found.reason] += 1
                        first = first or f"{found.file}, record {found.at}: {found.detail}"
                        rejected.write(json.dumps(vars(found), sort_keys=True) + "\n")
                        continue
                    good += 1
                    if good % 100_000 == 0:
                        note(f"{source.name}: {good:,} rows read")
                    yield found
                if not good:
                    raise DataError(f"source {source.name!r} has no usable row; {first or 'it is empty'}")
                intake.append(_intake(source, good, bad))
                why = ", ".join(f"{reason}: {n:,}" for reason, n in bad.most_common())
                note(f"{source.name}: {good:,} rows" + (f"; bad records, in {REJECTED}: {why}" if bad else ""))

    write_pool(work / "pool.parquet", rows(), root)
    return Pool(work / "pool.parquet", root, work, banks), tuple(intake)


def _intake(source: Source, good: int, bad: Mapping[str, int]) -> Intake:
    revision = source.revision if isinstance(source, HubSource) and source.revision != UNPINNED else None
    return Intake(source.name, getattr(source, "kind", ""), good, dict(sorted(bad.items())), revision)


def _tables(pool: Pool, alive: Numbers, weights: npt.NDArray[np.float32], note: Note) -> Iterator[pa.Table]:
    """The kept rows with digests and weights, ready for the manifest."""
    sides = {f"{side}_digest": _hexed(pool.digests(alive, side)) for side in ("query", "target")}
    done = 0
    for numbers, table in pool.batches(COLUMNS, alive):
        table = table.append_column("weight", pa.array(weights[numbers]))
        for name, digests in sides.items():
            table = table.append_column(name, pa.array([next(digests) for _ in range(numbers.size)], pa.string()))
        table = table.select(SCHEMA.names)
        done += numbers.size
        if done // 100_000 > (done - numbers.size) // 100_000:
            note(f"manifest: {done:,} of {alive.size:,} rows")
        yield table


def _weights(pool: Pool) -> npt.NDArray[np.float32]:
    """The weights that the sources give to their rows."""
    weights = np.empty(len(pool), dtype=np.float32)
    for numbers, table in pool.batches(["weight"]):
        weights[numbers[0] : numbers[0] + numbers.size] = table["weight"].to_numpy()
    return weights


def _hexed(blocks: Iterator[tuple[Numbers, npt.NDArray[np.uint8]]]) -> Iterator[str]:
    for _, digests in blocks:
        text = digests.tobytes().hex()
        yield from (text[at : at + 64] for at in range(0, len(text), 64))


def _facts(
    plan: Plan, intake: tuple[Intake, ...], found: Mapping[Group, int], kept: Mapping[Group, int]
) -> dict[str, Any]:
    """What a manifest says of itself."""
    stages = Counter[str]()
    for group, n in kept.items():
        stages[group.stage] += n
    return {
        "name": plan.recipe.name,
        "recipe": plan.digest,
        "seed": plan.recipe.seed,
        "counts": {"read": sum(found.values()), "kept": sum(kept.values()), "stages": dict(sorted(stages.items()))},
        "revisions": {one.name: one.revision for one in intake if one.revision},
    }
