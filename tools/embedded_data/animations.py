"""Animations: a recorded clip to its description and back, short and long. All of it is test data.

The takes come from the recording step (``recording.py``), which can't be reproduced; cutting is deterministic. From
each take the four seconds are kept in which most moves on most of the screen. Clips that stay near-black or near-still
are left out.
"""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from .animation_list import Animation, read_animations
from .packages import XSCREENSAVER, XSCREENSAVER_EXTRA, XSCREENSAVER_GL, XSCREENSAVER_GL_EXTRA, unpacked
from .recording import FRAME_RATE
from .rows import Row, fresh_folder, write_rows

FRAMES = 4 * FRAME_RATE
PACKAGES = (XSCREENSAVER, XSCREENSAVER_EXTRA, XSCREENSAVER_GL, XSCREENSAVER_GL_EXTRA)
LEAST_LIT = 0.012
"""Share of pixels brighter than 40 of 255, below which a clip counts as near-black; chosen on a contact sheet."""
LEAST_CHANGE = 0.5
"""Mean change of a pixel within one second, in levels of 255, below which a clip counts as still."""
LONG_WORDS = 15


@dataclass(frozen=True)
class Cut:
    """Where a clip starts in its take, in frames, and how lively it is."""

    start: int
    lit: float
    change: float

    @property
    def usable(self) -> bool:
        return self.lit >= LEAST_LIT and self.change >= LEAST_CHANGE


def find_cut(take: Path) -> Cut:
    """The liveliest window of a take."""
    with av.open(str(take)) as container:
        frames = [frame.to_ndarray(format="rgb24")[::4, ::4] for frame in container.decode(video=0)]
    return liveliest(np.stack(frames).astype(np.int16))


def liveliest(frames: npt.NDArray[np.int16]) -> Cut:
    """The window of ``FRAMES`` frames with the largest product of lit share and change. Frames: (n, h, w, 3)."""
    lit = (frames.max(axis=3) > 40).mean(axis=(1, 2))
    change = np.abs(frames[FRAME_RATE:] - frames[:-FRAME_RATE]).mean(axis=(1, 2, 3))
    cuts = []
    for start in range(0, len(frames) - FRAMES + 1, 6):
        window = slice(start, start + FRAMES)
        changed = change[start : start + FRAMES - FRAME_RATE]
        cuts.append(Cut(start, float(np.median(lit[window])), float(np.median(changed))))
    return max(cuts, key=lambda cut: (cut.usable, min(cut.lit, 0.3) * min(cut.change, 10.0), -cut.start))


def encode(take: Path, cut: Cut, target: Path) -> None:
    """Write the cut as H.264 in one thread, without metadata, so that the same take gives the same bytes."""
    window = f"trim=start_frame={cut.start}:end_frame={cut.start + FRAMES},setpts=PTS-STARTPTS"
    codec = ["-c:v", "libx264", "-preset", "slow", "-crf", "27", "-maxrate", "160k", "-bufsize", "320k"]
    plain = ["-pix_fmt", "yuv420p", "-threads", "1", "-g", "24", "-an", "-map_metadata", "-1", "-fflags", "+bitexact"]
    plain += ["-flags:v", "+bitexact", "-movflags", "+faststart"]
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", str(take), "-vf", window]
    subprocess.run([*command, *codec, *plain, str(target)], check=True)


def build(work: Path, test: Path, train: Path) -> None:
    """Write ``test/data`` from the takes in ``work/recordings``; there is no train side.

    Raises ``FileNotFoundError`` where the recording step hasn't been run.
    """
    takes = work / "recordings"
    recorded = [animation for animation in read_animations() if (takes / f"{animation.saver}.mp4").exists()]
    if not recorded:
        raise FileNotFoundError(f"no takes in {takes}: run tools/build_embedded_data.py --record first")
    data = fresh_folder(test / "data")
    (data / "clips").mkdir()
    kept = []
    for animation in recorded:
        cut = find_cut(takes / f"{animation.saver}.mp4")
        if cut.usable:
            encode(takes / f"{animation.saver}.mp4", cut, data / clip_name(animation))
            kept.append(animation)
    write_rows(data / "animations.jsonl", (_row(a) | {"description": a.short} for a in kept))
    told = [animation for animation in kept if animation.long]
    write_rows(data / "long_animations.jsonl", (_row(a) | {"description": a.long} for a in told))
    write_rows(data / "credits.jsonl", credits(kept, [unpacked(package, work) for package in PACKAGES]))


def clip_name(animation: Animation) -> str:
    return f"clips/{animation.saver}.mp4"


def _row(animation: Animation) -> Row:
    return {"id": animation.saver, "video": clip_name(animation)}


def credits(animations: Sequence[Animation], packages: Sequence[Path]) -> list[Row]:
    """Who wrote each animation, from the package's own description of it."""
    written = {}
    for package in packages:
        for path in package.glob("usr/share/xscreensaver/config/*.xml"):
            text = ElementTree.parse(path).getroot().findtext("_description") or ""
            found = re.search(r"Written by\s+(.+?)\.?\s*$", " ".join(text.split()))
            written[path.stem] = found.group(1) if found else ""
    return [{"id": a.saver, "written_by": written.get(a.saver, "")} for a in animations]
