"""What an embedder is, as a digest: two embedders with one fingerprint give the same vectors.

Name, revision, prompt, dtype, constructor arguments, the digest of the weights, the digest of the adapter's own source
(every local module it imports, outside installed packages) or the version of the distribution that carries it, and the
version of this harness's decoding. An edited adapter therefore never meets its old vectors.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import sysconfig
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from unite_bench import items, media
from unite_bench.embedders.base import Embedder
from unite_bench.errors import ModelError
from unite_bench.items import File, content_digest
from unite_bench.readers import pyav_reader


def fingerprint(embedder: Embedder, dtype: str) -> str:
    """Hex digest over everything that decides the embedder's vectors."""
    card = embedder.card
    parts = [card.name, card.revision, card.prompt, card.similarity, str(card.dim), card.fusion or "", dtype]
    parts += [f"{key}={value}" for key, value in sorted(embedder.arguments)]
    parts += [f"{path.name}:{_weight_digest(path)}" for path in embedder.weights()]
    parts += [d for cls in _own_classes(type(embedder)) for d in source_digests(cls)] + inner_digests(embedder, dtype)
    parts += [_sources((Path(inspect.getfile(module)),)) for module in (items, media, pyav_reader)]
    return content_digest(*parts)


def _own_classes(cls: type) -> list[type]:
    """The class and its bases up to, and without, `Embedder`: code that may decide a vector."""
    return [base for base in cls.__mro__ if issubclass(base, Embedder) and base is not Embedder]


def inner_digests(embedder: Embedder, dtype: str) -> list[str]:
    """Fingerprints of the embedders that a wrapper (a fusion) is made of."""
    inner = getattr(embedder, "inner", None)
    return [fingerprint(inner, dtype)] if isinstance(inner, Embedder) else []


def source_digests(cls: type) -> list[str]:
    """One digest of the local source files behind a class, or `distribution==version` if it is an installed package.

    Raises ModelError for a class whose source cannot be found (defined at a prompt), because an edit to it could not
    be noticed.
    """
    try:
        file = Path(inspect.getfile(cls)).resolve()
    except (TypeError, OSError) as error:
        raise ModelError(f"{cls.__name__}: its source file cannot be found; put the class into a file") from error
    if _installed(file):
        root = cls.__module__.split(".")[0]
        return [f"{d}=={metadata.version(d)}" for d in sorted(metadata.packages_distributions().get(root, [root]))]
    return [_sources(tuple(sorted(local_sources(file, cls.__module__))))]


def local_sources(file: Path, module: str) -> set[Path]:
    """The file and every local module it imports, directly or not, at the top or inside a function.

    Of this harness only adapters are followed: an embedder may lean on another, or on a loader beside it. What touches
    pixels is in every fingerprint anyway.
    """
    found: set[Path] = set()
    waiting = [(file, module)]
    while waiting:
        path, name = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for imported in _imports(path, name):
            origin = _origin(imported, path.parent)
            if origin is not None and not _installed(origin) and not _of_harness(imported):
                waiting.append((origin, imported))
    return found


def _of_harness(module: str) -> bool:
    """Whether a module is part of this harness, and no adapter's."""
    base = "unite_bench.embedders.base"  # the class that adapters are made from; it decides no vector
    return module.startswith("unite_bench.") and (module == base or not module.startswith("unite_bench.embedders."))


def _imports(path: Path, module: str) -> set[str]:
    """Absolute names of the modules that a source file imports."""
    names: set[str] = set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                ancestors = package.split(".")
                base = ".".join([*ancestors[: len(ancestors) - node.level + 1], *([base] if base else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


@lru_cache(maxsize=4096)
def _origin(name: str, folder: Path) -> Path | None:
    """The source file of a module, found without importing it: beside the importing file, or on the path."""
    if not name.strip("."):
        return None  # a relative import in a file that is in no package
    relative = Path(*name.split("."))
    for root in [folder, *map(Path, sys.path)]:
        for candidate in (root / relative.with_suffix(".py"), root / relative / "__init__.py"):
            if candidate.is_file():
                return candidate.resolve()
    top = name.split(".")[0]
    spec = importlib.util.find_spec(top) if top and top not in sys.builtin_module_names else None
    if spec is None or spec.submodule_search_locations is None:
        return None
    inner = Path(*name.split(".")[1:]) if "." in name else Path("__init__")
    for location in map(Path, spec.submodule_search_locations):
        for candidate in (location / inner.with_suffix(".py"), location / inner / "__init__.py"):
            if candidate.is_file():
                return candidate.resolve()
    return None


def _installed(path: Path) -> bool:
    """Whether a file belongs to the interpreter or to an installed package, rather than to the user."""
    roots = {Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    elsewhere = {"site-packages", "dist-packages"}  # of the user, or of the interpreter below a virtual environment
    return any(root in path.parents for root in roots) or not elsewhere.isdisjoint(path.parts)


def _sources(paths: tuple[Path, ...]) -> str:
    return content_digest(*(f"{path.name}:{File(path).digest}" for path in paths))


def _weight_digest(path: Path) -> str:
    if not path.is_file():
        raise ModelError(f"{path}: the embedder names this weight file, but it does not exist")
    return File(path).digest
