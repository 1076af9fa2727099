"""Drawing SVG files, putting pictures on white, and telling near-duplicates by a perceptual hash."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

Key = TypeVar("Key", bound=Hashable)

LONG_SIDE = 160
"""Pixels on the long side of a finished picture."""
PAGE = 400
"""Pixels on the long side of the page that a drawing is first drawn on."""
INK = 245
"""Darker than this is no longer paper."""


def draw_svg(svg: bytes, page: int = PAGE) -> Image.Image | None:
    """Draw an SVG file on white; ``None`` where rsvg-convert can't read it or takes longer than 20 seconds."""
    command = ["rsvg-convert", "--keep-aspect-ratio", "-w", str(page), "-h", str(page)]
    try:
        done = subprocess.run([*command, "-b", "white"], input=svg, capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode or not done.stdout:
        return None
    with Image.open(io.BytesIO(done.stdout)) as picture:
        return picture.convert("RGB")


def trim(picture: Image.Image, long_side: int = LONG_SIDE) -> Image.Image | None:
    """Cut a picture to what is drawn on it and scale that; ``None`` for a blank one.

    Many drawings are a small spot on a large page. Blank means that less than one pixel in 150 of the cut is ink, or
    that the cut is smaller than a twentieth of the page.
    """
    box = ink_box(picture)
    if box is None or max(box[2] - box[0], box[3] - box[1]) < PAGE // 20:
        return None
    cut = picture.crop(box)
    if (np.asarray(cut.convert("L")) < INK).mean() < 1 / 150:
        return None
    width, height = cut.size
    scale = (long_side - 4) / max(width, height)
    small = cut.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
    shortest = long_side // 4
    size = max(shortest, small.width + 4), max(shortest, small.height + 4)
    paper = Image.new("RGB", size, "white")
    paper.paste(small, ((size[0] - small.width) // 2, (size[1] - small.height) // 2))
    return paper


def ink_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Left, upper, right and lower bound of what is darker than paper."""
    colours = np.asarray(picture.convert("RGB")).min(axis=2)
    rows, columns = np.nonzero(colours < INK)
    if not len(rows):
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def draw_all(sources: Mapping[str, Path], cache: Path, workers: int = 2) -> dict[str, Path]:
    """Draw and trim many SVG files into ``cache`` as PNG; returns the paths of those that aren't blank, by key."""
    cache.mkdir(parents=True, exist_ok=True)

    def draw(item: tuple[str, Path]) -> tuple[str, Path | None]:
        key, source = item
        target, failed = cache / f"{key}.png", cache / f"{key}.failed"
        if target.exists() or failed.exists():
            return key, target if target.exists() else None
        page = draw_svg(source.read_bytes())
        picture = None if page is None else trim(page)
        if picture is None:
            failed.touch()
            return key, None
        picture.save(target)
        return key, target

    with ThreadPoolExecutor(workers) as pool:
        return {key: path for key, path in pool.map(draw, sources.items()) if path is not None}


def on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB with its transparent parts on white."""
    layered = picture.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")


def perceptual_hash(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """A difference hash: the signs of brightness steps to the right and downwards on a 16 x 16 grid.

    Returns 1,024 bits as (128,) uint8: steps up and steps down are told apart, flat places are 0 in both. The
    picture's empty border is cut off first, so that the same drawing elsewhere on its page gets the same hash.
    """
    cut = picture.crop(ink_box(picture))
    small = np.asarray(cut.convert("L").resize((17, 17), Image.Resampling.BOX), dtype=np.int16)
    right, down = small[:16, 1:] - small[:16, :16], small[1:, :16] - small[:16, :16]
    return np.packbits(np.concatenate([step.ravel() for step in (right > 4, right < -4, down > 4, down < -4)]))


def near_pairs(hashes: npt.NDArray[np.uint8], threshold: float) -> list[tuple[int, int, float]]:
    """All pairs (i, j, distance) with i < j and a distance of at most ``threshold``.

    The distance is Jaccard's: of the bits set in either hash, the share that differ. So two plain shapes with hardly
    any steps don't count as alike only because both are mostly flat.
    """
    pairs = []
    for i in range(len(hashes) - 1):
        differing = np.bitwise_count(hashes[i + 1 :] ^ hashes[i]).sum(axis=1)
        either = np.bitwise_count(hashes[i + 1 :] | hashes[i]).sum(axis=1)
        distances = differing / np.maximum(either, 1)
        pairs += [(i, i + 1 + int(j), float(distances[j])) for j in np.flatnonzero(distances <= threshold)]
    return pairs


def families(keys: Iterable[Key], links: Iterable[tuple[Key, Key]]) -> dict[Key, Key]:
    """Connected components: each key with the first key (in the given order) of its component."""
    order = {key: rank for rank, key in enumerate(keys)}
    parent: dict[Key, Key] = {key: key for key in order}

    def root(key: Key) -> Key:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for first, second in links:
        low, high = sorted((root(first), root(second)), key=order.__getitem__)
        parent[high] = low
    return {key: root(key) for key in parent}
