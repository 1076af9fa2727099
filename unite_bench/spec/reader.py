"""From a YAML file to a checked `Task` or `Suite`: every finding at once, each with its place and a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from unite_bench.errors import SpecError, UsageError
from unite_bench.spec.model import PlannedTask, Suite, Task
from unite_bench.spec.yaml_reader import Document, Path_, parse, read

Model = TypeVar("Model", bound=BaseModel)


def read_entry(path: Path) -> Task | PlannedTask:
    """Read and check a task file, which may say of itself that it is incomplete. Raises SpecError with every finding."""
    document = read(path)
    if isinstance(document.data, dict) and document.data.get("status") == "incomplete":
        return checked(PlannedTask, document)
    return checked(Task, document).in_folder(path.parent)


def read_task(path: Path) -> Task:
    """Read and check a task file. Raises SpecError with every finding, UsageError for a task that is incomplete."""
    entry = read_entry(path)
    if isinstance(entry, PlannedTask):
        raise UsageError(f"{entry.name} is incomplete and cannot run; missing: {'; '.join(entry.missing)}")
    return entry


def parse_task(text: str, file: str = "task", folder: Path = Path()) -> Task:
    """Read and check a task from a string; relative paths in it start from `folder`."""
    return checked(Task, parse(text, file)).in_folder(folder)


def read_suite(path: Path) -> Suite:
    """Read and check a suite file. Raises SpecError with every finding."""
    return checked(Suite, read(path))


def checked(model: type[Model], document: Document) -> Model:
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(list(_findings(model, document, error))) from error


def _findings(model: type[BaseModel], document: Document, error: ValidationError) -> Iterator[str]:
    """One line per problem. Of a union's branches only those are reported that fit the shape of what was written."""
    seen: set[tuple[Path_, str]] = set()
    for problem in error.errors(include_url=False):
        path = _path_in_document(document.data, problem["loc"])
        if _is_other_branch(document.data, path, problem["type"]):
            continue
        message = _message(model, problem, path)
        if (path, message) not in seen:
            seen.add((path, message))
            yield f"{document.at(path)}: {message}"


def _message(model: type[BaseModel], problem: Any, path: Path_) -> str:
    name = path[-1] if path else "the file"
    if problem["type"] == "extra_forbidden":
        known = sorted({field for cls in _models_at(model, problem["loc"][:-1]) for field in _field_names(cls)})
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"unknown key {name!r}, {hint}"
    if problem["type"] == "missing":
        return f"key {problem['loc'][-1]!r} is missing"
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, path)) or 'the file'}: {text}"


def _path_in_document(data: Any, loc: tuple[str | int, ...]) -> Path_:
    """The error's location without the names of union branches, which pydantic puts between the keys."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, dict) and part in data:
            path.append(part)
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            path.append(part)
            data = data[part]
    return tuple(path)


def _is_other_branch(data: Any, path: Path_, kind: str) -> bool:
    """True for 'should be a string' about a mapping and the like: the author plainly meant another branch."""
    value = data
    for part in path:
        value = value[part]
    if isinstance(value, dict):
        return kind in {"string_type", "literal_error", "list_type"}
    if isinstance(value, list):
        return kind in {"string_type", "literal_error", "model_type", "model_attributes_type"}
    return kind in {"model_type", "model_attributes_type", "list_type"} and path != ()


def _models_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """The model classes that may stand at a location, following field annotations."""
    current = [model]
    for part in loc:
        following: list[type[BaseModel]] = []
        for cls in current:
            fields = {f.alias or name: f for name, f in cls.model_fields.items()}
            if part in fields:
                following += list(_classes_in(fields[str(part)].annotation))
        if following:
            current = following
        else:  # a union branch's class name or tag, or a list index
            current = [cls for cls in current if _is_branch(cls, part)] or current
    return current


def _is_branch(cls: type[BaseModel], part: str | int) -> bool:
    tag = cls.model_fields.get("kind")
    return cls.__name__ == part or (tag is not None and part in get_args(tag.annotation))


def _classes_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _classes_in(inner)


def _field_names(cls: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in cls.model_fields.items()]
