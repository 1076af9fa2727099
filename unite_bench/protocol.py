"""Settings of a run that may change a number. They are in the record and in the result's identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from unite_bench.items import Item, content_digest


@dataclass(frozen=True)
class Settings:
    """How a task is run.

    `instructions`: the task's own wording, or none at all. `on_error`: stop at the first item that cannot be encoded, or
    count it as missed (up to the share `most_failed` a side). `limit`: only the first queries; such a result is partial.
    """

    instructions: Literal["task", "none"] = "task"
    frames: Literal["controlled"] = "controlled"
    on_error: Literal["fail", "skip"] = "fail"
    most_failed: float = 0.05
    limit: int | None = None
    device: str = "cpu"
    dtype: str = "float32"

    def shown(self, item: Item) -> Item:
        """The item as this protocol shows it to a model."""
        return replace(item, instruction=None) if self.instructions == "none" else item

    def digest(self, task_protocol: str) -> str:
        """Digest of everything about the protocol that may change a number: the task's part and the run's."""
        return content_digest(
            task_protocol, self.instructions, self.frames, self.on_error, self.dtype, repr(self.limit)
        )
