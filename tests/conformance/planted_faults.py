"""An honest adapter of twenty lines, and the same adapter with one fault each; `CAUGHT_BY` names the check for it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from unite_bench import Embedder, EmbedderCard, media
from unite_bench.errors import MediaError
from unite_bench.items import Blob, File, Item, Role


class Honest(Embedder):
    """Hashed words beside the mean colour."""

    card = EmbedderCard(
        name="honest", modalities={"text", "image", "image+text"}, dim=67, role_matters=False, normalised=True
    )

    def embed(self, items: Sequence[Item], role: Role) -> Any:
        rows = np.stack([self.row(item) for item in items])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def row(self, item: Item) -> Any:
        row = np.zeros(67)
        row[0] = 0.1
        for word in f"{item.instruction or ''} {item.text or ''}".split():
            row[1 + zlib.crc32(word.encode()) % 63] += 1
        for part in item.parts:
            if part.kind == "video":
                raise ValueError("clips are not supported")
            if part.kind == "image":
                row[64:] += media.pixels(part).mean(axis=(0, 1)) / 255
        return row


class WrongOrder(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return super().embed(sorted(items, key=lambda item: len(item.text or item.digest)), role)[::-1]


class Unnormalised(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return 3 * super().embed(items, role)


class IgnoresInstruction(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return super().embed([replace(item, instruction=None) for item in items], role)


class IgnoresTheWording(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return super().embed([replace(item, instruction=item.instruction and "instructed") for item in items], role)


class BatchDependent(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        rows = super().embed(items, role)
        rows -= 0.1 * rows.mean(axis=0)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Float16Overflow(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            rows = (1e5 * super().embed(items, role)).astype(np.float16)
            return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class SwallowsImages(Honest):
    def row(self, item: Item) -> Any:
        parts = tuple(part for part in item.parts if part.kind == "text")
        return super().row(replace(item, parts=parts or item.parts))


class StaleCache(Honest):
    """Remembers pictures by their path."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}

    def row(self, item: Item) -> Any:
        medium = getattr(item.parts[0], "medium", None)
        if not isinstance(medium, File):
            return super().row(item)
        return self.seen.setdefault(medium.name, super().row(item))


class WrongDimension(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return super().embed(items, role)[:, :64]


class Nondeterministic(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        rows = super().embed(items, role)
        return rows + np.random.default_rng().normal(0, 1e-6, rows.shape)


class Mutates(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        rows = super().embed(items, role)
        items.reverse()  # type: ignore[attr-defined]
        return rows


class MergesEqualItems(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return super().embed(list({item.digest: item for item in items}.values()), role)


class MutatesPixels(Honest):
    def row(self, item: Item) -> Any:
        row = super().row(item)
        for part in item.parts:
            medium = getattr(part, "medium", None)
            if medium is not None and not isinstance(medium, Blob | File):
                medium.picture()[:] = 0
        return row


class ReusesItsBuffer(Honest):
    def __init__(self) -> None:
        self.buffer = np.zeros((64, 67))

    def embed(self, items: Sequence[Item], role: Role) -> Any:
        self.buffer[: len(items)] = super().embed(items, role)
        return self.buffer[: len(items)]


class RoleDependent(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return super().embed([replace(item, instruction=role) for item in items], role)


class Integers(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        return np.rint(127 * super().embed(items, role)).astype(np.int8)


class Collapsed(Honest):
    def embed(self, items: Sequence[Item], role: Role) -> Any:
        rows = super().embed(items, role) * 1e-4 + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class TurnsClipsIntoTexts(Honest):
    def row(self, item: Item) -> Any:
        return super().row(replace(item, parts=tuple(part for part in item.parts if part.kind != "video")))


class NoEmptyTexts(Honest):
    def row(self, item: Item) -> Any:
        if item.text == "":
            raise IndexError("list index out of range")
        return super().row(item)


class ShortTextsOnly(Honest):
    def row(self, item: Item) -> Any:
        if len((item.text or "").split()) > 512:
            raise IndexError("index 512 is out of bounds")
        return super().row(item)


class NotPicklable(Honest):
    def __init__(self) -> None:
        self.activation = lambda x: x


class LostWeights(Honest):
    def weights(self) -> Sequence[Path]:
        return [Path("model.safetensors")]


class ForgetsItsArguments(Honest):
    def __init__(self, scale: Any = None) -> None:
        self.scale = scale

    def __reduce__(self) -> Any:
        return type(self), (object(),)


class IgnoresExif(Honest):
    """Decodes by itself, and only weighs the left half, so that a turn of the picture shows."""

    def row(self, item: Item) -> Any:
        row = super().row(item)
        for part in item.parts:
            if part.kind == "image" and isinstance(part.medium, Blob):
                pixels = np.asarray(Pillow.open(io.BytesIO(part.medium.data)).convert("RGB"))
                row[64:] = pixels[:, : max(1, pixels.shape[1] // 2)].mean(axis=(0, 1)) / 255
        return row


class GuessesBrokenPictures(Honest):
    def row(self, item: Item) -> Any:
        try:
            return super().row(item)
        except MediaError:
            return super().row(replace(item, parts=()))


class BlindToFrameOrder(Honest):
    card = replace(Honest.card, name="blind", modalities={"video"}, frame_order_matters=True)

    def row(self, item: Item) -> Any:
        row = np.zeros(67)
        for word in (item.instruction or "").split():
            row[1 + zlib.crc32(word.encode()) % 63] += 1
        row[64:] = media.frames(item.parts[0]).pixels.mean(axis=(0, 1, 2)) / 255  # type: ignore[arg-type]
        return row


CAUGHT_BY: dict[type[Honest], str] = {
    WrongOrder: "order",
    Unnormalised: "normalised",
    IgnoresInstruction: "instruction",
    BatchDependent: "batch",
    Float16Overflow: "finite",
    SwallowsImages: "fused",
    StaleCache: "stale-cache",
    WrongDimension: "dimension",
    Nondeterministic: "determinism",
    Mutates: "mutation",
    # more than the ten
    IgnoresTheWording: "instruction",
    MergesEqualItems: "dimension",
    MutatesPixels: "mutation",
    ReusesItsBuffer: "mutation",
    RoleDependent: "role",
    Integers: "dtype",
    Collapsed: "collapse",
    TurnsClipsIntoTexts: "undeclared",
    NoEmptyTexts: "empty-text",
    ShortTextsOnly: "long-text",
    NotPicklable: "spawn",
    LostWeights: "fingerprint",
    ForgetsItsArguments: "fingerprint",
    IgnoresExif: "image-exif",
    GuessesBrokenPictures: "corrupt-media",
    BlindToFrameOrder: "frame-order",
}
