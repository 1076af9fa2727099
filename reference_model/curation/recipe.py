"""The recipe of a curation: a YAML file, checked as a whole before anything is read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model

from reference_model.curation import steps, training_cost
from reference_model.curation.composition import Cell
from reference_model.curation.presets import PRESETS
from reference_model.curation.readers.tables import files_of
from reference_model.curation.rows import Granularity, Stage
from reference_model.curation.sources import AnySource, FolderSource, HubSource, TableSource, UniteSource, Word
from reference_model.curation.training_cost import Cost
from unite_bench.errors import SpecError
from unite_bench.items import content_digest
from unite_bench.spec.reader import checked
from unite_bench.spec.source_kinds import Strict
from unite_bench.spec.yaml_reader import Path_, read

STAGES: dict[Granularity, Stage] = {"coarse": "adaptation", "fine": "adaptation", "instruction": "instruction"}


class PresetSource(Strict):
    """A published mixture and where its data lie: files in UNITE's format, NAME.json or NAME.jsonl, in a folder.

    `files` names those that are called otherwise; or `merged` is one file of all of them. What is not there shows as empty
    in the coverage report. A preset declares: it draws nothing, which a step `balance` does.
    """

    name: str
    data: str
    files: dict[str, str] = Field(default_factory=dict)
    merged: str | None = None
    media: str | None = None


class Recipe(Strict):
    """What a curation does. Paths start at the recipe's folder; `root` is where the manifest's paths start."""

    name: Word
    seed: int = 0
    out: str = "curated"
    work: str = "curation-work"
    root: str = "."
    sources: Annotated[tuple[AnySource, ...], Field(strict=False)] = ()
    preset: PresetSource | None = None
    stages: dict[Granularity, Stage] = Field({}, description="the stage of each granularity, where not as in the paper")
    steps: tuple[Any, ...] = ()
    composition: Annotated[tuple[Cell, ...], Field(strict=False)] = ()
    cost: Cost = Cost()


@dataclass(frozen=True)
class Plan:
    """A checked recipe with its folder, its preset written out, and the stage of every granularity."""

    recipe: Recipe
    folder: Path
    sources: tuple[FolderSource | UniteSource | TableSource | HubSource, ...]
    design: tuple[Cell, ...]
    stages: dict[Granularity, Stage]

    @property
    def digest(self) -> str:
        """Digest (hex) of all that decides the manifest: not of where it is written."""
        said = self.recipe.model_dump(mode="json", exclude={"out", "work", "cost"})
        said["sources"] = [source.model_dump(mode="json") for source in self.sources]
        return content_digest("curation recipe", json.dumps(said, sort_keys=True))


@lru_cache(maxsize=1)
def schema() -> type[Recipe]:
    """The recipe's model with the settings of every step that there is."""
    kinds = tuple(step.settings for step in steps.known().values())
    one: Any = kinds[0] if len(kinds) == 1 else Annotated[reduce(or_, kinds), Field(discriminator="kind")]
    several: Any = Annotated[tuple.__class_getitem__((one, ...)), Field(strict=False)]
    return create_model("Recipe", __base__=Recipe, steps=(several, ()))


def read_recipe(path: Path) -> Plan:
    """Read and check a recipe. Raises SpecError with every finding, each with its place in the file."""
    document = read(path)
    recipe = checked(schema(), document)
    folder = path.parent
    findings = [f"{document.at(place)}: {message}" for place, message in _findings(recipe, folder)]
    if findings:
        raise SpecError(findings)
    stages = {**STAGES, **recipe.stages}
    sources, design = (*recipe.sources, *_preset_sources(recipe, folder)), recipe.composition
    if recipe.preset is not None:
        design = (*PRESETS[recipe.preset.name].cells(recipe.preset.merged is not None), *design)
    return Plan(recipe, folder, sources, design, stages)


def preset_files(preset: PresetSource, folder: Path) -> dict[str, Path | None]:
    """The file of every dataset of the preset, None where there is none."""
    found: dict[str, Path | None] = {}
    for name, *_ in PRESETS[preset.name].sets:
        named = [preset.files[name]] if name in preset.files else [f"{name}.json", f"{name}.jsonl"]
        found[name] = next((path for path in (folder / preset.data / file for file in named) if path.is_file()), None)
    return found


