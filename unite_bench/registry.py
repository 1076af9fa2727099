"""One door for every embedder: `NAME[:ARG]` of a registered one, else `file.py:Class`, else `module:Class`.

Registered names come from here (the baselines) and from the entry point group `unite_bench.embedders`; a registered name
always wins. Nothing is imported before it is asked for, so a broken plugin breaks nobody else.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from unite_bench.embedders.base import Embedder
from unite_bench.errors import ModelError, UniteBenchError, UsageError
from unite_bench.items import content_digest

GROUP = "unite_bench.embedders"
BASELINES = {
    "random": "unite_bench.embedders.baselines:RandomEmbedder",
    "constant": "unite_bench.embedders.baselines:ConstantEmbedder",
    "oracle": "unite_bench.embedders.oracle:OracleEmbedder",
    "hashed-text": "unite_bench.embedders.hashed_text:HashedTextEmbedder",
    "pixels": "unite_bench.embedders.pixels:PixelsEmbedder",
    "blind-query": "unite_bench.embedders.shortcuts.blind_query:BlindQueryEmbedder",
    "blind-candidate": "unite_bench.embedders.shortcuts.blind_candidate:BlindCandidateEmbedder",
    "length": "unite_bench.embedders.shortcuts.length:LengthEmbedder",
    "file-size": "unite_bench.embedders.shortcuts.file_size:FileSizeEmbedder",
    "bag-of-words": "unite_bench.embedders.shortcuts.bag_of_words:BagOfWordsEmbedder",
    "colour-histogram": "unite_bench.embedders.shortcuts.colour_histogram:ColourHistogramEmbedder",
    "edge-histogram": "unite_bench.embedders.shortcuts.edge_histogram:EdgeHistogramEmbedder",
    "single-frame": "unite_bench.embedders.shortcuts.single_frame:SingleFrameEmbedder",
    "mean-frames": "unite_bench.embedders.shortcuts.mean_frames:MeanFramesEmbedder",
    "shuffled-frames": "unite_bench.embedders.shortcuts.shuffled_frames:ShuffledFramesEmbedder",
}


def names() -> dict[str, str]:
    """Every registered name and the `module:Class` behind it. Two entry points of one name are an error."""
    found = dict(BASELINES)
    for point in entry_points(group=GROUP):
        if found.get(point.name, point.value) != point.value:
            raise UsageError(f"embedder {point.name!r} is registered twice: {found[point.name]} and {point.value}")
        found[point.name] = point.value
    return found


def load_embedder(spec: str) -> Embedder:
    """An embedder by name, file or module. Raises UsageError (unknown) or ModelError (found, but broken)."""
    name, _, argument = spec.partition(":")
    known = names()
    if name in known:
        return _construct(_target(EntryPoint(name, known[name], GROUP)), spec, argument)
    if not argument and not name.endswith(".py"):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise UsageError(f"unknown embedder {name!r}; {hint} Or give file.py:Class or module:Class")
    place, _, cls = spec.rpartition(":") if argument else (name, "", "")
    module = _from_file(Path(place)) if place.endswith(".py") else _module(place, spec)
    return _construct(_class_in(module, cls, place), spec, "")


def _target(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (ImportError, AttributeError, SyntaxError) as error:
        raise ModelError(f"embedder {point.name!r} ({point.value}) cannot be loaded: {error}") from error


def _module(name: str, spec: str) -> ModuleType:
    _importable(Path())
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"embedder {spec!r}: cannot import {name!r} ({error})") from error


def _from_file(path: Path) -> ModuleType:
    """Import a file under a name that no other file has; modules beside it can be imported by it."""
    if not path.is_file():
        raise UsageError(f"embedder file {path} does not exist")
    name = f"unite_bench_model_{content_digest(str(path.resolve()))[:12]}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _importable(path.parent)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the plugin boundary: a stranger's module may raise anything
        raise ModelError(f"{path}: cannot be loaded: {type(error).__name__}: {error}") from error
    return module


def _importable(folder: Path) -> None:
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))


def _class_in(module: ModuleType, name: str, place: str) -> Any:
    """The named class, or the only embedder class the module defines."""
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Embedder) and value.__module__ == module.__name__
    ]
    if name:
        found = getattr(module, name, None)
        if found is None:
            raise UsageError(f"{place} has no class {name!r}; it has {', '.join(c.__name__ for c in own) or 'none'}")
        return found
    if len(own) != 1:
        raise UsageError(f"{place} defines {len(own)} embedder classes; name one as {place}:Class")
    return own[0]


def _construct(cls: Any, spec: str, argument: str) -> Embedder:
    try:
        embedder = cls(argument) if argument else cls()
    except UniteBenchError:
        raise
    except Exception as error:  # the plugin boundary again
        raise UsageError(f"embedder {spec!r}: {type(error).__name__}: {error}") from error
    if not isinstance(embedder, Embedder):
        raise ModelError(f"embedder {spec!r}: {cls!r} is not a subclass of unite_bench.Embedder")
    if not hasattr(embedder, "card"):
        raise ModelError(f"embedder {spec!r}: it has no card; set `card = EmbedderCard(...)` on the class")
    return embedder
