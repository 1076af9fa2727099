"""From examples to what the model takes: each distinct item once, its prompt as tokens, its media opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from reference_model.prompt import render
from reference_model.train.material import Example, Material
from reference_model.train.media import MediaSource, Medium
from reference_model.train.pairs import modality_bits
from unite_bench.errors import MediaError, ModelError
from unite_bench.items import Item, content_digest

if TYPE_CHECKING:
    from reference_model.backbone import Backbone, Prepared


PATIENCE = 3600  # seconds that a batch may take to be prepared, before its workers count as dead


@dataclass
class Batch:
    """Prompts and media of n distinct items; queries (rows,) and candidates (rows + negatives,) are places among them.

    `sets` (n,) are modality sets, `contents` (n,) 63-bit digests that are equal in every process. `bad` are the rows that
    are not here because a medium could not be opened or an item is too long, each with the reason.
    """

    number: int
    rows: tuple[str, ...]
    prompts: list[Prepared]
    media: list[list[Medium]]
    sets: torch.Tensor
    contents: torch.Tensor
    queries: torch.Tensor
    candidates: torch.Tensor
    unmasked: torch.Tensor
    both: bool
    bad: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device) -> Batch:
        """Labels and places on the device; prompts and media follow when they go through the model."""
        for name in ("sets", "contents", "queries", "candidates", "unmasked"):
            setattr(self, name, getattr(self, name).to(device))
        return self


def prepare_batch(number: int, examples: Sequence[Example], backbone: Backbone, media: MediaSource) -> Batch:
    """Tokens and media of all items. A row with a medium that cannot be opened, or with an item whose visual tokens alone
    are too many for the model, is left out and named in `bad`.
    """
    places: dict[tuple[str, str | None], int] = {}
    unique: list[tuple[Item, list[Medium]]] = []
    prompts: list[Prepared] = []
    kept: list[Example] = []
    sides: list[tuple[int, int, list[int]]] = []
    bad: list[tuple[str, str]] = []
    for example in examples:
        pair = example.pair
        try:
            opened = [_opened(item, media, places, backbone) for item in (pair.query, pair.target, *pair.negatives)]
        except (MediaError, ModelError, OSError) as error:
            bad.append((example.id, str(error)))
            continue
        found = []
        for item, new in opened:
            key = (item.digest, item.instruction)
            if places.setdefault(key, len(unique)) == len(unique):
                assert new is not None
                held, prompt = new
                unique.append((item, held))
                prompts.append(prompt)
            found.append(places[key])
        kept.append(example)
        sides.append((found[0], found[1], found[2:]))
    return Batch(
        number,
        tuple(example.id for example in kept),
        prompts,
        [held for _, held in unique],
        torch.tensor([modality_bits(item) for item, _ in unique], dtype=torch.int64),
        torch.tensor([_content(item) for item, _ in unique], dtype=torch.int64),
        torch.tensor([query for query, _, _ in sides], dtype=torch.int64),
        torch.tensor(
            [*(target for _, target, _ in sides), *(n for _, _, near in sides for n in near)], dtype=torch.int64
        ),
        torch.tensor([example.pair.unmasked for example in kept], dtype=torch.bool),
        all(example.both for example in kept),
        tuple(bad),
    )


def _opened(
    item: Item, media: MediaSource, places: dict[tuple[str, str | None], int], backbone: Backbone
) -> tuple[Item, tuple[list[Medium], Prepared] | None]:
    """The item as it is shown, with its media and prompt; None if the batch has it already."""
    shown = media.resolved(item)
    if (shown.digest, shown.instruction) in places:
        return shown, None
    held = media.of(shown)
    return shown, (held, backbone.prepare(render(shown), [medium.grid for medium in held]))


def _content(item: Item) -> int:
    """Equal for items of equal parts and instruction, and in every process."""
    return int(content_digest("content", item.digest, item.instruction or "")[:15], 16)


class Batches(Dataset[Batch]):
    """The batches of one process, prepared; by number, of all epochs."""

    def __init__(self, material: Material, backbone: Backbone, media: MediaSource, rank: int = 0, world: int = 1):
        self.material, self.backbone, self.media = material, backbone, media
        self.rank, self.world = rank, world

    def __len__(self) -> int:
        return len(self.material)

    def __getitem__(self, number: int) -> Batch:
        examples = self.material.examples(number, self.rank, self.world)
        return prepare_batch(number, examples, self.backbone, self.media)


class Loader(DataLoader[Batch]):
    """Prepared batches from number `start()` on, which is asked when the loop begins; its length is that of the whole run.

    Without workers a thread prepares the next batch while the model is busy with this one. Workers pass their tensors by
    names of files: by descriptors, of which a batch takes one a tensor, a process would run out and wait for ever.

    The loader has a random generator of its own: torch draws a seed from the global one at every start, which would move a
    resumed run's dropout.
    """

    def __init__(self, batches: Batches, start: Callable[[], int], workers: int):
        self._total = len(batches)
        self.ahead = workers == 0
        if workers:
            torch.multiprocessing.set_sharing_strategy("file_system")
        super().__init__(
            batches,
            batch_size=None,
            sampler=_From(start, self._total),
            num_workers=workers,
            worker_init_fn=_by_names if workers else None,
            timeout=PATIENCE if workers else 0,
            generator=torch.Generator(),
            collate_fn=_as_it_is,
        )

    def __len__(self) -> int:
        return self._total

    def __iter__(self) -> Any:
        return _ahead(super().__iter__()) if self.ahead else super().__iter__()


class _From(Sampler[int]):
    def __init__(self, start: Callable[[], int], total: int):
        self._start, self._total = start, total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._start(), self._total))


def _as_it_is(batch: Any) -> Any:
    return batch


def _by_names(_worker: int) -> None:
    torch.multiprocessing.set_sharing_strategy("file_system")


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    with ThreadPoolExecutor(max_workers=1) as thread:
        pending = thread.submit(next, batches, None)
        while (batch := pending.result()) is not None:
            pending = thread.submit(next, batches, None)
            yield batch