def _preset_sources(recipe: Recipe, folder: Path) -> Iterator[UniteSource]:
    if recipe.preset is None:
        return
    preset, mixture = recipe.preset, PRESETS[recipe.preset.name]

    def source(name: str, file: Path, granularity: Granularity) -> UniteSource:
        path = (Path(preset.data) / file).as_posix()
        return UniteSource(
            kind="unite", name=name, path=path, media=preset.media, granularity=granularity, stage=mixture.stage
        )

    if preset.merged is not None:
        yield source(preset.name, Path(preset.merged), mixture.sets[0][2])
        return
    for name, found in preset_files(preset, folder).items():
        if found is not None:
            yield source(name, found.relative_to(folder / preset.data), mixture.granularity(name))


def _findings(recipe: Recipe, folder: Path) -> Iterator[tuple[Path_, str]]:
    if not recipe.sources and recipe.preset is None:
        yield (), "no `sources` and no `preset`: there is nothing to read"
    names = [source.name for source in recipe.sources]
    for number, source in enumerate(recipe.sources):
        place: Path_ = ("sources", number)
        if source.name in names[:number]:
            yield (*place, "name"), f"a second source of the name {source.name!r}; ids of rows begin with it"
        yield from ((place + key, message) for key, message in _source_findings(source, folder))
    if not (folder / recipe.root).is_dir():
        yield ("root",), f"no folder {folder / recipe.root}"
    if recipe.preset is not None:
        yield from _preset_findings(recipe.preset, folder)
        sets = [name for name, *_ in PRESETS[recipe.preset.name].sets] if recipe.preset.name in PRESETS else []
        for number in (number for number, name in enumerate(names) if name in sets):
            yield (
                ("sources", number, "name"),
                f"{names[number]!r} is a dataset of the preset; ids of rows begin with it",
            )
        names += sets
    for number, cell in enumerate(recipe.composition):
        if cell.source is not None and cell.source not in names:
            yield ("composition", number, "source"), f"no source {cell.source!r}; {_near(cell.source, names)}"
    yield from ((("cost", key), message) for key, message in training_cost.wrong(recipe.cost, folder))
    known = steps.known()
    for number, settings in enumerate(recipe.steps):
        for message in known[settings.kind].check(settings, folder):
            yield ("steps", number), message


def _source_findings(source: Any, folder: Path) -> Iterator[tuple[Path_, str]]:
    if isinstance(source, HubSource):
        if "/" not in source.dataset and not (folder / source.dataset).is_dir():
            yield ("dataset",), f"{source.dataset!r} is neither OWNER/NAME of the hub nor a folder beside the recipe"
        return
    path = folder / source.path
    if isinstance(source, FolderSource):
        if not path.is_dir():
            yield ("path",), f"no folder {path}"
    elif isinstance(source, TableSource) and "*" in source.path:
        if not files_of(folder, source.path):
            yield ("path",), f"no file is called {path}"
    elif not path.is_file():
        yield ("path",), f"no file {path}"
    if isinstance(source, UniteSource | TableSource) and source.media and not (folder / source.media).is_dir():
        yield ("media",), f"no folder {folder / source.media}"


def _preset_findings(preset: PresetSource, folder: Path) -> Iterator[tuple[Path_, str]]:
    if preset.name not in PRESETS:
        yield ("preset", "name"), f"no preset {preset.name!r}; {_near(preset.name, list(PRESETS))}"
        return
    mixture = PRESETS[preset.name]
    sets = [name for name, *_ in mixture.sets]
    if preset.merged is not None:
        if preset.files:
            yield ("preset", "files"), "give files of datasets or one merged file, not both"
        if not (folder / preset.data / preset.merged).is_file():
            yield ("preset", "merged"), f"no file {folder / preset.data / preset.merged}"
        return
    for name, file in preset.files.items():
        if name not in sets:
            yield ("preset", "files", name), f"{preset.name} has no dataset {name!r}; {_near(name, sets)}"
        elif not (folder / preset.data / file).is_file():
            yield ("preset", "files", name), f"no file {folder / preset.data / file}"
    if all(path is None for path in preset_files(preset, folder).values()):
        wanted = ", ".join(f"{name}.json" for name in sets[:3])
        yield (
            ("preset", "data"),
            f"none of the preset's datasets lies in {folder / preset.data} ({wanted}, ...); the public data are "
            f"{mixture.dataset}; name files that are called otherwise under `files`, or one file of all under `merged`",
        )


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
