"""One door for every embedder: `NAME[:ARG]` of a registered one, else `file.py:Class` or a model file (`file.yaml`), else
`module:Class`.

Registered names come from here (adapters and baselines) and from the entry point group `unite_bench.embedders`; a
registered name always wins. Nothing is imported before it is asked for, so a broken plugin breaks nobody else: it is
listed with its reason, and is an error only for those who ask for it.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from unite_bench.embedders.arguments import typed
from unite_bench.embedders.base import Embedder
from unite_bench.errors import ModelError, UniteBenchError, UsageError
from unite_bench.items import content_digest

GROUP = "unite_bench.embedders"
ADAPTERS = {
    "vectors": "unite_bench.embedders.vectors:VectorsEmbedder",
    "command": "unite_bench.embedders.command:CommandEmbedder",
    "st": "unite_bench.embedders.sentence_transformer:SentenceTransformerEmbedder",
    "dual": "unite_bench.embedders.dual_encoder:DualEncoderEmbedder",
    "api": "unite_bench.embedders.api:ApiEmbedder",
    "vlm": "unite_bench.embedders.decoder:VlmEmbedder",
    "mteb": "unite_bench.embedders.mteb:MtebEmbedder",
}
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
BUILT_IN = {**ADAPTERS, **BASELINES}


@dataclass(frozen=True)
class Registered:
    """A name, the `module:Class` behind it, and why that cannot be used, or ""."""

    name: str
    target: str
    problem: str = ""


def registered() -> dict[str, Registered]:
    """Every registered name. A plugin cannot take the name of what is built in; of two plugins of one name, neither is
    used.
    """
    found = {name: Registered(name, target) for name, target in BUILT_IN.items()}
    for point in entry_points(group=GROUP):
        other = found.get(point.name)
        if other is not None and other.target != point.value:
            problem = f"registered twice: {other.target} and {point.value}; uninstall one of their packages"
            name = f"{point.name} (plugin)" if point.name in BUILT_IN else point.name
            found[name] = Registered(name, point.value, problem)
        elif other is None:
            found[point.name] = Registered(point.name, point.value)
    return found


def problems() -> dict[str, str]:
    """Names that cannot be used, each with the reason. Imports the module of every registered embedder."""
    found = {}
    for name, entry in registered().items():
        try:
            _target(entry)
        except ModelError as error:
            found[name] = str(error)
    return found


def load_embedder(spec: str, arguments: Sequence[str] = ()) -> Embedder:
    """An embedder by name, file or module, with more `key=value` arguments for its constructor, typed by its signature.

    Raises UsageError (unknown name or argument) or ModelError (found, but broken).
    """
    name, _, argument = spec.partition(":")
    known = registered()
    if name in known:
        return _construct(_target(known[name]), spec, argument, arguments)
    if spec.endswith((".yaml", ".yml")):
        return _construct(_target(known["vlm"]), spec, spec, arguments)
    if not argument and not name.endswith(".py"):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise UsageError(f"unknown embedder {name!r}; {hint} Or give file.py:Class, module:Class or a model file")
    place, _, cls = spec.rpartition(":") if argument else (name, "", "")
    module = _from_file(Path(place)) if place.endswith(".py") else _module(place, spec)
    return _construct(_class_in(module, cls, place), spec, "", arguments)


def _target(entry: Registered) -> Any:
    if entry.problem:
        raise ModelError(f"embedder {entry.name!r} cannot be used: {entry.problem}")
    try:
        return EntryPoint(entry.name, entry.target, GROUP).load()
    except (Exception, SystemExit) as error:  # the plugin boundary: a stranger's module may raise anything, or exit
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"embedder {entry.name!r} ({entry.target}) cannot be loaded: {reason}") from error


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
    except (Exception, SystemExit) as error:  # the plugin boundary: a stranger's module may raise anything, or exit
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


def _construct(cls: Any, spec: str, argument: str, arguments: Sequence[str]) -> Embedder:
    try:
        more = typed(cls, arguments)
        embedder = cls(argument, **more) if argument else cls(**more)
    except UniteBenchError:
        raise
    except Exception as error:  # the plugin boundary again
        raise UsageError(f"embedder {spec!r}: {type(error).__name__}: {error}") from error
    if not isinstance(embedder, Embedder):
        raise ModelError(f"embedder {spec!r}: {cls!r} is not a subclass of unite_bench.Embedder")
    if not hasattr(embedder, "card"):
        raise ModelError(f"embedder {spec!r}: it has no card; set `card = EmbedderCard(...)` on the class")
    return embedder
