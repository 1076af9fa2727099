"""The engine gives the vectors of one plain pass an item, whatever it shares, packs, keeps, decodes elsewhere or repeats."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import torch
from fatal_media import Fatal, Faulty
from hypothesis import given
from hypothesis import strategies as st
from tiny_families import save_family
from tiny_model import NoiseClip, clip, picture
from torch.utils.flop_counter import FlopCounterMode

from reference_model import packing, vision
from reference_model.backbone import Backbone
from reference_model.checkpoint import CHECKPOINTS
from reference_model.embedder import ReferenceEmbedder
from reference_model.encoding import decoding
from reference_model.encoding import engine as engine_module
from reference_model.encoding import lane as lane_module
from reference_model.encoding.decoding import Decoder, Frames, decode
from reference_model.encoding.engine import Budget, Engine, grid_of
from reference_model.encoding.features import FeatureCache
from reference_model.encoding.memory import Limit, OutOfMemory, in_pieces
from reference_model.families import FAMILIES
from reference_model.preprocess import Grid, patches
from reference_model.prompt import OPENING, Segment, render
from unite_bench.encode.run import Encoder
from unite_bench.errors import MediaError, ModelError
from unite_bench.items import Blob, FramePolicy, Image, Item, Text, Video

ITEMS = [
    Item((Text("a red circle"),)),
    Item((Text("\n starts with what may merge with the opening"),)),
    Item((picture(1),)),
    Item((Text("left"), picture(2, 150, 60), Text("right"), picture(3)), instruction="Find it."),
    Item((clip(4, 1),)),
    Item((clip(5, 5),)),
    Item((picture(1), clip(5, 5), Text("make it blue")), instruction="Find the video after the change."),
    Item((Text("a much longer text about many things " * 4),)),
    Item((Text("a red circle"),), instruction="Find it."),
]
SMALL = Budget(tokens=96, patches=64)


@pytest.fixture(scope="module", params=["mrope", "1d"])
def backbone(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    folder = tmp_path_factory.mktemp("rule") / request.param
    shutil.copytree(tiny, folder)
    settings = json.loads((folder / "unite.json").read_text())
    (folder / "unite.json").write_text(json.dumps({**settings, "positions": request.param}))
    return Backbone.load(folder)


@pytest.fixture
def one(tiny: Path) -> Backbone:
    return Backbone.load(tiny)


@torch.inference_mode()
def plainly(backbone: Backbone, items: Sequence[Item], rendered: Any = render) -> torch.Tensor:
    """Item by item: decode, features, the whole prompt in one pass of its own."""
    rows = []
    for item in items:
        frames = [decode(part) for part in item.parts if not isinstance(part, Text)]
        cuts = [patches(held.pixels, backbone.preprocessing, times=held.times) for held in frames]
        grids = [grid for _, grid in cuts]
        features = backbone.visual(torch.cat([cut for cut, _ in cuts]), grids) if cuts else None
        rows.append(backbone.vectors([backbone.prepare(rendered(item), grids)], [features]))
    return torch.cat(rows)


def change(one: torch.Tensor, other: torch.Tensor) -> float:
    """The greatest cosine change of a row."""
    return float(
        (1 - (one.double() * other.double()).sum(-1) / one.double().norm(dim=-1) / other.double().norm(dim=-1)).max()
    )


class Counted:
    """Stands for a function, notes the size of each call, and may raise for those above a limit."""

    def __init__(self, function: Any, size: Any, most: float = float("inf"), error: Exception | None = None):
        self.function, self.size, self.most, self.error = function, size, most, error
        self.calls: list[int] = []

    def __call__(self, *given: Any, **named: Any) -> Any:
        size = self.size(*given, **named)
        self.calls.append(size)
        if size > self.most:
            assert self.error is not None
            raise self.error
        return self.function(*given, **named)


def seen_media(backbone: Backbone, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> Counted:
    counted = Counted(backbone.visual, lambda patches, grids: len(grids), **limits)
    monkeypatch.setattr(backbone, "visual", counted)
    return counted


def seen_tokens(backbone: Backbone, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> Counted:
    model = backbone.model.model.language_model
    counted = Counted(model.forward, lambda inputs_embeds, **named: inputs_embeds.shape[1], **limits)
    monkeypatch.setattr(model, "forward", counted)
    return counted


@pytest.mark.parametrize("budget", [Budget(), SMALL, Budget(tokens=1, patches=1)], ids=["large", "small", "least"])
def test_vectors_are_those_of_plain_passes(backbone: Backbone, budget: Budget) -> None:
    expected = plainly(backbone, ITEMS)
    engine = Engine([backbone], budget=budget)
    assert change(engine.embed(ITEMS), expected) < 1e-6
    assert change(engine.embed(ITEMS[::-1]).flip(0), expected) < 1e-6, "now from kept features"
    assert (expected @ expected.T - torch.eye(len(ITEMS))).max() < 0.9999, "items that look alike test nothing"


def test_a_prompt_without_the_opening_may_be_among_the_others(one: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    def rendered(item: Item) -> tuple[Segment, ...]:
        segments = render(item)
        assert segments[0].text == OPENING
        return segments[1:] if item in ITEMS[1:3] else segments

    monkeypatch.setattr(engine_module, "render", rendered)
    assert change(Engine([one]).embed(ITEMS), plainly(one, ITEMS, rendered)) < 1e-6


def test_features_of_one_item_never_serve_another(one: Backbone) -> None:
    """As many features as placeholders in all, but not prompt by prompt: defect 8 of the published code."""
    frames = [decode(part) for part in (picture(1), picture(2, 150, 60))]
    cuts = [patches(held.pixels, one.preprocessing) for held in frames]
    features = [one.visual(cut, [grid]) for cut, grid in cuts]
    prompts = [one.prepare(render(Item((picture(1),))), [grid]) for _, grid in cuts]
    assert len(features[0]) != len(features[1])
    with pytest.raises(ModelError, match=r"\d+ visual placeholders but \d+ visual features"):
        one.vectors(prompts, features[::-1])


def varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    starts: torch.Tensor,
    all_starts: torch.Tensor,
    most: int,
    most_all: int,
    *,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> torch.Tensor:
    """What torch's kernel is documented to do, sequence by sequence; causal masks are aligned at the ends."""
    assert (starts.dtype, all_starts.dtype, query.ndim) == (torch.int32, torch.int32, 3)
    assert (int(starts.diff().max()), int(all_starts.diff().max())) == (most, most_all)
    assert enable_gqa or query.shape[1] == key.shape[1]
    assert (int(starts[-1]), int(all_starts[-1])) == (len(query), len(key))
    rows = []
    for a, b, c, d in zip(starts, starts[1:], all_starts, all_starts[1:], strict=False):
        seen = torch.ones(b - a, d - c, dtype=torch.bool)
        if window_size == (-1, 0):
            seen = seen.tril(int((d - c) - (b - a)))
        own = [t.transpose(0, 1) for t in (query[a:b], key[c:d], value[c:d])]
        attend = torch.nn.functional.scaled_dot_product_attention
        rows.append(attend(*own, attn_mask=seen, scale=scale, enable_gqa=enable_gqa).transpose(0, 1))
    return torch.cat(rows)


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_is_packed_for_the_varlen_kernel_and_without_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The kernel itself needs a GPU; a function of the same meaning stands in its place."""
    from torch.nn.attention import varlen as module

    model = Backbone.load(save_family(tmp_path / kind, kind, tiny / "tokenizer.json"))
    expected = plainly(model, ITEMS)
    assert change(Engine([model], budget=SMALL).embed(ITEMS), expected) < 1e-6
    counted = Counted(varlen, lambda query, *others, window_size=(-1, -1), **named: window_size[1])
    monkeypatch.setattr(module, "varlen_attn", counted)
    for module_of in (packing, lane_module, vision):
        monkeypatch.setattr(module_of, "has_varlen", lambda device, dtype: True)
    for items in (ITEMS, ITEMS[3:4]):
        wanted = torch.stack([expected[ITEMS.index(item)] for item in items])
        assert change(Engine([model]).embed(items), wanted) < 1e-6
    assert set(counted.calls) == {0, -1}, "by the language model, and by the vision tower"


@pytest.mark.gpu
def test_the_varlen_kernel_gives_the_same_vectors(tiny: Path) -> None:
    backbone = Backbone.load(tiny, "cuda", "bfloat16")
    assert packing.has_varlen(backbone.device, backbone.model.dtype)
    assert change(Engine([backbone]).embed(ITEMS), plainly(Backbone.load(tiny), ITEMS)) < 1e-2


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("bfloat16", 1e-2)])
def test_two_streams_and_their_threads_give_the_same_vectors(tiny: Path, dtype: str, bound: float) -> None:
    """Many small packs, pinned frames, features from the other lane, and twenty passes over the same memory."""
    backbone = Backbone.load(tiny, "cuda", dtype)
    expected = plainly(Backbone.load(tiny), ITEMS)
    for _ in range(20):
        engine = Engine([backbone], budget=Budget(tokens=96, patches=64, packs=2))
        assert len(engine._lanes) == 2
        engine.upcoming(ITEMS)
        vectors = torch.cat([engine.embed(ITEMS[:3]), engine.embed(ITEMS[3:])])
        assert change(vectors, expected) < bound


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("bfloat16", 1e-2)])
def test_vectors_of_nano_do_not_depend_on_what_they_are_encoded_with(dtype: str, bound: float) -> None:
    nano = Backbone.load(CHECKPOINTS / "nano", "cpu", dtype)
    together = Engine([nano]).embed(ITEMS)
    alone = torch.cat([Engine([nano]).embed([item]) for item in ITEMS])
    packed = Engine([nano], budget=SMALL).embed(ITEMS[::-1]).flip(0)
    assert max(change(together, alone), change(together, packed)) < bound
    assert change(together, plainly(nano, ITEMS)) < bound
    assert together.dtype == torch.float32


def test_every_medium_is_seen_once_a_run(one: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = seen_media(one, monkeypatch)
    engine = Engine([one], budget=SMALL)
    items = [Item((picture(1), Text(f"in another task {n}"))) for n in range(3)]
    first = engine.embed([Item((picture(1),)), Item((picture(1), picture(1))), *items])
    engine.upcoming(ITEMS)
    engine.embed(ITEMS)
    assert sum(seen.calls) == 5, "pictures 1, 2, 3 and clips 4, 5"
    assert change(first, plainly(one, [Item((picture(1),)), Item((picture(1), picture(1))), *items])) < 1e-6


def test_kept_features_are_bounded_and_made_again(one: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = seen_media(one, monkeypatch)
    engine = Engine([one], budget=Budget(feature_bytes=1))
    items = [Item((picture(n),)) for n in (1, 2, 1)]
    vectors = [engine.embed([item]) for item in items]
    assert (sum(seen.calls), torch.equal(vectors[0], vectors[2])) == (3, True)
    cache = FeatureCache(limit=10)
    for name in "abc":
        cache.add(name, Grid(1, 2, 2), 4)
    assert (["a" in cache, "b" in cache, "c" in cache], cache.bytes) == ([False, True, True], 8)
    assert cache.get("b") is not None
    cache.add("d", Grid(1, 2, 2), 4)
    assert ["b" in cache, "c" in cache] == [True, False], "the least recently used one goes"


def test_bytes_are_those_of_the_features(one: Backbone) -> None:
    engine = Engine([one])
    engine.embed(ITEMS)
    held = [entry.features.result() for entry in engine.features._entries.values()]
    assert engine.features.bytes == sum(feature.untyped_storage().nbytes() for feature in held) > 0


def test_clips_whose_frames_are_still_to_be_chosen_are_told_apart(one: Backbone) -> None:
    policies = [FramePolicy(frames=frames) for frames in (2, 6)]
    chosen = [Item((Video(NoiseClip(8, 12), policy=policy),)) for policy in policies]
    engine = Engine([one])
    few, many = (engine.embed([item]) for item in chosen)
    assert change(few, many) > 1e-5
    assert change(torch.cat([few, many]), torch.cat([Engine([one]).embed([item]) for item in chosen])) < 1e-6


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail] can't allocate memory: 9 GB"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cpu"])
def test_memory_that_runs_out_halves_the_budget_and_loses_nothing(
    one: Backbone, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    expected = plainly(one, ITEMS)
    engine = Engine([one])
    media = seen_media(one, monkeypatch, most=2, error=error)
    tokens = seen_tokens(one, monkeypatch, most=200, error=error)
    assert change(engine.embed(ITEMS), expected) < 1e-6
    assert max(media.calls) > 2 and max(tokens.calls) > 200, "it did run out"
    failed = len([size for size in tokens.calls if size > 200])
    before = len(tokens.calls)
    engine.embed(ITEMS)
    assert max(tokens.calls[before:]) <= 200 and failed >= 1, "the smaller budget stays"


def test_what_never_fits_is_an_error_of_its_item(one: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine([one])
    longest = max(len(one.prepare(render(item), [])) for item in ITEMS[:2])
    tokens = seen_tokens(one, monkeypatch, most=longest, error=OUT_OF_MEMORY[0])
    texts = [*ITEMS[:2], ITEMS[7]]
    with pytest.raises(OutOfMemory, match="of one item do not fit into memory"):
        engine.embed(texts)
    before = len(tokens.calls)
    assert change(engine.embed(ITEMS[:2]), plainly(one, ITEMS[:2])) < 1e-6
    assert len(tokens.calls) - before == 2, "the two passes are those of the comparison: the vectors were kept"
    seen_media(one, monkeypatch, most=0, error=OUT_OF_MEMORY[1])
    with pytest.raises(OutOfMemory):
        engine.embed([Item((picture(9),))])


def test_what_does_not_fit_beside_another_lane_is_tried_again_alone(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The long text runs out of memory as long as the other lane is at work, which it is until that has happened."""
    backbones = [Backbone.load(tiny), Backbone.load(tiny)]
    expected = plainly(backbones[0], [ITEMS[7], ITEMS[0]])
    longest = len(backbones[0].prepare(render(ITEMS[7]), []))
    at_work, begun, failed = [0], Event(), Event()
    run = lane_module.Lane.run

    def slow(lane: lane_module.Lane, pack: lane_module.Pack) -> Any:
        if len(pack.requests[0].prompt) == longest:
            assert begun.wait(20)
            return run(lane, pack)
        at_work[0] += 1
        begun.set()
        assert failed.wait(20)
        outcome = run(lane, pack)
        at_work[0] -= 1
        return outcome

    def crowded(model: Any) -> Any:
        forward = model.forward

        def called(inputs_embeds: torch.Tensor, **named: Any) -> Any:
            if inputs_embeds.shape[1] == longest and at_work[0]:
                failed.set()
                raise OUT_OF_MEMORY[0]
            return forward(inputs_embeds=inputs_embeds, **named)

        return called

    monkeypatch.setattr(lane_module.Lane, "run", slow)
    for backbone in backbones:
        model = backbone.model.model.language_model
        monkeypatch.setattr(model, "forward", crowded(model))
    vectors = Engine(backbones, budget=Budget(tokens=1)).embed([ITEMS[7], ITEMS[0]])
    assert failed.is_set() and change(vectors, expected) < 1e-6


