"""Checks of what changes a vector: every part, the instruction, the role and the order of frames, as the card says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unite_bench.embedders.contract import as_rows, faults_of_items
from unite_bench.errors import CheckFailed, ModelError
from unite_bench.items import Item, Video
from unite_bench.testing import material
from unite_bench.testing.subject import Subject
from unite_bench.testing.verdict import Verdict, not_applicable, passed

ASKED = ("text", "image", "video", "image+text", "text+video", "image+video")


def fused(subject: Subject) -> Verdict:
    """The vector of a fused item differs from those of its parts, and changes with every one of them."""
    smallest = (2.0, "")
    for name in sorted(name for name in subject.card.modalities if "+" in name):
        whole, other = material.items(name)[:2]
        pairs = list(zip(whole.parts, other.parts, strict=True))
        compared = {
            f"another {kind}": Item(tuple(o if o.kind == kind else p for p, o in pairs)) for kind in name.split("+")
        }
        compared |= {f"its {p.kind} alone": Item((p,)) for p in whole.parts if p.kind in subject.card.modalities}
        vector = subject.vectors([whole])
        for what, item in compared.items():
            change = float(subject.change(vector, subject.vectors([item]))[0])
            if change <= subject.same:
                raise CheckFailed(f"{name}: its vector is that of {what} (cosine change {change:.1e})")
            smallest = min(smallest, (change, f"{name} and {what}"))
    if not smallest[1]:
        return not_applicable("no fused modality is declared")
    return passed(f"smallest change {smallest[0]:.2g} ({smallest[1]})")


def instruction(subject: Subject) -> Verdict:
    """Two wordings give two vectors in some modality if the card says that an instruction can change it; if it denies
    that, an instruction changes nothing at all.
    """
    matters, greatest = subject.card.instruction_matters, (0.0, "")
    for name in sorted(subject.card.modalities):
        one, two = (subject.vectors(material.items(name, wording)) for wording in material.INSTRUCTIONS)
        changes = subject.change(one, two)
        if not matters:
            changes = np.maximum(changes, subject.change(subject.vectors(material.items(name)), one))
        greatest = max(greatest, (float(changes.max()), name))
    return _as_declared(subject, "instruction", matters, *greatest)


def role(subject: Subject) -> Verdict:
    """The role changes the vector of an item, bare or with an instruction, if and only if the card says that it can."""
    wordings = (None, material.INSTRUCTIONS[0]) if subject.card.instruction_matters else (None,)
    greatest = (0.0, "")
    for name in sorted(subject.card.modalities):
        for wording in wordings:
            items = material.items(name, wording)
            rows = (subject.vectors(items, "query"), subject.vectors(items, "candidate"))
            greatest = max(greatest, (float(subject.change(*rows).max()), name))
    return _as_declared(subject, "role", subject.card.role_matters, *greatest)


def frame_order(subject: Subject) -> Verdict:
    """Frames in reverse change the vector of a clip if the card says that their order matters; if it denies it, not."""
    name = subject.modality_with("video")
    if name is None:
        return not_applicable("no clips are declared")
    if subject.card.frame_order_matters is None:
        return not_applicable("the card does not say whether the order of frames matters")
    items = subject.shown(material.items(name))
    if all(len(p.indices or ()) < 2 for item in items for p in item.parts if isinstance(p, Video)):
        return not_applicable("the model is shown one frame only")
    change = float(subject.change(subject.vectors(items), subject.vectors([_reversed(item) for item in items])).max())
    return _as_declared(subject, "frame_order", subject.card.frame_order_matters, change, name)


def undeclared(subject: Subject) -> Verdict:
    """What the card does not declare is refused by the adapter itself, not quietly turned into something else."""
    asked = [name for name in ASKED if name not in subject.card.modalities]
    for name in asked:
        items = material.items(name)[:2]
        try:
            rows = as_rows(subject.raw(items), len(items), subject.card)
        except ModelError:
            continue
        if not faults_of_items(rows):
            raise CheckFailed(
                f"{name}: the card does not declare it, but embed returned vectors; raise an error instead"
            )
    return passed(f"refused: {', '.join(asked)}") if asked else not_applicable("every modality is declared")


def _reversed(item: Item) -> Item:
    parts = (replace(p, indices=(p.indices or ())[::-1]) if isinstance(p, Video) else p for p in item.parts)
    return replace(item, parts=tuple(parts))


def _as_declared(subject: Subject, what: str, declared: bool, change: float, modality: str) -> Verdict:
    """Passed if a change was seen if and only if it was declared."""
    seen = change > subject.same
    figure = f"greatest cosine change {change:.1e}" + (f" ({modality})" if seen else "")
    if seen and not declared:
        raise CheckFailed(f"the card says {what}_matters=False, but the vector changes: {figure}")
    if declared and not seen:
        raise CheckFailed(f"the card says {what}_matters=True, but no vector changes: {figure}")
    return passed(f"{figure}, as the card says")
