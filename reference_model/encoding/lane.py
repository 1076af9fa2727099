"""One lane of a device: frames go up, features and vectors come down.

A lane has one thread at a time. On CUDA a device has two lanes, each with a stream of its own: while one copies pinned
frames or waits for its results, the kernels of the other run. A CPU has two as well: what one does on a single core
(cutting, sorting, small products) takes nothing from the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from reference_model.backbone import Backbone, Prepared
from reference_model.encoding.decoding import Frames
from reference_model.encoding.features import Entry, abandon
from reference_model.encoding.memory import Limit, OutOfMemory, in_pieces
from reference_model.packing import has_varlen
from reference_model.preprocess import patches
from unite_bench.errors import UniteBenchError

if TYPE_CHECKING:
    import torch


Outcome: TypeAlias = "torch.Tensor | UniteBenchError"  # (width,) fp32 on the CPU, or why there is none


@dataclass(frozen=True)
class Request:
    """One item, ready to run: its prompt, and the features of its media in order."""

    key: str
    prompt: Prepared
    media: tuple[Entry, ...]


@dataclass(frozen=True)
class Pack:
    """Requests that are run together, and the frames of those media that no pack before has."""

    requests: tuple[Request, ...]
    fresh: tuple[tuple[Entry, Frames], ...]


class Device:
    """A model on its device, and how much a pass may hold there. Shared by the device's lanes."""

    def __init__(self, backbone: Backbone, tokens: int, patches: int):
        self.backbone = backbone
        self.tokens, self.patches = Limit(tokens), Limit(patches)
        self.kind = backbone.device.type
        embeddings = backbone.model.get_input_embeddings().weight
        side_by_side = 1 + len(getattr(backbone.model.config.vision_config, "deepstack_visual_indexes", ()))
        self.bytes_a_token = side_by_side * embeddings.shape[1] * embeddings.element_size()


class Lane:
    """Runs packs on a device, one at a time."""

    def __init__(self, device: Device):
        import torch

        self.device = device
        self._cuda = device.backbone.device.type == "cuda"
        self._stream = torch.cuda.Stream(device.backbone.device) if self._cuda else None
        if self._cuda:
            torch.cuda.synchronize(device.backbone.device)  # the weights are there before any stream reads them

    def run(self, pack: Pack) -> dict[str, Outcome]:
        """By key, (width,) fp32 on the CPU, L2-normalised, or why there is none. Sets the features of the fresh media."""
        import torch

        with torch.inference_mode(), self._streaming():
            on_device = self._features(pack.fresh)
            return self._vectors(pack.requests, on_device)

    @contextmanager
    def _streaming(self) -> Iterator[None]:
        import torch

        if self._stream is None:
            yield
            return
        with torch.cuda.device(self.device.backbone.device), torch.cuda.stream(self._stream):
            yield

    def _features(self, fresh: Sequence[tuple[Entry, Frames]]) -> dict[str, torch.Tensor]:
        """Features of the fresh media on the device, by digest. In any case every future is set."""
        backbone = self.device.backbone
        merge = backbone.preprocessing.merge
        found: dict[str, torch.Tensor] = {}

        def run(start: int, stop: int) -> None:
            import torch

            own = fresh[start:stop]
            grids = [entry.grid for entry, _ in own]
            done = backbone.visual(torch.cat([self._patches(frames) for _, frames in own]), grids)
            sizes = [grid.tokens(merge) for grid in grids]
            kept = [one.clone() for one in done.cpu().split(sizes)]  # so that an entry that goes takes its memory along
            for (entry, _), here, features in zip(own, done.split(sizes), kept, strict=True):
                found[entry.digest] = here
                entry.features.set_result(features)

        try:
            start = 0
            for stop, outcome in in_pieces([e.grid.patches for e, _ in fresh], self.device.patches, run):
                if isinstance(outcome, OutOfMemory):
                    fresh[start][0].features.set_exception(outcome)
                start = stop
        finally:
            abandon([entry for entry, _ in fresh])
        return found

    def _patches(self, frames: Frames) -> torch.Tensor:
        """Frames as they are to the device, resized, normalised and cut there."""
        import torch

        pixels = torch.from_numpy(np.require(frames.pixels, requirements=["C", "W"]))
        if self._cuda:
            pixels = pixels.pin_memory().to(self.device.backbone.device, non_blocking=True)
        return patches(pixels, self.device.backbone.preprocessing, str(self.device.backbone.device), frames.times)[0]

    def _vectors(self, requests: Sequence[Request], on_device: dict[str, torch.Tensor]) -> dict[str, Outcome]:
        results: dict[str, Outcome] = {}
        ready: list[Request] = []
        for request in requests:
            try:
                for entry in request.media:
                    entry.features.result()  # from this pack, or as soon as another lane has made them
            except UniteBenchError as error:
                results[request.key] = error
            else:
                ready.append(request)
        ready.sort(key=lambda request: len(request.prompt))
        return results | self._of_rows(ready, on_device)

    def _of_media(self, request: Request, on_device: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """(tokens, width) on the device; from this pack, or from main memory."""
        import torch

        there = self.device.backbone.device
        held = [
            on_device[entry.digest] if entry.digest in on_device else entry.features.result().to(there)
            for entry in request.media
        ]
        return torch.cat(held) if held else None

    def _of_rows(self, rows: Sequence[Request], on_device: dict[str, torch.Tensor]) -> dict[str, Outcome]:
        """Vectors of requests, shortest first. Their features go to the device piece by piece, as memory allows."""
        backbone = self.device.backbone

        def run(start: int, stop: int) -> torch.Tensor:
            own = rows[start:stop]
            features = [self._of_media(request, on_device) for request in own]
            return backbone.vectors([request.prompt for request in own], features).cpu()

        results: dict[str, Outcome] = {}
        start = 0
        sizes = [len(request.prompt) for request in rows]
        padded = not has_varlen(backbone.device, backbone.model.dtype)
        for stop, outcome in in_pieces(sizes, self.device.tokens, run, padded):
            for n, request in enumerate(rows[start:stop]):
                results[request.key] = outcome if isinstance(outcome, OutOfMemory) else outcome[n]
            start = stop
        return results
