"""Checks of unusual input: empty and very long texts, odd pictures, odd clips, and media that cannot be decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from unite_bench import media
from unite_bench.errors import CheckFailed, UniteBenchError
from unite_bench.items import Blob, Image, Item, Part, Text, Video
from unite_bench.testing import material
from unite_bench.testing.subject import Subject
from unite_bench.testing.verdict import Check, Verdict, not_applicable, passed

LONG_WORDS = 5000


def empty_text(subject: Subject) -> Verdict:
    """An empty text has a vector."""
    return _embedded(subject, Text(""))


def long_text(subject: Subject) -> Verdict:
    """A text of 5,000 words has a vector: cut by the model, if it must be, but no error and no NaN."""
    words = " ".join(material.TEXTS).split()
    return _embedded(subject, Text(" ".join((words * LONG_WORDS)[:LONG_WORDS])))


def decoded_like(name: str, data: Callable[[], bytes]) -> Check:
    """A check that a picture in some form gets the vector of the same pixels as plain PNG."""

    def check(subject: Subject) -> Verdict:
        odd = Image(Blob(data(), name))
        plain = Image(Blob(material.encoded(media.pixels(odd)), f"{name}.png"))
        item = _with(subject, odd)
        if item is None:
            return not_applicable("no pictures are declared")
        same = _with(subject, plain)
        assert same is not None
        change = float(subject.change(subject.vectors([item]), subject.vectors([same]))[0])
        if change > subject.same:
            raise CheckFailed(f"{name}: decoded otherwise than by media.pixels (cosine change {change:.2g})")
        return passed(f"as the same pixels in PNG (cosine change {change:.1e})")

    check.__doc__ = f"A picture that is {name} gets the vector of the same pixels as plain PNG."
    return check


def _one_pixel() -> bytes:
    return material.encoded(np.full((1, 1, 3), (200, 30, 30), dtype=np.uint8))


def _rgba() -> bytes:
    pixels = material.drawn(64, 48, 1)
    clear = np.where(np.mgrid[0:48, 0:64][1][..., None] < 32, 0, 255).astype(np.uint8)
    return material.encoded(np.concatenate([pixels, clear], axis=2))


def _cmyk() -> bytes:
    return material.encoded(material.drawn(64, 48, 2), "JPEG", "CMYK", quality=95)


def _sixteen_bit() -> bytes:
    ramp = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    return material.encoded(ramp)  # type: ignore[arg-type]  # Pillow takes uint16 as 16-bit grey


def _exif() -> bytes:
    from PIL import Image as Pillow

    exif = Pillow.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    return material.encoded(material.drawn(96, 32, 3), "JPEG", quality=95, exif=exif)


def _animated() -> bytes:
    from PIL import Image as Pillow

    later = [Pillow.fromarray(material.drawn(64, 48, n)) for n in (1, 2)]
    return material.encoded(material.drawn(64, 48, 0), "GIF", save_all=True, append_images=later, duration=100)


PICTURES: dict[str, Check] = {
    "image-1x1": decoded_like("of one pixel", _one_pixel),
    "image-rgba": decoded_like("RGBA with transparency", _rgba),
    "image-cmyk": decoded_like("CMYK", _cmyk),
    "image-16-bit": decoded_like("16-bit grey", _sixteen_bit),
    "image-exif": decoded_like("rotated by EXIF", _exif),
    "image-animated": decoded_like("animated", _animated),
}


def one_frame_video(subject: Subject) -> Verdict:
    """A clip of a single frame has a vector."""
    return _embedded(subject, Video(Blob(material.movie(material.moving(0)[:1]), "one-frame.mp4")))


def variable_rate_video(subject: Subject) -> Verdict:
    """A clip whose frames are shown for unequal times has a vector."""
    seconds = [n * n / 40 for n in range(material.FRAMES)]
    return _embedded(subject, Video(Blob(material.movie(material.moving(1), seconds), "variable-rate.mp4")))


def corrupt_media(subject: Subject) -> Verdict:
    """Media that cannot be decoded raise an error, and the model still gives the same vectors afterwards."""
    whole = material.picture(0)
    assert isinstance(whole.medium, Blob)
    (clip,) = subject.shown([Item((material.clip(0),))])[0].parts
    assert isinstance(clip, Video)
    broken: dict[str, Part] = {
        "a truncated picture": Image(Blob(whole.medium.data[: len(whole.medium.data) // 2], "truncated.png")),
        "a page named .jpg": Image(Blob(b"<html>not found</html>", "no-picture.jpg")),
        "a page named .mp4": replace(clip, medium=Blob(b"<html>not found</html>", "no-clip.mp4")),
    }
    refused = []
    for name, part in broken.items():
        item = _with(subject, part)
        if item is None:
            continue
        good = subject.items()[item.modality][:2]
        before = subject.vectors(good)
        if _gets_a_vector(subject, [*good, item]):
            raise CheckFailed(f"{name} cannot be decoded, but got a vector")
        refused.append(name)
        change = float(subject.change(before, subject.vectors(good)).max())
        if change > subject.same:
            raise CheckFailed(f"after {name}, good items get other vectors (cosine change {change:.1e})")
    return passed(f"refused: {', '.join(refused)}") if refused else not_applicable("no pictures or clips are declared")


def _gets_a_vector(subject: Subject, items: list[Item]) -> bool:
    try:
        subject.vectors(items)
    except UniteBenchError:
        return False
    return True


def _embedded(subject: Subject, part: Part) -> Verdict:
    """Passed if the part, in the smallest declared modality that has its kind, gets a vector that can be ranked."""
    item = _with(subject, part)
    if item is None:
        return not_applicable(f"no modality with {part.kind} is declared")
    (rows,) = subject.vectors([item])
    if subject.late:
        return passed(f"{len(rows)} tokens")
    return passed(f"a vector of length {float(np.linalg.norm(rows)):.4g}")


def _with(subject: Subject, part: Part) -> Item | None:
    """The part as an item of the smallest declared modality that has its kind; other parts are filled in."""
    modality = subject.modality_with(part.kind)
    if modality is None:
        return None
    filled = material.items(modality)[0].parts
    return Item(tuple(part if other.kind == part.kind else other for other in filled))
