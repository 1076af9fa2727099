"""Checks of how calls of `embed` hang together: order, batches, repetition, memory, and life in another process."""

from __future__ import annotations

import copy
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from unite_bench.embedders.contract import Rows
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.errors import CheckFailed
from unite_bench.items import RGB, File, Image, Item, Text
from unite_bench.testing import material, spawned
from unite_bench.testing.subject import Subject
from unite_bench.testing.verdict import Verdict, not_applicable, passed

PADDING = 60  # repetitions of a text, so that what stands beside it in a batch is padded


def order(subject: Subject) -> Verdict:
    """Row i belongs to item i: no row of a batch is nearer to the vector of another item than to that of its own."""
    for modality, items in subject.items().items():
        alone, together = subject.alone(items), subject.vectors(items)
        for n, row in enumerate(together):
            changes = subject.change([row] * len(items), alone)
            nearest = int(changes.argmin())
            if changes[n] > changes[nearest] + subject.same:
                raise CheckFailed(
                    f"{modality}: row {n} of a batch of {len(items)} is the vector of item {nearest} "
                    f"(change {changes[nearest]:.1e}; of item {n}: {changes[n]:.2g})"
                )
    return passed("every row belongs to its item")


def batch(subject: Subject) -> Verdict:
    """A vector does not depend on what else is in the batch, nor on how far it is padded."""
    greatest = (0.0, "nothing")
    for modality, items in subject.items().items():
        alone = subject.alone(items)
        for size, others in ((len(items), []), (2, []), (len(items) + 1, [_longer(items[0])])):
            groups = [items[n : n + size] for n in range(0, len(items), size)]
            rows = [row for group in groups for row in subject.vectors([*group, *others])[: len(group)]]
            greatest = max(greatest, (float(subject.change(alone, rows).max()), modality))
    said = f"greatest cosine change {greatest[0]:.1e} ({greatest[1]})"
    if greatest[0] > subject.same:
        raise CheckFailed(f"the batch changes the vector: {said}, allowed {subject.same:.0e}")
    return passed(said)


def determinism(subject: Subject) -> Verdict:
    """The same call twice gives the same vectors: bit by bit on the CPU, within the dtype's bound elsewhere."""
    greatest = 0.0
    for modality, items in subject.items().items():
        one, two = subject.vectors(items), subject.vectors(items)
        change = float(subject.change(one, two).max())
        if change > subject.same or (subject.device == "cpu" and not all(map(np.array_equal, one, two))):
            moved = [float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True) if a.shape == b.shape]
            raise CheckFailed(
                f"{modality}: the same call twice gives other vectors, by up to {max(moved, default=np.nan):.1e} "
                f"in a coordinate (cosine change {change:.1e})"
            )
        greatest = max(greatest, change)
    return passed("bit-equal" if subject.device == "cpu" else f"greatest cosine change {greatest:.1e}")


def stale_cache(subject: Subject) -> Verdict:
    """A vector follows from the content alone: other content under an old name is not given the old vector."""
    seen = []
    if "text" in subject.card.modalities:
        texts = (Item((Text(material.TEXTS[n]),)) for n in (0, 1))
        _differ(subject, "text", *(subject.vectors([item]) for item in texts))
        seen.append("text")
    if "image" in subject.card.modalities:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.png"
            rows = []
            for n in (0, 1):
                path.write_bytes(material.encoded(material.drawn(64, 64, n)))
                rows.append(subject.vectors([Item((Image(File(path)),))]))
        _differ(subject, "image", *rows)
        seen.append("image, a file whose content changed")
    return passed("; ".join(seen)) if seen else not_applicable("neither text nor image is declared by itself")


def mutation(subject: Subject) -> Verdict:
    """The items, their list and their pixels are as before the call, and a later call leaves earlier vectors alone."""
    for modality, items in subject.items().items():
        given = subject.shown(items)
        before, told = list(given), [repr(item) for item in given]
        first = subject.called(given)
        kept = copy.deepcopy(_detached(first))
        if len(before) != len(given) or any(a is not b for a, b in zip(before, given, strict=False)):
            raise CheckFailed(f"{modality}: embed changed the list of items that it was given")
        if told != [repr(item) for item in given]:
            raise CheckFailed(f"{modality}: embed changed an item that it was given")
        subject.raw(items[::-1])
        if not _equal(kept, first):
            raise CheckFailed(f"{modality}: a later call changed the vectors that an earlier one returned")
    if "image" in subject.card.modalities:
        shared = _Shared()
        subject.raw([Item((Image(shared),))])
        if not np.array_equal(shared.pixels, _Shared().pixels):
            raise CheckFailed("image: embed changed the pixels of a picture in place")
    return passed("items, list and pixels are as they were")


def spawn(subject: Subject) -> Verdict:
    """The embedder as constructed can be pickled, and gives the same vectors in a process that was started afresh."""
    if isinstance(subject.pickled, str):
        raise CheckFailed(f"the embedder cannot be pickled ({subject.pickled}); load weights in setup()")
    modality = min(subject.card.modalities, key=lambda name: (name.count("+"), name))
    items = subject.shown(subject.items()[modality])
    there = spawned.vectors(subject, items)
    change = float(subject.change(subject.vectors(items), there).max())
    if change > subject.same:
        raise CheckFailed(f"{modality}: another process gives other vectors, cosine change {change:.1e}")
    return passed(f"{len(subject.pickled):,} bytes pickled; greatest cosine change in another process {change:.1e}")


def kept(subject: Subject) -> Verdict:
    """Vectors can be stored: source and weight files are found, and the fingerprint is the same for a copy."""
    digest = fingerprint(subject.embedder, subject.dtype)
    if not isinstance(subject.pickled, str) and fingerprint(pickle.loads(subject.pickled), subject.dtype) != digest:
        raise CheckFailed("a copy of the embedder has another fingerprint, so its vectors would never be found again")
    return passed(f"fingerprint {digest[:12]}, {len(subject.embedder.weights())} weight files")


class _Shared:
    """A picture that hands out one and the same array."""

    name = "shared"
    digest = "0" * 64

    def __init__(self) -> None:
        self.pixels = material.drawn(64, 64, 2)

    def picture(self) -> RGB:
        return self.pixels


def _detached(output: Any) -> Any:
    """The output with its tensors taken off the graph that made them, which cannot be copied."""
    if isinstance(output, list | tuple):
        return [_detached(rows) for rows in output]
    return output.detach() if hasattr(output, "detach") else output


def _equal(one: Any, two: Any) -> bool:
    """Whether two outputs of a model are equal; NaN is another check's business."""
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(_equal, one, two))
    if not hasattr(one, "shape"):
        return bool(one == two)
    return bool(((one == two) | (one != one)).all())


def _longer(item: Item) -> Item:
    """The item with much more text, if it has any."""
    parts = (Text(f"{p.text} " * PADDING) if isinstance(p, Text) else p for p in item.parts)
    return Item(tuple(parts), item.instruction)


def _differ(subject: Subject, kind: str, one: list[Rows], two: list[Rows]) -> None:
    change = float(subject.change(one, two).max())
    if change <= subject.same:
        raise CheckFailed(
            f"{kind}: other content was given the vector of what came before (cosine change {change:.1e})"
        )
