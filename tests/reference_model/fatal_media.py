"""Media that fail in ways of their own, importable by a process that decodes."""

from __future__ import annotations

import os
from dataclasses import dataclass

from unite_bench.items import RGB, content_digest


@dataclass(frozen=True)
class Fatal:
    """A picture whose decoding ends the process, as a broken library would."""

    seed: int = 0

    @property
    def name(self) -> str:
        return f"fatal-{self.seed}.png"

    @property
    def digest(self) -> str:
        return content_digest("fatal", str(self.seed))

    def picture(self) -> RGB:
        os._exit(7)


@dataclass(frozen=True)
class Faulty:
    """A picture whose decoding raises something that nobody foresaw."""

    name: str = "faulty"
    digest: str = "f" * 64

    def picture(self) -> RGB:
        raise ZeroDivisionError("a defect of the program")
