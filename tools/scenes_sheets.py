"""Contact sheets of scenes tasks for the docs: queries with their positives (green) and some negatives (red).

    python tools/scenes_sheets.py [TASK ...]      # writes docs/scenes/TASK.png

What a task asks is seen at a glance here; look at a task's sheet before its numbers are believed.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from unite_bench import media
from unite_bench.items import Image, Item, Text, Video
from unite_bench.sources.build import TaskData, build
from unite_bench.spec.catalogue import load_suite, load_task, tasks_of

OUT = Path(__file__).parents[1] / "docs" / "scenes"
SUITE = "embedded-diagnostic"
ROWS = 6
STILL, FRAME = 112, 56  # pixels of a picture, and of a frame of a clip
RIGHT, WRONG = (20, 140, 60), (190, 30, 30)


def sheet(name: str) -> Pillow.Image:
    """The first queries of a task; of quartets one row each, of several wordings the first."""
    data = build(load_task(name))
    step = 2 if data.quartets is not None else 5 if "wording" in data.slices else 1
    rows = [_row(data, n) for n in range(0, min(ROWS * step, len(data.queries)), step)]
    page = Pillow.new("RGB", (max(row.width for row in rows), sum(row.height + 6 for row in rows)), "white")
    top = 0
    for row in rows:
        page.paste(row, (0, top))
        top += row.height + 6
    return page.quantize(128)


def _row(data: TaskData, n: int) -> Pillow.Image:
    said = _said(data.queries[n])
    if data.quartets is not None:
        said = f"{said}\n(the other: {_said(data.queries[n + 1])})"
    cells = [_text(said, 190)]
    cells += [_media(part, "white") for part in data.queries[n].parts if not isinstance(part, Text)]
    right = data.qrels[n].tolist()
    pool = data.pools[n].tolist() if data.pools is not None else range(len(data.candidates))
    near = sorted((k for k in pool if k not in right), key=lambda k: abs(k - right[0]))[:3]
    cells += [_item(data.candidates[k], RIGHT) for k in right[:2]] + [_item(data.candidates[k], WRONG) for k in near]
    row = Pillow.new("RGB", (sum(cell.width + 6 for cell in cells), max(cell.height for cell in cells)), "white")
    left = 0
    for cell in cells:
        row.paste(cell, (left, 0))
        left += cell.width + 6
    return row


def _said(item: Item) -> str:
    """The instruction in brackets, and the text."""
    return "\n".join(said for said in (item.instruction and f"[{item.instruction}]", item.text) if said)


def _item(item: Item, colour: tuple[int, int, int]) -> Pillow.Image:
    """A candidate: its media, its text under them."""
    cells = [_media(part, colour) for part in item.parts if not isinstance(part, Text)]
    cells += [_framed(_text(item.text, 170), colour)] if item.text is not None else []
    pile = Pillow.new("RGB", (max(cell.width for cell in cells), sum(cell.height for cell in cells)), "white")
    top = 0
    for cell in cells:
        pile.paste(cell, (0, top))
        top += cell.height
    return pile


def _media(part: Image | Video, colour: tuple[int, int, int] | str) -> Pillow.Image:
    if isinstance(part, Image):
        return _framed(Pillow.fromarray(media.pixels(part)).resize((STILL, STILL), Pillow.Resampling.BOX), colour)
    frames = [Pillow.fromarray(f).resize((FRAME, FRAME), Pillow.Resampling.BOX) for f in media.frames(part).pixels]
    strip = np.concatenate(
        [np.pad(np.asarray(f), ((0, 0), (0, 1), (0, 0)), constant_values=150) for f in frames], axis=1
    )
    return _framed(Pillow.fromarray(strip), colour)


def _framed(picture: Pillow.Image, colour: tuple[int, int, int] | str) -> Pillow.Image:
    out = Pillow.new("RGB", (picture.width + 6, picture.height + 6), colour)
    out.paste(picture, (3, 3))
    return out


def _text(text: str, width: int) -> Pillow.Image:
    lines = [line for block in text.split("\n") for line in textwrap.wrap(block, width // 6)]
    box = Pillow.new("RGB", (width, 13 * len(lines) + 6), "white")
    ImageDraw.Draw(box).multiline_text((3, 2), "\n".join(lines), fill="black", font_size=10, spacing=2)
    return box


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or [task.name for task in tasks_of(load_suite(SUITE))]:
        path = OUT / f"{name}.png"
        sheet(name).save(path, optimize=True)
        print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
