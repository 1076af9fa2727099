"""What is measured of every run, over fresh scenes: pools of one modality, the union of all pools, and preference.

No scene is the target of two tasks, so in the union every candidate but the target's own is of another scene, whatever
its modality. Ranks are the harness's: exact, ties as expectations, equal candidates merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reference_model.nano.scene_pairs import AFTER_IMAGE, AFTER_VIDEO, FUSED, text_item
from reference_model.nano.world import World
from reference_model.study import worlds
from reference_model.study.worlds import Laboratory
from unite_bench.items import Item, Text
from unite_bench.metrics.measures import per_query
from unite_bench.ragged import Ragged
from unite_bench.rank.counts import count
from unite_bench.sources.scenes.language import long, paraphrase, short
from unite_bench.spec.measures import Measure

if TYPE_CHECKING:
    from collections.abc import Callable

HIT = Measure("hit", 1)
FINE = ("long-t2i", "long-t2v")  # measured in pools of their own; in neither mean


@dataclass(frozen=True)
class Asked:
    """Queries and their targets, in order; `near` are further candidates: for edits, the sources."""

    name: str
    queries: tuple[Item, ...]
    targets: tuple[Item, ...]
    near: tuple[Item, ...] = ()


def tasks(laboratory: Laboratory, part: int) -> list[Asked]:
    """The retrieval tasks over one slice of the evaluation worlds."""
    plain, edited, forms = laboratory.plain, laboratory.edited, laboratory.forms
    stills = range(part * worlds.PLAIN.stills, (part + 1) * worlds.PLAIN.stills)
    clips = range(part * worlds.PLAIN.movings, (part + 1) * worlds.PLAIN.movings)
    some, half = 5 * len(stills) // 13, len(clips) // 2

    def picture(index: int) -> Item:
        return Item((plain.images.image(plain.still_at[index]),))

    def clip(index: int) -> Item:
        return Item((plain.clips.video(plain.clip_at[index]),))

    def said(index: int) -> Item:
        return text_item(short(plain.stills[index], index))

    def told(index: int) -> Item:
        return text_item(short(plain.movings[index], index))

    def pairs(name: str, indices: Sequence[int], query: Callable[[int], Item], target: Callable[[int], Item]) -> Asked:
        return Asked(name, tuple(map(query, indices)), tuple(map(target, indices)))

    return [
        pairs("t2i", stills[:some], said, picture),
        pairs("i2t", stills[some : 2 * some], picture, said),
        pairs("t2t", stills[2 * some :], said, lambda i: text_item(paraphrase(plain.stills[i], i))),
        pairs("t2v", clips[:half], told, clip),
        pairs("v2t", clips[half:], clip, told),
        _fused(forms, part),
        _image_edits(edited, part),
        _clip_edits(edited, part),
        pairs("long-t2i", stills[: some // 2], lambda i: text_item(long(plain.stills[i], i)), picture),
        pairs("long-t2v", clips[: half // 2], lambda i: text_item(long(plain.movings[i], i)), clip),
    ]


def _fused(world: World, part: int) -> Asked:
    own = range(part * worlds.FORMS.stills, (part + 1) * worlds.FORMS.stills)
    parts = [fused for fused in world.fused if fused.scene in own]
    queries = tuple(text_item(short(world.stills[f.scene], f.scene), FUSED[0]) for f in parts)
    return Asked("t2it", queries, tuple(Item((world.images.image(f.shown), Text(f.text))) for f in parts))


def _image_edits(world: World, part: int) -> Asked:
    own = range(part * worlds.EDITED.stills, (part + 1) * worlds.EDITED.stills)
    edits = [edit for edit in world.still_edits if edit.source in own]
    before = [world.images.image(world.still_at[edit.source]) for edit in edits]
    queries = tuple(Item((b, Text(e.text)), AFTER_IMAGE[0]) for b, e in zip(before, edits, strict=True))
    targets = tuple(Item((world.images.image(edit.after),)) for edit in edits)
    return Asked("it2i", queries, targets, tuple(Item((b,)) for b in before))


def _clip_edits(world: World, part: int) -> Asked:
    own = range(part * worlds.EDITED.movings, (part + 1) * worlds.EDITED.movings)
    edits = [edit for edit in world.clip_edits if edit.source in own]
    before = [world.clips.video(world.clip_at[edit.source]) for edit in edits]
    queries = tuple(Item((b, Text(e.text)), AFTER_VIDEO[0]) for b, e in zip(before, edits, strict=True))
    targets = tuple(Item((world.clips.video(edit.after),)) for edit in edits)
    return Asked("vt2v", queries, targets, tuple(Item((b,)) for b in before))


def forms(world: World, part: int) -> tuple[list[Item], list[dict[str, Item]]]:
    """Captions without an instruction, and of each the same scene as text, image, image+text and video."""
    own = range(part * worlds.FORMS.movings, (part + 1) * worlds.FORMS.movings)
    queries, shown = [], []
    for fused in world.moving_fused:
        if fused.scene not in own:
            continue
        scene = world.movings[fused.scene]
        queries.append(text_item(short(scene, fused.scene, motion=False)))
        shown.append(
            {
                "text": text_item(paraphrase(scene, fused.scene, motion=False)),
                "image": Item((world.images.image(world.frame_at[fused.scene]),)),
                "image+text": Item((world.images.image(fused.shown), Text(fused.text))),
                "video": Item((world.clips.video(world.clip_at[fused.scene]),)),
            }
        )
    return queries, shown


def measure(
    laboratory: Laboratory, part: int, embed: Callable[[Sequence[Item]], npt.NDArray[np.float32]]
) -> dict[str, float]:
    """Endpoints of one run, in shares from 0 to 1.

    `same`: mean over the eight tasks of hit@1 in the task's own pool; `union`: the same queries against all eight pools
    together; `bias`: total variation between the first choices among four forms of one scene and an even choice.
    """
    asked = tasks(laboratory, part)
    whole = [task for task in asked if task.name not in FINE]
    captions, shown = forms(laboratory.forms, part)
    everything = _unique(
        [i for t in asked for i in (*t.queries, *t.targets, *t.near)]
        + captions
        + [i for s in shown for i in s.values()]
    )
    place = {_key(item): n for n, item in enumerate(everything)}
    vectors = embed(everything)

    def of(items: Sequence[Item]) -> npt.NDArray[np.float32]:
        return vectors[[place[_key(item)] for item in items]]

    found: dict[str, float] = {}
    pooled = _unique([item for task in whole for item in (*task.targets, *task.near)])
    for task in asked:
        own = _unique([*task.targets, *task.near])
        found[task.name] = _hits(of(task.queries), own, of(own), task.targets)
        if task in whole:
            found[f"union-{task.name}"] = _hits(of(task.queries), pooled, of(pooled), task.targets)
    names = [task.name for task in whole]
    found["same"] = float(np.mean([found[name] for name in names]))
    found["union"] = float(np.mean([found[f"union-{name}"] for name in names]))
    scores = np.stack([(of(captions) * of([s[form] for s in shown])).sum(1) for form in shown[0]], axis=1)
    shares = np.bincount(scores.argmax(1), minlength=len(shown[0])) / len(shown)
    found |= {f"first-{form}": float(share) for form, share in zip(shown[0], shares, strict=True)}
    found["bias"] = float(np.abs(shares - 1 / len(shares)).sum() / 2)
    return found


def _hits(
    queries: npt.NDArray[np.float32], pool: list[Item], held: npt.NDArray[np.float32], targets: Sequence[Item]
) -> float:
    at = {_key(item): n for n, item in enumerate(pool)}
    counts = count(queries, held, Ragged.of([[at[_key(target)]] for target in targets]))
    return float(per_query(HIT, counts).mean())


def _key(item: Item) -> tuple[str, str | None]:
    return item.digest, item.instruction


def _unique(items: Sequence[Item]) -> list[Item]:
    return list({_key(item): item for item in items}.values())
