"""Settings of a run that may change a number. They are in the record and in the result's identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from unite_bench.items import FramePolicy, Item, Video, content_digest


@dataclass(frozen=True)
class Settings:
    """How a task is run.

    `instructions`: the task's own wording, or none at all. `frames`: those of the task, or (`native`) those of the model's
    card. `reader`: what decodes clips. `on_error`: stop at the first item that cannot be encoded, or
    count it as missed (up to the share `most_failed` a side). `limit`: only the first queries; such a result is partial.
    """

    instructions: Literal["task", "none"] = "task"
    frames: Literal["controlled", "native"] = "controlled"
    reader: Literal["pyav", "decord"] = "pyav"
    on_error: Literal["fail", "skip"] = "fail"
    most_failed: float = 0.05
    limit: int | None = None
    device: str = "cpu"
    dtype: str = "float32"

    def shown(self, item: Item, native: FramePolicy | None) -> Item:
        """The item as this protocol shows it to a model whose card has the frames `native`."""
        if self.instructions == "none":
            item = replace(item, instruction=None)
        if self.frames == "native" and native is not None:
            parts = (part.under(native) if isinstance(part, Video) else part for part in item.parts)
            item = replace(item, parts=tuple(parts))
        return item

    def digest(self, task_protocol: str) -> str:
        """Digest of everything about the protocol that may change a number: the task's part and the run's."""
        return content_digest(
            task_protocol,
            self.instructions,
            self.frames,
            self.reader,
            self.on_error,
            self.dtype,
            repr(self.limit),
        )