def test_what_did_not_fit_ahead_of_time_is_tried_when_it_is_asked_for(
    one: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine([one], budget=Budget(tokens=1, packs=1))
    engine.upcoming(ITEMS[:2])
    lengths = [len(one.prepare(render(item), [])) for item in ITEMS[:2]]
    assert lengths[0] < lengths[1]
    with pytest.MonkeyPatch.context() as patch:
        tokens = seen_tokens(one, patch, most=lengths[0], error=OUT_OF_MEMORY[0])
        engine.embed(ITEMS[:1])
        assert max(tokens.calls) == lengths[1], "the next one was tried"
    assert change(engine.embed(ITEMS[1:2]), plainly(one, ITEMS[1:2])) < 1e-6


def test_a_limit_never_grows_though_two_lanes_halve_it_at_once() -> None:
    limit = Limit(0)

    class Watched(int):
        """A size that another lane halves while it is compared."""

        def __gt__(self, other: int) -> bool:
            if limit.size is self:
                thread.start()
                thread.join(0.2)
            return int(self) > other

    thread = Thread(target=limit.halve, args=(100,))
    limit.size = Watched(1000)
    limit.halve(900)
    thread.join()
    assert limit.size == 50


def test_other_errors_of_the_device_are_not_taken_for_memory(one: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine([one])
    seen_media(one, monkeypatch, most=0, error=RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        engine.embed([ITEMS[2], ITEMS[0]])
    monkeypatch.undo()
    assert change(engine.embed([ITEMS[2]]), plainly(one, [ITEMS[2]])) < 1e-6, "nothing waits for what never came"


def test_a_pack_that_fails_leaves_no_medium_that_others_wait_for(
    one: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item after the last pack has features to come, but is in no pack: a second try would wait for ever."""
    engine = Engine([one], budget=Budget(tokens=1, patches=1))
    seen_media(one, monkeypatch, most=0, error=RuntimeError("CUDA error: an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        engine.embed([Item((picture(n),)) for n in range(1, 9)])
    assert 1 < len(engine.features._entries) < 8, "it stopped between two packs"
    assert all(entry.features.done() for entry in engine.features._entries.values())


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 60), st.integers(8, 40), st.booleans())
def test_pieces_are_in_order_and_within_the_limit(sizes: list[int], limit: int, memory: int, padded: bool) -> None:
    def held(start: int, stop: int) -> int:
        own = sizes[start:stop]
        return max(own) * len(own) if padded else sum(own)

    def run(start: int, stop: int) -> tuple[int, int]:
        if held(start, stop) > memory:
            raise torch.OutOfMemoryError("out of memory")
        return start, stop

    at = 0
    for stop, outcome in in_pieces(sizes, Limit(limit), run, padded):
        if isinstance(outcome, OutOfMemory):
            assert (stop, sizes[at] > memory) == (at + 1, True)
        else:
            assert outcome == (at, stop)
            assert stop - at == 1 or held(at, stop) <= min(limit, memory)
        at = stop
    assert at == len(sizes)


def test_two_devices_share_the_work(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbones = [Backbone.load(tiny), Backbone.load(tiny)]
    expected = plainly(backbones[0], ITEMS)
    counted = [seen_tokens(backbone, monkeypatch) for backbone in backbones]
    media = [seen_media(backbone, monkeypatch) for backbone in backbones]
    engine = Engine(backbones, budget=SMALL)
    openings = [len(own.calls) for own in counted]
    for _ in range(3):
        assert change(engine.embed(ITEMS), expected) < 1e-6
    assert all(len(own.calls) > begun for own, begun in zip(counted, openings, strict=True))
    assert sum(sum(own.calls) for own in media) == 5, "features are shared by the devices"
    embedder = ReferenceEmbedder(str(tiny))
    embedder.setup("cpu,cpu")
    assert change(torch.as_tensor(embedder.embed(ITEMS, "query")), expected) < 1e-6


@pytest.mark.parametrize("command", ["run", "check", "reproduce"])
def test_several_devices_are_told_by_the_help(command: str) -> None:
    import typer

    from unite_bench.cli import commands

    options = typer.main.get_command(commands()).commands[command].params  # type: ignore[attr-defined]
    assert "several: cuda:0,cuda:1" in next(option.help for option in options if option.name == "device")


def test_what_comes_next_is_encoded_ahead_and_not_twice(one: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine([one], budget=Budget(tokens=96, patches=64, packs=100))
    expected = plainly(one, ITEMS)
    tokens = seen_tokens(one, monkeypatch)
    made_ready = Counted(engine._ready, lambda key, item: 1)
    monkeypatch.setattr(engine, "_ready", made_ready)
    engine.upcoming(ITEMS)
    first = engine.embed(ITEMS[:2])
    assert len(made_ready.calls) == len(ITEMS)
    passes = len(tokens.calls)
    rest = engine.embed(ITEMS[2:])
    assert len(tokens.calls) == passes, "all was made with the first batch"
    assert change(torch.cat([first, rest]), expected) < 1e-6
    engine.embed(ITEMS[:1])
    assert len(tokens.calls) == passes + 1, "vectors are given out once"


def test_without_room_nothing_is_encoded_ahead(one: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = seen_tokens(one, monkeypatch)
    engine = Engine([one], budget=Budget(packs=0))
    engine.upcoming(ITEMS)
    opening = len(tokens.calls)
    for item in ITEMS:
        engine.embed([item])
    assert len(tokens.calls) - opening == len(ITEMS)


BROKEN = Item((Image(Blob(b"no picture", "broken.png")),))


def test_the_harness_names_a_broken_medium_and_keeps_the_others(tiny: Path, tmp_path: Path) -> None:
    items = [Item(item.parts, item.instruction, id=f"n{number}") for number, item in enumerate([*ITEMS, BROKEN])]
    done = Encoder(ReferenceEmbedder(str(tiny)), tmp_path).encode(items, "query", on_error="skip")
    assert list(done.failed) == [f"n{len(ITEMS)}"]
    assert "broken.png: not a readable picture" in done.failed[f"n{len(ITEMS)}"]
    assert done.usable.tolist() == [True] * len(ITEMS) + [False]
    assert change(torch.from_numpy(done.vectors[: len(ITEMS)]), plainly(Backbone.load(tiny), ITEMS)) < 1e-6


def test_a_medium_beside_a_broken_one_is_not_lost(one: Backbone) -> None:
    engine = Engine([one])
    for beside, error in ((BROKEN.parts[0], MediaError), (Image(Faulty()), ZeroDivisionError)):
        with pytest.raises(error):
            engine.embed([Item((picture(1), beside)), ITEMS[2]])
        assert change(engine.embed([ITEMS[2]]), plainly(one, [ITEMS[2]])) < 1e-6


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder(workers=1)
    yield made
    made.close()


def test_frames_of_a_worker_are_those_of_this_process(decoder: Decoder) -> None:
    parts = [part for item in ITEMS for part in item.parts if not isinstance(part, Text)]
    decoder.ahead(parts)
    for part in (*parts, picture(20)):
        there, here = decoder.frames(part), decode(part)
        assert (there.pixels == here.pixels).all()
        assert (there.times is None) == (here.times is None)
        assert here.times is None or (there.times == here.times).all()
    with pytest.raises(MediaError, match=r"broken\.png: not a readable picture"):
        decoder.frames(BROKEN.parts[0])


def waiting_decoder(monkeypatch: pytest.MonkeyPatch) -> tuple[Decoder, dict[str, Future[Frames]]]:
    """Of two workers that decode when the test says so."""
    made, futures = Decoder(workers=2), {}

    def submitted(part: Image | Video) -> Future[Frames]:
        futures[part.digest] = Future()
        return futures[part.digest]

    monkeypatch.setattr(made, "_submitted", submitted)
    return made, futures


def test_frames_that_are_still_being_decoded_count_towards_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MOST_BYTES", 4 * 90)
    made, futures = waiting_decoder(monkeypatch)
    parts = [picture(n) for n in range(20)]
    made.ahead(parts)
    assert len(futures) == 2, "no more than there are workers, as no size is known"
    for part in parts[:3]:
        futures[part.digest].set_result(Frames(np.zeros((1, 5, 6, 3), np.uint8), None))  # 90 bytes
        made.frames(part)
        assert len(made._waiting) <= 4
    assert len(made._waiting) == 4, "as many as fit, of eight"


def test_a_clip_decoded_by_another_reader_is_decoded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made, futures = waiting_decoder(monkeypatch)
    part = clip(4, 1)
    made.ahead([part])
    first = futures[part.digest]
    first.set_result(Frames(np.zeros((1, 1, 1, 3), np.uint8), None))
    monkeypatch.setattr("unite_bench.media.decoder", lambda: "another")
    again = Frames(np.ones((1, 1, 1, 3), np.uint8), None)
    monkeypatch.setattr(made, "_submitted", lambda part: done(again))
    assert made.frames(part) is again


def done(frames: Frames) -> Future[Frames]:
    future: Future[Frames] = Future()
    future.set_result(frames)
    return future


def test_a_medium_that_ends_its_worker_is_named_and_those_beside_it_are_not(decoder: Decoder) -> None:
    fatal = Image(Fatal())
    parts = [picture(30), fatal, picture(31)]
    decoder.ahead(parts)
    assert (decoder.frames(parts[0]).pixels == decode(parts[0]).pixels).all()
    with pytest.raises(MediaError, match=r"fatal-0\.png: decoding it ended the worker process; re-export"):
        decoder.frames(fatal)
    assert (decoder.frames(parts[2]).pixels == decode(parts[2]).pixels).all()


def test_an_engine_with_workers_gives_the_same_vectors(one: Backbone, decoder: Decoder) -> None:
    engine = Engine([one])
    engine.decoder = decoder
    engine.upcoming([*ITEMS, BROKEN])
    vectors = torch.cat([engine.embed(ITEMS[:3]), engine.embed(ITEMS[3:])])
    assert change(vectors, plainly(one, ITEMS)) < 1e-6
    with pytest.raises(MediaError, match=r"broken\.png"):
        engine.embed([BROKEN])


def test_what_is_never_asked_for_does_not_hold_up_decoding(
    one: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A medium behind a broken one of its item, and one that is drawn again while it is being asked for."""
    monkeypatch.setattr(Decoder, "_submitted", lambda decoder, part: done(part))
    monkeypatch.setattr(decoding, "AHEAD", 3)

    def done(part: Any) -> Future[Frames]:
        future: Future[Frames] = Future()
        try:
            future.set_result(decode(part))
        except MediaError as error:
            future.set_exception(error)
        return future

    engine = Engine([one], workers=1, budget=SMALL)
    broken = [Item((Image(Blob(b"no picture %d" % n)), picture(50 + n))) for n in range(4)]
    again = [Item((picture(60 + n % 3), Text(str(n)))) for n in range(9)]
    items = [*broken, *again]
    engine.upcoming(items)
    assert len(engine.decoder._waiting) == 3, "drawn before anything is asked for"
    for item in items:
        with suppress(MediaError):
            engine.embed([item])
    assert not engine.decoder._waiting
    engine.decoder.close()


def test_features_that_do_not_fit_the_device_together_are_divided(
    one: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of features to the device count as the pass does: they are made piece by piece, and halved with it."""
    engine = Engine([one], budget=Budget(tokens=4096, patches=8192))
    items = [Item((picture(70 + n),)) for n in range(4)]
    expected = plainly(one, items)
    held = [0]
    inner = lane_module.Lane._of_media

    def counted(lane: Any, request: Any, on_device: Any) -> Any:
        held[0] += 1
        if held[0] == 3:
            raise torch.OutOfMemoryError("no room for a copy")
        return inner(lane, request, on_device)

    monkeypatch.setattr(lane_module.Lane, "_of_media", counted)
    before = engine._devices[0].tokens.size
    assert change(engine.embed(items), expected) < 1e-6
    assert engine._devices[0].tokens.size < before


def test_memory_is_freed_once_nothing_of_the_failed_pass_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[bool] = []
    held: list[weakref.ref[torch.Tensor]] = []

    def run(start: int, stop: int) -> int:
        if stop - start > 1:
            large = torch.zeros(8)
            held.append(weakref.ref(large))
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        return start

    monkeypatch.setattr("reference_model.encoding.memory._free", lambda: alive.append(held[-1]() is not None))
    assert [outcome for _, outcome in in_pieces([1] * 4, Limit(4), run)] == [0, 1, 2, 3]
    assert alive == [False, False]


def test_budgets_are_arguments_that_change_no_vector(tiny: Path) -> None:
    given = ReferenceEmbedder(str(tiny), pass_tokens=64, pass_patches=128, feature_gib=0.5)
    given.setup()
    assert given._engine is not None and given._engine.budget == Budget(64, 128, 1, 2**29)
    assert given.arguments == ReferenceEmbedder(str(tiny)).arguments
    with pytest.raises(ModelError, match="feature_bytes: must be above 0"):
        ReferenceEmbedder(str(tiny), feature_gib=0)


def test_workers_are_no_part_of_what_a_vector_depends_on(tiny: Path) -> None:
    from unite_bench.encode.fingerprint import fingerprint

    plain, busy = ReferenceEmbedder(str(tiny)), ReferenceEmbedder(str(tiny), workers=3)
    assert fingerprint(plain, "float32") == fingerprint(busy, "float32")
    assert engine_module.workers_of(["cpu", "cpu"]) == 0
    assert engine_module.workers_of(["cuda:0"]) >= 1


def test_the_grid_is_known_before_the_patches_are_cut(one: Backbone) -> None:
    for part in (picture(1), picture(2, 150, 60), clip(4, 1), clip(5, 5)):
        frames = decode(part)
        assert grid_of(frames, one.preprocessing) == patches(frames.pixels, one.preprocessing, times=frames.times)[1]


def test_the_benchmark_counts_the_processor_time_of_decoding_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import encode

    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(time.process_time())"
    took, _, processor = encode.timed(lambda: float(subprocess.check_output([sys.executable, "-c", busy])))
    assert processor > took - 0.02, "the system counts in hundredths of a second"


def test_the_benchmark_compares_equal_vectors_and_counts_what_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny shape of the code that measures 2B on a GPU."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import encode

    items = [Item((Text("a red circle"),)), Item((picture(1),)), Item((clip(5, 5), Text("make it blue"), picture(1)))]
    monkeypatch.setattr(encode, "collected", lambda suite, share: items)
    given = {"suite": "any", "share": (1, 1), "items": None, "size": "tiny", "device": "cpu", "dtype": "float32"}
    found = encode.measured(argparse.Namespace(**given, batch=2, runs=2, peak="h200"))
    assert (found["distinct_items"], found["media"], found["distinct_media"]) == (3, 3, 2)
    backbone = encode.loaded("tiny", "cpu", "float32")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        plainly(backbone, [items[0]])
    assert encode.run_flops(backbone, items[:1]) == pytest.approx(counter.get_total_flops(), rel=0.2)
    whole = encode.loaded("2b", "meta", "bfloat16").model
    assert sum(weight.numel() for weight in whole.parameters()) == 2_208_985_600, "as many as Qwen2-VL-2B has"
    monkeypatch.setattr(encode, "engine_run", lambda *given: -torch.ones(3, 64) / 8)
    with pytest.raises(AssertionError, match="other vectors"):
        encode.measured(argparse.Namespace(**given, batch=2, runs=1, peak=None))
