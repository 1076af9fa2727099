"""The items of every evaluation set that is on this machine, taken apart; and the names of those that are not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reference_model.curation.steps.texts import normalised
from unite_bench.errors import DataError, MediaError
from unite_bench.items import Image, Item, Text, Video

if TYPE_CHECKING:
    from unite_bench.spec.model import PlannedTask, Task


@dataclass
class TaskParts:
    """What one task holds: `texts` and `media` by what they are known by, how many texts are too short to say anything, and
    how many rows or media cannot be read."""

    name: str
    texts: set[str] = field(default_factory=set)
    media: dict[str, Image | Video] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)
    unreadable: int = 0


@dataclass(frozen=True)
class EvaluationSets:
    """Tasks whose items were read, and for every other one why it was not."""

    tasks: tuple[TaskParts, ...]
    not_checked: dict[str, str]


def evaluation_sets(names: Iterable[str], folder: Path, shortest: int, note: Callable[[str], None]) -> EvaluationSets:
    """Read tasks and suites by name, or by file from `folder`.

    Texts of fewer than `shortest` characters once normalised are set aside: half the world says "a dog".
    Raises UsageError or SpecError for a name or a file that is wrong.
    """
    from unite_bench.sources.build import build
    from unite_bench.sources.opening import missing_datasets
    from unite_bench.spec.model import PlannedTask

    found: list[TaskParts] = []
    absent: dict[str, str] = {}
    for entry in entries(names, folder):
        if isinstance(entry, PlannedTask):
            absent[entry.name] = f"its task file is incomplete: {', '.join(entry.missing)}"
        elif missing_datasets(entry):
            absent[entry.name] = f"its data is not on this machine; `unite-bench data get {entry.name}` fetches it"
        else:
            try:
                data = build(entry, skip_broken=True)
            except DataError as error:
                absent[entry.name] = f"its data cannot be read: {str(error).splitlines()[0]}"
                continue
            found.append(_parts(entry.name, (*data.queries, *data.candidates), shortest))
            found[-1].unreadable += len(data.broken)
            note(f"{entry.name}: {len(found[-1].texts):,} texts and {len(found[-1].media):,} media to look for")
    return EvaluationSets(tuple(found), absent)


def entries(names: Iterable[str], folder: Path) -> Iterator[Task | PlannedTask]:
    """The tasks of these names, each once. Raises UsageError or SpecError for a name or a file that is wrong."""
    from unite_bench.spec.catalogue import entries_of, load_entry, load_suite, suite_files
    from unite_bench.spec.yaml_reader import read

    found: dict[str, Task | PlannedTask] = {}
    for name in names:
        is_file = name.endswith((".yaml", ".yml"))
        place = str(folder / name) if is_file else name
        if name in suite_files() or (is_file and "queries" not in read(Path(place)).data):
            found |= {entry.name: entry for entry in entries_of(load_suite(place))}
        else:
            entry = load_entry(place)
            found[entry.name] = entry
    yield from found.values()


def _parts(name: str, items: Iterable[Item], shortest: int) -> TaskParts:
    found = TaskParts(name)
    for item in items:
        for part in item.parts:
            if isinstance(part, Text):
                words = normalised(part.text)
                (found.short if len(words) < shortest else found.texts).add(words)
                continue
            try:
                found.media.setdefault(medium_key(part), part)
            except MediaError:
                found.unreadable += 1
    return found


def medium_key(part: Image | Video) -> str:
    """What a picture or a whole clip is known by: its kind and the digest of its bytes, whichever span is shown."""
    return f"{part.kind} {part.medium.digest}"
