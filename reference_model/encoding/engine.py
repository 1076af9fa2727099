"""The engine: what is asked for, what comes next, and which lane runs it.

The caller asks batch by batch, and may say beforehand what it will ask for. Frames are decoded in that order, ahead of the
model; items are packed by the tokens and patches that they really have; packs are shared out among the lanes. Vectors that
are made before they are asked for wait. Nothing of a vector depends on any of this but the last bits.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from itertools import chain
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from reference_model.backbone import Backbone
from reference_model.encoding.decoding import Decoder, Frames, Medium, name_of
from reference_model.encoding.features import Entry, FeatureCache, abandon
from reference_model.encoding.lane import Device, Lane, Outcome, Pack, Request
from reference_model.encoding.memory import OutOfMemory
from reference_model.preprocess import Grid, Preprocessing, fitted_size, group_times
from reference_model.prompt import render
from unite_bench import media
from unite_bench.errors import MediaError, UniteBenchError
from unite_bench.items import Image, Item, Video, content_digest

if TYPE_CHECKING:
    import torch

LANES = {"cuda": 2, "cpu": 2}  # a device: while one computes, the other copies, or does what a CPU does on one core


@dataclass(frozen=True)
class Budget:
    """What one pass may hold, in tokens of the language model and patches of the vision tower; `packs` a lane that are
    encoded beyond what was asked for; bytes of visual features that are kept. They decide speed and memory, not vectors."""

    tokens: int = 4096
    patches: int = 8192
    packs: int = 0
    feature_bytes: int = 2**31

    @classmethod
    def of(cls, device: str) -> Budget:
        """Small on the CPU, where a pass should stay in its caches; large where a pass must fill thousands of cores."""
        if device == "cpu":
            return cls(packs=1)
        return cls(tokens=32768, patches=65536, packs=2, feature_bytes=2**33)


def workers_of(devices: Sequence[str]) -> int:
    """Processes that decode: none on the CPU, whose cores the model itself uses; else one a core but one, at most 16."""
    if all(device.startswith("cpu") for device in devices):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    return max(1, min(16, cores - 1))


class Engine:
    """Vectors of items, from one backbone a device. Used by one thread."""

    def __init__(self, backbones: Sequence[Backbone], workers: int = 0, budget: Budget | None = None):
        self.budget = budget or Budget.of(backbones[0].device.type)
        self.decoder = Decoder(workers)
        self.features = FeatureCache(self.budget.feature_bytes)
        self._devices = [Device(b, self.budget.tokens, self.budget.patches) for b in backbones]
        self._lanes = [Lane(device) for device in self._devices for _ in range(LANES.get(device.kind, 1))]
        self._coming: OrderedDict[str, Item] = OrderedDict()
        self._made: dict[str, Outcome] = {}
        self._room = 0  # packs of what comes next that may still be made

    def upcoming(self, items: Sequence[Item]) -> None:
        """The items that will be asked for, in order; takes the place of what was said before. Decoding begins."""
        self._made.clear()
        self._coming.clear()
        for item in items:
            with suppress(MediaError):  # that a file is missing is said when the item is asked for
                self._coming[_key(item)] = media.resolve(item)
        parts = (part for item in tuple(self._coming.values()) for part in _media(item))
        self.decoder.ahead(part for part in parts if name_of(part) not in self.features)

    def embed(self, items: Sequence[Item]) -> torch.Tensor:
        """(n, width) fp32 on the CPU, L2-normalised.

        Raises the error of the first item that has no vector: MediaError, or ModelError for a prompt that does not fit.
        The vectors of the others are kept, so that asking for them without it costs nothing.
        """
        import torch

        keys = [_key(item) for item in items]
        missing = {key: item for key, item in zip(keys, items, strict=True) if key not in self._made}
        for key in keys:
            self._coming.pop(key, None)
        if missing:
            self._make(missing)
        for key in keys:
            if isinstance(error := self._made[key], UniteBenchError):
                del self._made[key]  # asked for again, it is tried again
                raise error
        done = {key: self._made.pop(key) for key in set(keys)}
        return torch.stack([cast("torch.Tensor", done[key]) for key in keys])

    def _make(self, missing: Mapping[str, Item]) -> None:
        """Run packs until all that is missing has an outcome, and some of what comes next."""
        free: SimpleQueue[Lane] = SimpleQueue()
        for lane in self._lanes:
            free.put(lane)

        def run(pack: Pack) -> dict[str, Outcome]:
            lane = free.get()
            try:
                return lane.run(pack)
            finally:
                free.put(lane)

        self._room = self.budget.packs * len(self._lanes)
        running: deque[Future[dict[str, Outcome]]] = deque()
        with ExitStack() as stack:
            threads = stack.enter_context(ThreadPoolExecutor(len(self._lanes)))
            for pack in stack.enter_context(closing(self._packs(missing))):
                running.append(threads.submit(run, pack))
                while len(running) > len(self._lanes) + 1:  # one waits, so that no lane does
                    self._made.update(running.popleft().result())
            for future in running:
                self._made.update(future.result())
        self._again_alone(missing)

    def _again_alone(self, missing: Mapping[str, Item]) -> None:
        """Try again what did not fit, one item after the other, now that no other lane and no other item holds memory."""
        lost = [key for key, outcome in self._made.items() if isinstance(outcome, OutOfMemory)]
        for key in lost:
            del self._made[key]  # what was not asked for yet is tried when it is
        self._room = 0
        for key in lost:
            if key in missing:
                for device in self._devices:
                    lane = next(lane for lane in self._lanes if lane.device is device)
                    with closing(self._packs({key: missing[key]})) as packs:
                        for pack in packs:
                            self._made.update(lane.run(pack))
                    if not isinstance(self._made[key], OutOfMemory):
                        break

    def _packs(self, missing: Mapping[str, Item]) -> Generator[Pack, None, None]:
        """What is missing, then some of what comes next, cut into packs of about a pass."""
        requests: list[Request] = []
        fresh: list[tuple[Entry, Frames]] = []
        tokens = patches = 0
        try:
            for n, (key, item) in enumerate(chain(missing.items(), self._following())):
                try:
                    request, new = self._ready(key, item)
                except UniteBenchError as error:
                    self._made[key] = error
                    continue
                finally:
                    self.decoder.forget(_media(item))  # decoded in vain: known meanwhile, or behind a broken one
                length = len(request.prompt)
                area = sum(entry.grid.patches for entry, _ in new)
                if requests and (tokens + length > self.budget.tokens or patches + area > self.budget.patches):
                    pack = Pack(tuple(requests), tuple(fresh))
                    requests, fresh, tokens, patches = [request], new, length, area  # now: this may be the last step
                    self._room -= n > len(missing)
                    yield pack
                    continue
                requests.append(request)
                fresh += new
                tokens, patches = tokens + length, patches + area
            if requests:
                pack, fresh = Pack(tuple(requests), tuple(fresh)), []
                yield pack
        finally:
            abandon([entry for entry, _ in fresh])

    def _following(self) -> Iterator[tuple[str, Item]]:
        """What comes next, as long as there is room for packs of it."""
        while self._coming and self._room > 0:
            key, item = self._coming.popitem(last=False)
            if key not in self._made:
                yield key, item

    def _ready(self, key: str, item: Item) -> tuple[Request, list[tuple[Entry, Frames]]]:
        """The item with its prompt, and frames of those of its media that are in no pack yet. Raises UniteBenchError."""
        backbone = self._devices[0].backbone
        item = media.resolve(item)
        held: dict[str, Entry] = {}
        decoded: dict[str, Frames] = {}
        for part in _media(item):
            name = name_of(part)
            entry = self.features.get(name)
            if entry is not None:
                held[name] = entry
            elif name not in decoded:
                decoded[name] = self.decoder.frames(part)
        grids = {name: grid_of(frames, backbone.preprocessing) for name, frames in decoded.items()}
        grids |= {name: entry.grid for name, entry in held.items()}
        prompt = backbone.prepare(render(item), [grids[name_of(part)] for part in _media(item)])
        for name in decoded:  # only now, since whatever has an entry must be run
            size = grids[name].tokens(backbone.preprocessing.merge) * self._devices[0].bytes_a_token
            held[name] = self.features.add(name, grids[name], size)
        request = Request(key, prompt, tuple(held[name_of(part)] for part in _media(item)))
        return request, [(held[name], frames) for name, frames in decoded.items()]


def grid_of(frames: Frames, settings: Preprocessing) -> Grid:
    """The grid that the frames will be cut into. Raises ModelError for a shape that no model takes."""
    count, height, width = frames.pixels.shape[:3]
    rows, columns = (side // settings.patch for side in fitted_size(height, width, settings, frames.times is not None))
    when = ((), 1.0) if frames.times is None else group_times(frames.times, settings.temporal_patch)
    return Grid(-(-count // settings.temporal_patch), rows, columns, *when)


def _media(item: Item) -> list[Medium]:
    return [part for part in item.parts if isinstance(part, Image | Video)]


def _key(item: Item) -> str:
    """What decides the item's vector. Raises MediaError if a file is missing or a clip has no frame to choose."""
    instruction = "none" if item.instruction is None else f"instruction {item.instruction}"
    return content_digest(media.resolve(item).digest, instruction, media.decoder())
