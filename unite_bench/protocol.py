"""Settings of a run that may change a number. They are in the record and in the result's identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from unite_bench.embedders.base import EmbedderCard
from unite_bench.errors import UsageError
from unite_bench.items import FramePolicy, Item, Video, content_digest
from unite_bench.spec.model import Column, PerQuery, Side, Task

COLDEST = 0.003  # a dual softmax below this temperature underflows
SWITCHES = ("instructions", "frames", "reader", "compat", "dual_softmax", "on_error")


@dataclass(frozen=True)
class Settings:
    """How a task is run.

    `instructions`: the task's own wording, none at all, that of the model's card (`model`; candidates get none), or
    (`published`) instruction and text in one string as the code gives them that the task's paper was measured with.
    `frames`: those of the task, or (`native`) those of the model's card. `reader`: what decodes clips. `compat`: ranks as
    another harness counts them (`mmeb`: equal scores go to the positive; `trec`: to the greater id; both tell candidates
    apart by name). `dual_softmax`: the temperature at which scores are multiplied by their softmax over all queries, or
    None. `on_error`: stop at the first item that cannot be encoded, or count it as missed (up to the share `most_failed` a
    side). `limit`: only the first queries; such a result is partial. `first`: how many candidates of each query are kept for
    reading.
    """

    instructions: Literal["task", "none", "model", "published"] = "task"
    frames: Literal["controlled", "native"] = "controlled"
    reader: Literal["pyav", "decord"] = "pyav"
    compat: Literal["none", "mmeb", "trec"] = "none"
    dual_softmax: float | None = None
    on_error: Literal["fail", "skip"] = "fail"
    most_failed: float = 0.05
    limit: int | None = None
    first: int = 10
    device: str = "cpu"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dual_softmax is not None and not self.dual_softmax >= COLDEST:
            raise UsageError(f"the temperature of a dual softmax is at least {COLDEST:g}, not {self.dual_softmax:g}")
        if self.dual_softmax is not None and self.compat != "none":
            raise UsageError(f"dual softmax is no part of compat {self.compat}; give one of them")

    def read(self, task: Task) -> Task:
        """The task as this protocol reads it."""
        changed: dict[str, Any] = {} if self.compat == "none" else {"duplicates": "by-name"}
        return task.model_copy(update=changed).in_folder(task.folder)

    def shown(self, item: Item, native: FramePolicy | None, own: str | None = None) -> Item:
        """The item as this protocol shows it to a model whose card has the frames `native` and, for this role, the wording
        `own`."""
        if self.instructions in ("none", "model"):
            item = replace(item, instruction=own)
        item = item.as_published() if self.instructions == "published" and item.parts else replace(item, published=None)
        if self.frames == "native" and native is not None:
            parts = (part.under(native) if isinstance(part, Video) else part for part in item.parts)
            item = replace(item, parts=tuple(parts))
        return item

    def own_wording(self, task: Task, card: EmbedderCard) -> str | None:
        """What the model's card says to a query of this task, if this protocol asks for it."""
        if self.instructions != "model":
            return None
        return card.instructions.get(task.name, card.instructions.get(asked(task)))

    def not_for(self, task: Task, card: EmbedderCard) -> str:
        """Why a task cannot be run under this protocol by an embedder with this card, or ""."""
        if self.instructions == "published" and any(side.published is None for side in (task.queries, *task.corpora)):
            return "no published code is known to give its texts in a form of their own"
        if self.instructions == "model" and isinstance(task.queries.instruction, Column):
            return "its instructions differ from query to query, so no one wording can stand for them"
        if self.instructions == "model" and self.own_wording(task, card) is None:
            return f"the card of {card.name} has no wording of its own for {task.name} or {asked(task)}"
        if self.compat == "none" and self.dual_softmax is None:
            return ""
        what = f"compat {self.compat}" if self.dual_softmax is None else "dual softmax"
        other = [str(m) for m in task.measures if m.of_forms or m.of_quartets]
        if other:
            return f"{what} does not say what {other[0]} is"
        if self.dual_softmax is not None and isinstance(task.pool, PerQuery):
            return "dual softmax needs one pool for all queries"
        if self.dual_softmax is not None and card.similarity != "cosine":
            return f"dual softmax is of cosine scores, and these are {card.similarity} products"
        return ""

    def digest(self, task_protocol: str) -> str:
        """Digest of everything about the protocol that may change a number: the task's part and the run's."""
        return content_digest(
            task_protocol,
            self.instructions,
            self.frames,
            self.reader,
            self.compat,
            repr(self.dual_softmax),
            self.on_error,
            self.dtype,
            repr(self.limit),
        )


def asked(task: Task) -> str:
    """What is asked for what, as `text>image`; `any` stands for a side of several modalities."""

    def named(*sides: Side) -> str:
        names = {side.modality if isinstance(side.modality, str) else "any" for side in sides}
        return names.pop() if len(names) == 1 else "any"

    return f"{named(task.queries)}>{named(*task.corpora)}"


def switches(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a record's `protocol` that keep results apart. One that is not there yet had its default."""
    return {name: protocol.get(name, getattr(Settings(), name)) for name in SWITCHES}


def in_words(protocol: Mapping[str, Any]) -> str:
    """What a record's `protocol` departs from the default in, for titles and captions; "" where in nothing."""
    held = switches(protocol)
    said = [words for (name, value), words in _WORDS.items() if held[name] == value]
    if held["dual_softmax"] is not None:
        said.append(f"dual softmax at temperature {held['dual_softmax']:g} (transductive)")
    return ", ".join(said)


_WORDS = {
    ("instructions", "none"): "no instruction",
    ("instructions", "model"): "the model's own instructions",
    ("instructions", "published"): "texts as the published code gives them",
    ("frames", "native"): "native frames",
    ("reader", "decord"): "clips read by decord",
    ("compat", "mmeb"): "MMEB-compatible ranks",
    ("compat", "trec"): "ties in the order of trec_eval",
    ("on_error", "skip"): "items that cannot be encoded count as missed",
}
