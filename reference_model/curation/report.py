"""What a curation did, as plain data: `report.json`, and what the page is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from reference_model.curation import steps
from reference_model.curation.composition import Group, coverage
from reference_model.curation.manifest import read_manifest
from reference_model.curation.pipeline import Curated, Intake
from reference_model.curation.presets import PRESETS
from reference_model.curation.taking import Taken
from reference_model.curation.training_cost import cost_of

BY: dict[str, Callable[[Group], str]] = {
    "modality pair": lambda group: group.pair,
    "granularity": lambda group: group.granularity,
    "source": lambda group: group.source,
    "stage": lambda group: group.stage,
}
PACKAGES = ("numpy", "pyarrow", "unite-bench")
ROUNDING = 0.1  # by which shares printed with one digit may be off


def report_of(curated: Curated) -> dict[str, Any]:
    """All figures. Only `environment` differs between two runs over the same inputs."""
    plan = curated.plan
    manifest = read_manifest(curated.manifest)
    cells, undeclared = coverage(plan.design, curated.found, curated.kept, curated.weights)
    return {
        "name": plan.recipe.name,
        "recipe": plan.digest,
        "seed": plan.recipe.seed,
        "manifest": {"rows": len(manifest), "digest": manifest.digest, "stages": manifest.facts["counts"]["stages"]},
        "sources": [_source(one) for one in curated.intake],
        "steps": [_step(one) for one in curated.taken],
        "by": {name: _flow(curated, key) for name, key in BY.items()},
        "composition": {"cells": cells, "undeclared": undeclared, "remarks": _remarks(curated)},
        "cost": cost_of(manifest, plan.recipe.cost, plan.folder),
        "environment": {
            "versions": {name: version(name) for name in PACKAGES},
            "seconds": {**curated.seconds, **{f"{n}. {one.kind}": one.seconds for n, one in _numbered(curated)}},
        },
    }


def _source(one: Intake) -> dict[str, Any]:
    return {**vars(one), "bad": dict(one.bad)}


def _step(one: Taken) -> dict[str, Any]:
    known = steps.known()[one.kind]
    return {
        "kind": one.kind,
        "about": known.about,
        "beyond_the_paper": known.beyond,
        "settings": one.settings.model_dump(mode="json"),
        "in": sum(one.before.values()),
        "out": sum(one.after.values()),
        "dropped": dict(one.dropped),
        "weights": one.weights,
        "facts": dict(one.facts),
    }


def _flow(curated: Curated, key: Callable[[Group], str]) -> dict[str, list[int]]:
    """Rows of every kind: as read, then after each step; most rows first."""
    points = [curated.found, *(one.after for one in curated.taken)]
    counted = [_sums(point, key) for point in points]
    names = sorted(counted[0], key=lambda name: (-counted[0][name], name))
    return {name: [counts.get(name, 0) for counts in counted] for name in names}


def _sums(point: Mapping[Group, int], key: Callable[[Group], str]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for group, n in point.items():
        sums[key(group)] = sums.get(key(group), 0) + n
    return sums


def _remarks(curated: Curated) -> list[str]:
    """What has to be known with the design."""
    preset = curated.plan.recipe.preset
    if preset is None:
        return []
    mixture = PRESETS[preset.name]
    counted = mixture.shares_of_pairs()
    off = [
        f"{pair} is printed as {share:.1f} %, the printed numbers of pairs give {counted[pair]:.1f} %"
        for pair, share in mixture.shares.items()
        if abs(share - counted[pair]) > ROUNDING
    ]
    return [
        f"Preset {preset.name}: the numbers are those printed in arXiv 2505.19650v2; the data are {mixture.dataset}.",
        f"Its printed shares add up to {sum(mixture.shares.values()):.1f} %{': ' if off else '.'}{'; '.join(off)}",
    ]


def _numbered(curated: Curated) -> list[tuple[int, Taken]]:
    return list(enumerate(curated.taken, start=1))
