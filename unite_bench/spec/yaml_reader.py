"""YAML with a memory of where everything stood, so that a wrong value can be reported as `file:line:column`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from unite_bench.errors import SpecError

Path_ = tuple[str | int, ...]
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # the same grammar, several times faster


@dataclass(frozen=True)
class Document:
    """Plain data of one YAML file and the position (line, column; from 1) of every key and list entry in it."""

    file: str
    data: Any
    positions: dict[Path_, tuple[int, int]]

    def at(self, path: Path_) -> str:
        """`file:line:column` of a path, or of its nearest ancestor that stands in the file."""
        while path and path not in self.positions:
            path = path[:-1]
        line, column = self.positions.get(path, (1, 1))
        return f"{self.file}:{line}:{column}"


def read(path: Path) -> Document:
    """Read one YAML file. Raises SpecError if it is missing, no YAML, empty, or names a key twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([f"{path}: cannot read the file ({error})"]) from error
    return parse(text, str(path))


def parse(text: str, file: str) -> Document:
    """Like `read`, from a string; `file` is the name used in messages."""
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise SpecError([_not_yaml(file, error)]) from error
    if not isinstance(root, yaml.MappingNode):
        raise SpecError([f"{file}:1:1: expected a mapping of keys to values"])
    positions: dict[Path_, tuple[int, int]] = {}
    findings: list[str] = []
    _walk(root, (), file, positions, findings)
    if findings:
        raise SpecError(findings)
    try:
        data = yaml.SafeLoader("").construct_document(root)
    except yaml.YAMLError as error:
        raise SpecError([_not_yaml(file, error)]) from error
    except ValueError as error:
        raise SpecError([f"{file}: a value cannot be read: {error}"]) from error
    return Document(file, data, positions)


def _not_yaml(file: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
    return f"{place}: not YAML: {getattr(error, 'problem', None) or error}"


def _walk(
    node: yaml.Node,
    path: Path_,
    file: str,
    positions: dict[Path_, tuple[int, int]],
    findings: list[str],
    above: tuple[yaml.Node, ...] = (),
) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                findings.append(f"{file}:{place[0]}:{place[1]}: a key must be a plain word")
                continue
            here = (*path, key.value)
            if value in above:
                findings.append(f"{file}:{place[0]}:{place[1]}: an alias that contains itself")
                continue
            if here in positions:
                findings.append(f"{file}:{place[0]}:{place[1]}: key {key.value!r} stands here a second time")
            positions[here] = place
            _walk(value, here, file, positions, findings, (*above, node))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            positions[(*path, index)] = (value.start_mark.line + 1, value.start_mark.column + 1)
            if value in above or value is node:
                findings.append(f"{file}:{value.start_mark.line + 1}:1: an alias that contains itself")
                continue
            _walk(value, (*path, index), file, positions, findings, (*above, node))
