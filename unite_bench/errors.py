"""Every error the harness raises on purpose, as one tree.

    UniteBenchError
    +-- SpecError        a task or suite file is wrong (all findings at once, file:line:column each)
    +-- DataError        a row, qrels entry or table is wrong
    |   +-- MediaError   a picture or clip cannot be decoded
    |   +-- NotOffered   the hub does not give a dataset, revision or archive that a task names
    +-- ModelError       an embedder cannot be found, or broke its contract
    |   +-- ItemFailed   an embedder raised on, or returned a bad vector for, one named item
    |   +-- ModelUnavailable  the process or server behind an embedder is gone, whichever item is asked for
    |   +-- CheckFailed  an embedder does not do what a check of the conformance kit asks
    +-- StoreError       stored vectors or results are damaged
    +-- NotStored        vectors are wanted that the store does not have, and nothing may be encoded
    +-- UsageError       the call itself makes no sense

A message says what is wrong, where, and what to do about it. `UniteBenchError` is what the command line turns into one
line and an exit code; anything else is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class UniteBenchError(Exception):
    """Base of all errors that are the user's to read and act on."""


class SpecError(UniteBenchError):
    """A task or suite file is wrong; `findings` holds every problem, each as `file:line:column: message`."""

    def __init__(self, findings: Sequence[str]):
        self.findings = tuple(findings)
        super().__init__("\n".join(self.findings))


class DataError(UniteBenchError):
    """A table, row or relevance judgement is wrong."""


class MediaError(DataError):
    """A picture or clip cannot be read; the message names the medium."""


class NotOffered(DataError):
    """The hub does not have, or does not give, what a task names; asking again is no use, other datasets may be had."""


class ModelError(UniteBenchError):
    """An embedder cannot be loaded, or broke its contract."""


class ItemFailed(ModelError):
    """One item could not be embedded; `item_id` names it."""

    def __init__(self, item_id: str, reason: str):
        self.item_id = item_id
        self.reason = reason
        super().__init__(f"item {item_id!r}: {reason}")


class ModelUnavailable(ModelError):
    """The process or server behind an embedder gives no answer, and that is no item's fault: asking again is no use."""


class CheckFailed(ModelError):
    """An embedder broke a rule of the conformance kit; the message gives the figure."""


class StoreError(UniteBenchError):
    """Stored vectors or results are damaged or from another version."""


class NotStored(UniteBenchError):
    """Vectors are not in the store, and the encoder may not make any."""


class UsageError(UniteBenchError):
    """The call makes no sense: an unknown name, a combination that cannot work."""
