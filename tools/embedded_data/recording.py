"""Records the allowed screen savers under a virtual display.

Run with ``python tools/build_embedded_data.py --work DIR --record``. A saver draws from the clock and from random
numbers that nobody can seed, so a recording can't be reproduced byte by byte. It is therefore a step of its own: it
leaves takes in ``WORK/recordings``; cutting clips out of the same takes is deterministic (see ``animations.py``).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from .animation_list import read_animations
from .stems import word_set

SAVERS = Path("/usr/libexec/xscreensaver")
SCREEN = "640x480"
FRAME_RATE = 12
FIRST_DISPLAY = 71

QUIET_OPTIONS: dict[str, tuple[str, ...]] = {
    "juggler3d": ("--no-describe",),
    "molecule": ("--no-titles", "--no-labels"),
    "polyhedra": ("--no-titles",),
    "tangram": ("--no-labels",),
}
"""Options that keep names and captions out of the picture: a model should see the motion, not read the answer."""


SLOW_STARTERS = word_set(
    "atlantis coral demon epicycle hydrostat loop piecewise providence rorschach squirtorus substrate voronoi"
)
"""Savers that show little in their first seconds."""


@dataclass(frozen=True)
class Take:
    """How long a saver may draw before the recording starts, and how long the recording lasts, in seconds."""

    warm_up: float = 5.0
    length: float = 10.0

    @staticmethod
    def of(saver: str) -> Take:
        return Take(warm_up=25.0) if saver in SLOW_STARTERS else Take()


@contextmanager
def virtual_display(number: int) -> Iterator[str]:
    """An X server without a screen or a pointer; yields its display name and ends it afterwards."""
    name = f":{number}"
    server = subprocess.Popen(
        ["Xvfb", name, "-screen", "0", f"{SCREEN}x24", "-nolisten", "tcp"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(1.5)
    try:
        yield name
    finally:
        server.terminate()
        server.wait()


def record(saver: str, display: str, target: Path, take: Take) -> None:
    """Film one saver in the root window, scaled to half size, nearly without loss."""
    environment = {**os.environ, "DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1"}
    drawing = subprocess.Popen(
        [str(SAVERS / saver), "--root", *QUIET_OPTIONS.get(saver, ())],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(take.warm_up)
        command = ["ffmpeg", "-loglevel", "error", "-y"]
        source = ["-f", "x11grab", "-draw_mouse", "0", "-framerate", str(FRAME_RATE), "-video_size", SCREEN]
        picture = ["-vf", "scale=320:240:flags=area", "-pix_fmt", "yuv420p", "-c:v", "libx264"]
        quality = ["-preset", "veryfast", "-crf", "12"]
        subprocess.run(
            [*command, *source, "-i", display, "-t", str(take.length), *picture, *quality, str(target)],
            check=True,
            timeout=take.length + 60,
        )
    finally:
        drawing.kill()
        drawing.wait()


def record_all(work: Path, savers: Sequence[str] = (), displays: int = 3) -> None:
    """Record every allowed saver (or the named ones) that has no take yet, on several displays at a time.

    One display is started for each take: a saver that changes the colours or the window of the display can't
    spoil the next take.
    """
    folder = work / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    numbers = count(FIRST_DISPLAY)
    allowed = [animation.saver for animation in read_animations()]
    wanted = [name for name in (savers or allowed) if not (folder / f"{name}.mp4").exists()]

    def film(job: tuple[int, str]) -> None:
        number, saver = job
        unfinished = folder / f"{saver}.part.mp4"
        with virtual_display(number) as display:
            record(saver, display, unfinished, Take.of(saver))
        unfinished.rename(folder / f"{saver}.mp4")

    with ThreadPoolExecutor(displays) as pool:
        list(pool.map(film, zip(numbers, wanted, strict=False)))
