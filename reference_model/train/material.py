"""What a stage learns from: rows of curated manifests in a planned order, or pairs drawn from rendered scenes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from reference_model.prompt import SPECIAL_TOKENS
from reference_model.train.order import Order, plan_order
from reference_model.train.pairs import BITS, Kind, Pair, draw_batch, pick_kinds
from unite_bench.errors import DataError
from unite_bench.items import content_digest

if TYPE_CHECKING:
    from reference_model.curation.manifest import Manifest

MARKERS = (*SPECIAL_TOKENS, "<|IMAGE|>", "<|VIDEO|>")
NAMED = 5  # rows that an error names


@dataclass(frozen=True)
class Example:
    """A pair with the name of its row. `both`: it is trained from target to query as well."""

    id: str
    pair: Pair
    both: bool


class Material(Protocol):
    """Batches by their number; equal numbers give equal batches, in every process and after every restart."""

    @property
    def digest(self) -> str:
        """Of everything that decides the batches."""
        ...

    @property
    def training_sets(self) -> tuple[str, ...]: ...

    def __len__(self) -> int:
        """Batches, over all processes."""
        ...

    def examples(self, batch: int, rank: int, world: int) -> list[Example]:
        """The share of process `rank` of `world`."""
        ...


@dataclass(frozen=True)
class ManifestRows:
    """Rows of manifests. `rows` are (manifest, number) of what may be drawn; the order names places in it."""

    manifests: tuple[Manifest, ...]
    rows: np.ndarray[Any, np.dtype[np.int64]]
    order: Order

    @property
    def digest(self) -> str:
        return content_digest("manifests", *(manifest.digest for manifest in self.manifests), self.order.digest)

    @property
    def training_sets(self) -> tuple[str, ...]:
        found: set[str] = set()
        for number, manifest in enumerate(self.manifests):
            sources = manifest.columns(["source"])["source"].to_numpy(zero_copy_only=False)
            found |= set(sources[self.rows[self.rows[:, 0] == number, 1]])
        return tuple(sorted(found))

    def __len__(self) -> int:
        return len(self.order.batches)

    def examples(self, batch: int, rank: int, world: int) -> list[Example]:
        own = np.array_split(self.order.batches[batch], world)[rank]
        found = []
        for number, place in self.rows[own].tolist():
            try:
                row = self.manifests[number].row(place)
            except DataError as error:
                raise DataError(f"{self.manifests[number].path}, row {place}: {error}") from error
            pair = Pair(row.query, row.target, row.negatives, row.unmasked)
            found.append(Example(row.id, pair, row.both))
        return found


def manifest_rows(manifests: Sequence[Manifest], stage: Any, **order: Any) -> ManifestRows:
    """The rows of the stage (of all, if None) and their order; `order` as `plan_order` takes it, but sets and weights.

    Raises DataError if there are too few rows; if texts hold tokens that stand for a medium or the template, or weights
    are none, with what is wrong in each manifest.
    """
    rows, sets, weights = [], [], []
    wrong: list[str] = []
    for number, manifest in enumerate(manifests):
        own = np.arange(len(manifest)) if stage is None else manifest.numbers(stage)
        held = manifest.columns(["target_modality", "weight"])
        wrong += [*check_texts(manifest, own), *check_weights(manifest, held["weight"].to_numpy()[own])]
        names = held["target_modality"].to_numpy(zero_copy_only=False)[own]
        bits = {name: sum(BITS[kind] for kind in name.split("+")) for name in set(names)}
        sets.append(np.array([bits[name] for name in names], dtype=np.int8))
        weights.append(held["weight"].to_numpy()[own].astype(np.float32))
        rows.append(np.stack([np.full(len(own), number), own], axis=1))
    if wrong:
        raise DataError("\n".join(wrong))
    planned = plan_order(np.concatenate(sets), np.concatenate(weights), **order)
    if not planned.batches:
        whose = "in all" if stage is None else f"of stage {stage!r}"
        raise DataError(
            f"{', '.join(str(manifest.path) for manifest in manifests)}: {sum(map(len, rows))} rows {whose} fill no batch; "
            "curate more, make batches smaller, or set `rows: all`"
        )
    return ManifestRows(tuple(manifests), np.concatenate(rows).astype(np.int64), planned)


def check_texts(manifest: Manifest, rows: Any) -> Iterator[str]:
    """What is wrong: the first rows whose texts hold placeholders or other tokens of the template. The rows are streamed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found: list[str] = []
    for start, held in manifest.blocks(["id", "query", "target", "negatives"]):
        own = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + held.num_rows)] - start
        held = held.take(pa.array(own))
        texts = {"query": held["query"], "target": held["target"], "negatives": pc.binary_join(held["negatives"], "\n")}
        marked: dict[int, str] = {}
        for side, column in texts.items():
            for marker in MARKERS:
                at = np.flatnonzero(pc.match_substring(column, marker).to_numpy(zero_copy_only=False))
                marked |= {int(row): f"{held['id'][int(row)]} ({side}: {marker})" for row in at[:NAMED]}
        found += [marked[row] for row in sorted(marked)]
        if len(found) >= NAMED:
            break
    if found:
        yield (
            f"{manifest.path}: texts hold tokens that stand for media or the template: {', '.join(found[:NAMED])}; "
            "give media as parts of the item, and take the tokens out of the texts"
        )


def check_weights(manifest: Manifest, weights: Any) -> Iterator[str]:
    """What is wrong: weights that are negative or no numbers."""
    bad = int((~(np.isfinite(weights) & (weights >= 0))).sum())
    if bad:
        yield f"{manifest.path}: {bad} weights are negative or no numbers; curate again"


@dataclass(frozen=True)
class DrawnPairs:
    """Pairs of a few kinds a batch, drawn by weight."""

    kinds: tuple[Kind, ...]
    kinds_per_batch: int
    size: int
    batches: int
    seed: int
    training_sets: tuple[str, ...]

    @property
    def digest(self) -> str:
        kinds = [f"{kind.name} {kind.weight} {kind.both}" for kind in self.kinds]
        return content_digest("drawn", *kinds, repr((self.kinds_per_batch, self.size, self.batches, self.seed)))

    def __len__(self) -> int:
        return self.batches

    def examples(self, batch: int, rank: int, world: int) -> list[Example]:
        rng = np.random.default_rng([self.seed, batch])
        chosen = pick_kinds(self.kinds, self.kinds_per_batch, rng)
        pairs = draw_batch(chosen, self.size, rng)
        both = all(kind.both for kind in chosen)
        found = [Example(f"drawn:{batch}:{n}", pair, both) for n, pair in enumerate(pairs)]
        own = np.array_split(np.arange(self.size), world)[rank]
        return [found[i] for i in own]


def weighted(kinds: Sequence[Kind], factor: float) -> list[Kind]:
    """The kinds at their weights times a factor."""
    return [replace(kind, weight=kind.weight * factor) for kind in kinds]
