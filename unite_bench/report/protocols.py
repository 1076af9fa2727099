"""Results under different protocols never share a table. Every builder of tables asks here."""

from __future__ import annotations

from collections.abc import Iterable

from unite_bench.errors import DataError
from unite_bench.protocol import in_words
from unite_bench.results import Result

DEFAULT = "default protocol"


def named_protocol(result: Result) -> str:
    """The protocol of a result in words: what it departs from the default in."""
    return in_words(result.record["protocol"]) or DEFAULT


def compared_protocol(result: Result) -> str:
    """What must agree within a column, and between results that are compared: the task's own protocol, by its digest, and
    that of the run, in words."""
    return f"{result.record['protocol']['task']}, {named_protocol(result)}"


def by_protocol(results: Iterable[Result]) -> dict[str, list[Result]]:
    """The results of each protocol under its name, the default first."""
    held: dict[str, list[Result]] = {}
    for result in results:
        held.setdefault(named_protocol(result), []).append(result)
    return dict(sorted(held.items(), key=lambda entry: (entry[0] != DEFAULT, entry[0])))


def one_protocol(results: Iterable[Result]) -> str:
    """What a caption says of the protocol that all these results share, "" for the default.

    Raises DataError if there are several, with a result of each.
    """
    held = by_protocol(results)
    if len(held) > 1:
        said = "; ".join(f"{name} ({of[0].embedder} on {of[0].task})" for name, of in held.items())
        raise DataError(f"results under different protocols cannot stand in one table: {said}; tabulate them apart")
    name = next(iter(held), DEFAULT)
    return "" if name == DEFAULT else f" Protocol: {name}."
