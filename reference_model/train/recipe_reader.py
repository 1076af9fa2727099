"""From a recipe file to a checked `Recipe` with its folders: every error at once, as `file:line:column`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference_model.checkpoint import CHECKPOINTS, HUB_NAME
from reference_model.train.recipe import Recipe, Stage, StageName
from unite_bench.errors import SpecError, UsageError
from unite_bench.items import content_digest
from unite_bench.spec.catalogue import load_suite, tasks_of
from unite_bench.spec.reader import checked
from unite_bench.spec.yaml_reader import Document, Path_, read

STAGES: tuple[StageName, StageName] = ("adaptation", "instruction")
# Of a recipe: what decides no weight of a stage, or is the stage's own. A run may go on with other values of these.
BESIDE_THE_WEIGHTS = {"name", "out", "work", "data", "cache_features", "workers", "max_bad_rows", "stages"}


@dataclass(frozen=True)
class Plan:
    """A recipe and where it works: the run folder, the folder for what can be made again, that of the data.

    `base` is a folder or a hub name, `adapter` a folder or None.
    """

    recipe: Recipe
    out: Path
    work: Path
    data: Path
    base: str
    adapter: Path | None
    here: Path

    def stage(self, name: StageName) -> Stage:
        """The stage of that name. Raises UsageError if the recipe has none."""
        stage: Stage | None = getattr(self.recipe.stages, name)
        if stage is None:
            raise UsageError(f"the recipe {self.recipe.name!r} has no stage {name!r}; add it under `stages`")
        return stage

    def start(self, name: StageName) -> str:
        """What the stage trains: the base, or the merged model of another stage of this run."""
        start = self.stage(name).start or ("adaptation" if name == "instruction" else "base")
        return self.base if start == "base" else str(self.merged(start))

    def suite(self, name: StageName) -> str | None:
        """What scores the stage while it is trained, if anything: a suite's name, or its file."""
        asked = self.stage(name).evaluation
        return None if asked is None or asked.suite is None else find_suite(asked.suite, self.here)

    def folder(self, stage: str) -> Path:
        """The stage's folder in the run folder: log, states, `adapter`, `merged`."""
        return self.out / stage

    def merged(self, stage: str) -> Path:
        return self.folder(stage) / "merged"

    @property
    def digest(self) -> str:
        """Of everything the recipe says; not of where it works."""
        return content_digest("recipe", self.recipe.model_dump_json(exclude={"out", "work", "data"}))

    def stage_digest(self, name: StageName) -> str:
        """Of what the recipe says that decides the stage's weights."""
        shared = self.recipe.model_dump_json(exclude=BESIDE_THE_WEIGHTS)
        own = self.stage(name).model_dump_json(exclude={"checkpoints", "evaluation", "log_steps"})
        return content_digest("stage", name, shared, own)


def read_recipe(
    path: Path,
    out: Path | None = None,
    work: Path | None = None,
    data: Path | None = None,
    stages: Collection[StageName] = STAGES,
) -> Plan:
    """Read and check a recipe; the folders given take the place of its own. Raises SpecError with every finding.

    Nothing is loaded: a base that is a hub name is not asked for. The data of other stages than these need not be there yet.
    """
    document = read(path)
    findings: list[str] = []
    try:
        recipe = checked(Recipe, document)
    except SpecError as error:
        findings += error.findings
    here = path.parent
    named = _text(document, ("data",))
    findings += _missing(document, here, data or here / (named or "."), stages)
    if findings:
        raise SpecError(findings)
    run = out or here / recipe.out
    return Plan(
        recipe,
        run,
        work or (here / recipe.work if recipe.work else run / "work"),
        data or here / recipe.data,
        str(find_base(recipe.base, here)),
        here / recipe.adapter if recipe.adapter else None,
        here,
    )


def find_base(base: str, here: Path) -> Path | str | None:
    """The folder of a checkpoint, named from `here` or committed; else a hub name; else None."""
    for folder in (here / base, CHECKPOINTS / base):
        if (folder / "config.json").is_file():
            return folder
    return base if HUB_NAME.fullmatch(base) and not (here / base).exists() else None


def find_suite(suite: str, here: Path) -> str:
    """A suite's file, named from `here`, or else what is given: a name, or a file named from the working directory."""
    return str(here / suite) if (here / suite).is_file() else suite


def _missing(document: Document, here: Path, data: Path, stages: Collection[StageName]) -> Iterator[str]:
    """What the recipe names and is not there. The document may break the schema: only what has the right shape counts."""
    base = _text(document, ("base",))
    if base and find_base(base, here) is None:
        yield f"{document.at(('base',))}: {here / base}: no checkpoint here (config.json), and {base!r} is no hub name"
    adapter = _text(document, ("adapter",))
    if adapter and not (here / adapter / "adapter_config.json").is_file():
        yield f"{document.at(('adapter',))}: {here / adapter}: no adapter here (adapter_config.json)"
    for stage in (stage for stage in STAGES if stage in stages):
        place: Path_ = ("stages", stage, "data")
        manifests = _value(document, (*place, "manifests"))
        for number, name in enumerate(manifests if isinstance(manifests, list) else []):
            if isinstance(name, str) and not (data / name).is_file():
                yield f"{document.at((*place, 'manifests', number))}: {data / name}: no such manifest; `curate` writes it"
        real = _text(document, (*place, "draws", "real"))
        if real and not (data / real).is_dir():
            yield f"{document.at((*place, 'draws', 'real'))}: {data / real}: no such folder of train splits"
        suite = _text(document, ("stages", stage, "evaluation", "suite"))
        if suite:
            try:
                tasks_of(load_suite(find_suite(suite, here)))
            except (SpecError, UsageError) as error:
                yield f"{document.at(('stages', stage, 'evaluation', 'suite'))}: {error}"


def _value(document: Document, path: Path_) -> Any:
    data = document.data
    for part in path:
        if not isinstance(data, dict) or part not in data:
            return None
        data = data[part]
    return data


def _text(document: Document, path: Path_) -> str | None:
    value = _value(document, path)
    return value if isinstance(value, str) else None
