"""`key=value` from the command line as arguments of an embedder's constructor, typed by its signature."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from unite_bench.errors import ModelError, UsageError

TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def typed(cls: type, given: Sequence[str]) -> dict[str, Any]:
    """The arguments by name. Types may be str, int, float, bool, Path, a Literal, a tuple or list of one of these
    (written with commas), and any of them or None (written `none`).

    Raises UsageError for a key that the constructor does not have, with the nearest one, for a key given twice, and for
    a value that is not of its type; ModelError if the constructor's annotations cannot be read.
    """
    if not given:
        return {}
    known = parameters(cls)
    found: dict[str, Any] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--model-arg {pair!r} is not of the form key=value")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known) or 'none'}"
            raise UsageError(f"{cls.__name__} has no argument {key!r}; {hint}")
        if key in found:
            raise UsageError(f"--model-arg {key} is given twice")
        found[key] = _parsed(value, known[key], f"--model-arg {key}")
    return found


def parameters(cls: type) -> dict[str, Any]:
    """The constructor's parameters and their types; one without annotation has the type of its default, or is text."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        return {}
    try:
        hints = get_type_hints(cls.__init__)  # type: ignore[misc]
    except (NameError, TypeError) as error:
        raise ModelError(f"{cls.__name__}: the types of its constructor cannot be read ({error})") from error
    found = {}
    for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:  # type: ignore[misc]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            continue
        default = str if parameter.default in (parameter.empty, None) else type(parameter.default)
        found[name] = hints.get(name, default)
    return found


def _parsed(value: str, kind: Any, what: str) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if NoneType in inner and value == "none":
            return None
        (plain, *others) = [k for k in inner if k is not NoneType]
        if others:
            raise UsageError(f"{what} may be of several types ({_named(kind)}); give it from Python")
        return _parsed(value, plain, what)
    if origin is Literal:
        texts = {str(choice): choice for choice in inner}
        if value not in texts:
            near = difflib.get_close_matches(value, texts, n=1)
            raise UsageError(
                f"{what} is one of {', '.join(texts)}, not {value!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        return texts[value]
    if origin in (tuple, list, Sequence) and inner:
        return tuple(_parsed(piece, inner[0], what) for piece in value.split(",") if piece)
    if kind is bool:
        if value.lower() not in TRUTHS:
            raise UsageError(f"{what} is true or false, not {value!r}")
        return TRUTHS[value.lower()]
    if kind in (str, Path):
        return kind(value)
    if kind in (int, float):
        try:
            return kind(value)
        except ValueError as error:
            raise UsageError(f"{what} is {'a whole number' if kind is int else 'a number'}, not {value!r}") from error
    raise UsageError(
        f"{what} is of type {_named(kind)}, which cannot be given on the command line; give it from Python"
    )


def _named(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)
